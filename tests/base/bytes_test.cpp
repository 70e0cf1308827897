// SPDX-License-Identifier: Apache-2.0
#include "ebb/bytes.h"

#include <gtest/gtest.h>

namespace ebb {
namespace {

TEST(Bytes, ReadsSizesAsPeopleWriteThem) {
  EXPECT_EQ(*parse_size("24G"), 24_GiB);
  EXPECT_EQ(*parse_size("30724MiB"), 30724_MiB);
  EXPECT_EQ(*parse_size(" 512 mib "), 512_MiB);
  EXPECT_EQ(*parse_size("14.3GB"), 14'300'000'000);
  EXPECT_EQ(*parse_size("13.5GiB"), 13824_MiB);
  EXPECT_EQ(*parse_size("1234567"), 1234567);
}

TEST(Bytes, RefusesWhatIsNoSize) {
  for (const char* text :
       {"", "G", "-1G", "24X", "24GG", "1e999G", "nan", "1..2G", "99999999999T"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size.ok()) << text;
    EXPECT_EQ(size.error().code, ErrorCode::usage);
    EXPECT_NE(size.error().hint, "");
  }
}

TEST(Bytes, MemoryIsReadAsOnTheBox) {
  for (const char* text :
       {"24", "24G", "24GB", "24GiB", "24 gb", "24576MiB", "24576MB", "24.0", "25769803776"}) {
    const auto size = parse_memory_size(text);
    ASSERT_TRUE(size.ok()) << text;
    EXPECT_EQ(*size, 24_GiB) << text;
  }
  EXPECT_EQ(*parse_memory_size("24564MiB"), 24564_MiB);
  EXPECT_EQ(*parse_memory_size("0.5"), 512_MiB);
  EXPECT_EQ(*parse_memory_size("24B"), 24);
  EXPECT_EQ(*parse_memory_size("0"), 0);
  for (const char* text : {"", "24X", "-24", "lots", "24576", "1024", "67108863"}) {
    const auto size = parse_memory_size(text);
    ASSERT_FALSE(size.ok()) << text;
    EXPECT_NE(size.error().hint, "");
  }
}

TEST(Bytes, FormatsWithSeparators) {
  EXPECT_EQ(format_mib(15298_MiB + 700_KiB), "15,299");
  EXPECT_EQ(format_mib(0), "0");
  EXPECT_EQ(format_count(-1234567), "-1,234,567");
  EXPECT_EQ(format_gib(13629_MiB), "13.3 GiB");
  EXPECT_EQ(format_gib(1_MiB), "<0.1 GiB");
  EXPECT_EQ(format_gib(0), "0.0 GiB");
}

}  // namespace
}  // namespace ebb
