// SPDX-License-Identifier: Apache-2.0
#include "weights/safetensors.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "tests/support.h"
#include "tests/weights/build_file.h"

namespace ebb {
namespace {

using test::safetensors_file;
using test::safetensors_text;

std::string one_tensor(const std::string& fields) { return "{\"a.weight\":{" + fields + "}}"; }

TEST(Safetensors, ReadsNamesTypesShapesAndSizes) {
  const test::TempDir dir;
  const auto file = dir.write("a.safetensors", safetensors_file({{"b.weight", "F8_E4M3", {2, 3}, 6},
                                                                 {"a.weight", "BF16", {4}, 8},
                                                                 {"c", "F32", {}, 4},
                                                                 {"d", "F4", {4}, 2},
                                                                 {"e", "U8", {0}, 0}}));
  const auto header = read_safetensors(file);
  ASSERT_TRUE(header.ok()) << to_string(header.error());
  ASSERT_EQ(header->tensors.size(), 5u);
  EXPECT_EQ(header->tensors[0].name, "a.weight");  // sorted by name
  EXPECT_EQ(header->find("b.weight")->bytes, 6);
  EXPECT_EQ(header->find("b.weight")->dtype->name, "fp8_e4m3fn");
  EXPECT_EQ(header->find("c")->elements, 1);
  EXPECT_EQ(header->find("d")->elements, 4);
  EXPECT_EQ(header->find("nothing"), nullptr);
  EXPECT_TRUE(header->has_prefix("b."));
}

TEST(Safetensors, ErrorsNameTheFileAndWhatIsWrong) {
  struct Case {
    std::string text;
    std::string says;
  };
  const std::string good = R"("dtype":"F16","shape":[2],"data_offsets":[0,4])";
  const Case cases[] = {
      {"", "at least 8"},
      {"1234567", "at least 8"},
      {test::little_endian(1ull << 63, 8), "only 0 follow"},
      {test::little_endian(1ull << 62, 8) + "{}", "only 2 follow"},
      {safetensors_text("[]", 0), "not a JSON object"},
      {safetensors_text("{", 0), "a.safetensors"},
      {safetensors_text(one_tensor(R"("dtype":"F17","shape":[2],"data_offsets":[0,4])"), 4), "F17"},
      {safetensors_text(one_tensor(R"("shape":[2],"data_offsets":[0,4])"), 4), "unknown type"},
      {safetensors_text(one_tensor(R"("dtype":"F16","data_offsets":[0,4])"), 4), "without a shape"},
      {safetensors_text(one_tensor(R"("dtype":"F16","shape":[2])"), 4), "data offsets"},
      {safetensors_text(one_tensor(R"("dtype":"F16","shape":[2],"data_offsets":[0])"), 4), "pair"},
      {safetensors_text(one_tensor(R"("dtype":"F16","shape":[3],"data_offsets":[0,4])"), 4), "fit"},
      {safetensors_text(one_tensor(R"("dtype":"F16","shape":[-2],"data_offsets":[0,4])"), 4), "-2"},
      {safetensors_text(one_tensor(R"("dtype":"F16","shape":[9e18,9e18],"data_offsets":[0,4])"), 4),
       "a.weight"},
      {safetensors_text(
           one_tensor(R"("dtype":"F16","shape":[4294967296,4294967296],"data_offsets":[0,4])"), 4),
       "2^63"},
      {safetensors_text(one_tensor(R"("dtype":"F16","shape":[2],"data_offsets":[2,6])"), 4),
       "outside"},
      {safetensors_text(one_tensor(R"("dtype":"F16","shape":[2],"data_offsets":[-4,0])"), 4),
       "outside"},
      {safetensors_text(one_tensor(R"("dtype":"F16","shape":[2],"data_offsets":[4,0])"), 4),
       "outside"},
      {safetensors_text("{\"a\":{" + good + "},\"b\":{" + good + "}}", 4), "overlap"},
      {safetensors_text(
           "{\"a\":{" + good + "},\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[4,8]}}",
           8),
       "twice"},
      {safetensors_text(one_tensor(R"("dtype":"F16","shape":[2],"data_offsets":[2,6])"), 6),
       "belong to no tensor"},
      {safetensors_text(one_tensor(good), 6), "after its last tensor"},
      {safetensors_text("{\"a\":7}", 0), "unknown type"},
  };
  for (const Case& c : cases) {
    const test::TempDir dir;
    const auto file = dir.write("a.safetensors", c.text);
    const auto header = read_safetensors(file);
    ASSERT_FALSE(header.ok()) << c.says;
    const std::string message = to_string(header.error());
    EXPECT_TRUE(contains(message, c.says)) << message << "\n  should say: " << c.says;
    EXPECT_TRUE(contains(message, "a.safetensors")) << message;
    EXPECT_EQ(header.error().code, ErrorCode::input);
  }
}

TEST(Safetensors, LongHeadersAreRefusedBeforeTheyAreRead) {
  const test::TempDir dir;
  const auto file = dir.write("a.safetensors", test::little_endian(100'000'001, 8));
  std::filesystem::resize_file(file, 200'000'000);  // sparse
  const auto header = read_safetensors(file);
  ASSERT_FALSE(header.ok());
  EXPECT_TRUE(contains(header.error().message, "at most 100000000")) << header.error().message;
}

TEST(Safetensors, CutAnywhereIsAnErrorAndNeverACrash) {
  const std::string text = safetensors_file(
      {{"b.weight", "F8_E4M3", {2, 3}, 6}, {"a.weight", "BF16", {4}, 8}, {"c", "F32", {}, 4}});
  const test::TempDir dir;
  const auto file = dir.write("cut.safetensors", text);
  EXPECT_TRUE(read_safetensors(file).ok());
  for (std::size_t length = text.size(); length-- > 0;) {
    std::filesystem::resize_file(file, length);
    EXPECT_FALSE(read_safetensors(file).ok()) << length;
  }
}

TEST(Safetensors, FlippedBytesNeverCrash) {
  const std::string text =
      safetensors_file({{"b.weight", "F8_E4M3", {2, 3}, 6}, {"a.weight", "BF16", {4}, 8}});
  const test::TempDir dir;
  for (std::size_t at = 0; at < text.size() - 14; ++at) {
    for (const int flip : {1, 0x20, 0x80, 0xff}) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      const auto header = read_safetensors(dir.write("flip.safetensors", changed));
      if (header.ok()) {
        EXPECT_LE(header->tensors.size(), 3u);
      }
    }
  }
}

TEST(Safetensors, AnIndexAddsUpTheShardsBesideIt) {
  const test::TempDir dir;
  dir.write("m-1.safetensors", safetensors_file({{"a.weight", "F16", {4}, 8}}));
  dir.write("m-2.safetensors", safetensors_file({{"b.weight", "F16", {2}, 4}}));
  const auto index =
      dir.write("m.safetensors.index.json",
                R"({"weight_map":{"a.weight":"m-1.safetensors","b.weight":"m-2.safetensors"}})");
  const auto header = read_header(index);
  ASSERT_TRUE(header.ok()) << to_string(header.error());
  EXPECT_EQ(header->tensors.size(), 2u);
  EXPECT_EQ(header->file_bytes,
            static_cast<std::int64_t>(std::filesystem::file_size(dir.path() / "m-1.safetensors") +
                                      std::filesystem::file_size(dir.path() / "m-2.safetensors")));
}

TEST(Safetensors, AnIndexErrorNamesTheShard) {
  const test::TempDir dir;
  dir.write("m-1.safetensors", safetensors_file({{"a.weight", "F16", {4}, 8}}));
  const auto missing =
      dir.write("a.safetensors.index.json", R"({"weight_map":{"x":"m-2.safetensors"}})");
  const auto lacks =
      dir.write("b.safetensors.index.json", R"({"weight_map":{"x.weight":"m-1.safetensors"}})");
  const auto outside =
      dir.write("c.safetensors.index.json", R"({"weight_map":{"x":"../m-1.safetensors"}})");
  const auto no_map = dir.write("d.safetensors.index.json", R"({"metadata":{}})");
  for (const auto& [file, says] :
       {std::pair(missing, "m-2.safetensors"), std::pair(lacks, "m-1.safetensors"),
        std::pair(outside, "beside the index"), std::pair(no_map, "weight_map")}) {
    const auto header = read_header(file);
    ASSERT_FALSE(header.ok());
    EXPECT_TRUE(contains(to_string(header.error()), says)) << to_string(header.error());
  }
}

}  // namespace
}  // namespace ebb
