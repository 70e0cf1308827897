// SPDX-License-Identifier: Apache-2.0
#include "weights/gguf.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "tests/support.h"
#include "tests/weights/build_file.h"

namespace ebb {
namespace {

using test::gguf_file;
using test::little_endian;

TEST(Gguf, ReadsBothVersionsWithShapesOutermostFirst) {
  for (const std::uint32_t version : {2u, 3u}) {
    const test::TempDir dir;
    const auto header = read_gguf(dir.write(
        "a.gguf",
        gguf_file("wan", {{"b.weight", 12, {256, 3}, 0}, {"a.bias", 0, {2}, 448}}, 456, version)));
    ASSERT_TRUE(header.ok()) << to_string(header.error());
    EXPECT_EQ(header->architecture, "wan");
    ASSERT_NE(header->find("b.weight"), nullptr);
    EXPECT_EQ(header->find("b.weight")->bytes, 3 * 144);  // three Q4_K blocks
    EXPECT_EQ(header->find("b.weight")->shape, (std::vector<std::int64_t>{3, 256}));
    EXPECT_EQ(header->find("a.bias")->bytes, 8);
  }
}

TEST(Gguf, KnowsTheBlockSizeOfEveryType) {
  const std::pair<std::uint32_t, int> types[] = {
      // type, bytes of 256 values
      {0, 1024}, {1, 512},  {2, 144},  {3, 160},  {6, 176},  {7, 192},  {8, 272},
      {10, 84},  {11, 110}, {12, 144}, {13, 176}, {14, 210}, {15, 292}, {16, 66},
      {17, 74},  {18, 98},  {19, 50},  {20, 144}, {21, 110}, {22, 82},  {23, 136},
      {24, 256}, {29, 56},  {30, 512}, {34, 54},  {35, 66},  {39, 136}};
  for (const auto& [type, bytes] : types) {
    const test::TempDir dir;
    const auto header = read_gguf(
        dir.write("a.gguf", gguf_file("x", {{"t", type, {256}, 0}}, static_cast<size_t>(bytes))));
    ASSERT_TRUE(header.ok()) << type << ' ' << to_string(header.error());
    EXPECT_EQ(header->tensors[0].bytes, bytes) << type;
    EXPECT_FALSE(read_gguf(dir.write("b.gguf", gguf_file("x", {{"t", type, {256}, 0}},
                                                         static_cast<size_t>(bytes) - 1)))
                     .ok())
        << type;
  }
}

TEST(Gguf, ErrorsNameTheFileAndWhatIsWrong) {
  const std::string huge = little_endian(1ull << 60, 8);
  const std::pair<std::string, std::string> cases[] = {
      {"", "ends inside"},
      {"GGUX" + little_endian(3, 4) + little_endian(0, 16), "no GGUF"},
      {"GGUF" + little_endian(1, 4) + little_endian(0, 16), "version 1"},
      {"GGUF" + little_endian(3, 4) + huge + little_endian(0, 8), "tensors"},
      {"GGUF" + little_endian(3, 4) + little_endian(0, 8) + huge, "metadata"},
      {"GGUF" + little_endian(3, 4) + little_endian(0, 8) + little_endian(1, 8) + huge, "text"},
      {"GGUF" + little_endian(3, 4) + little_endian(0, 8) + little_endian(1, 8) +
           test::gguf_string("k") + little_endian(77, 4),
       "unknown type 77"},
      {"GGUF" + little_endian(3, 4) + little_endian(0, 8) + little_endian(1, 8) +
           test::gguf_string("k") + little_endian(9, 4) + little_endian(4, 4) + huge,
       "array"},
      {gguf_file("x", {{"t", 4, {32}, 0}}, 64), "unknown type 4"},
      {gguf_file("x", {{"t", 12, {100}, 0}}, 64), "whole number"},
      {gguf_file("x", {{"t", 0, {1ull << 63}, 0}}, 64), "2^63"},
      {gguf_file("x", {{"t", 0, {1ull << 40, 1ull << 40}, 0}}, 64), "2^63"},
      {gguf_file("x", {{"t", 0, {4}, 0}, {"u", 0, {4}, 8}}, 64), "overlap"},
      {gguf_file("x", {{"t", 0, {4}, 0}, {"t", 0, {4}, 32}}, 64), "twice"},
      {gguf_file("x", {{"t", 0, {4}, 1ull << 62}}, 64), "outside"},
      {gguf_file("x", {{"t", 0, {1, 1, 1, 1, 1, 1, 1, 1, 1}, 0}}, 64), "9 dimensions"},
  };
  for (const auto& [text, says] : cases) {
    const test::TempDir dir;
    const auto header = read_gguf(dir.write("a.gguf", text));
    ASSERT_FALSE(header.ok()) << says;
    EXPECT_TRUE(contains(to_string(header.error()), says)) << to_string(header.error());
    EXPECT_TRUE(contains(to_string(header.error()), "a.gguf"));
  }
}

TEST(Gguf, ArraysInArraysEndAtALimit) {
  std::string value = little_endian(9, 4);
  for (int i = 0; i < 1000; ++i) value += little_endian(9, 4) + little_endian(1, 8);
  const test::TempDir dir;
  const auto header =
      read_gguf(dir.write("a.gguf", "GGUF" + little_endian(3, 4) + little_endian(0, 8) +
                                        little_endian(1, 8) + test::gguf_string("k") + value));
  ASSERT_FALSE(header.ok());
  EXPECT_TRUE(contains(header.error().message, "arrays in arrays"));
}

TEST(Gguf, CutAnywhereIsAnErrorAndNeverACrash) {
  const std::string text =
      gguf_file("wan", {{"b.weight", 12, {256, 3}, 0}, {"a.bias", 0, {2}, 448}}, 456);
  const test::TempDir dir;
  const auto file = dir.write("cut.gguf", text);
  EXPECT_TRUE(read_gguf(file).ok());
  for (std::size_t length = text.size(); length-- > 0;) {
    std::filesystem::resize_file(file, length);
    EXPECT_FALSE(read_gguf(file).ok()) << length;
  }
}

TEST(Gguf, FlippedBytesNeverCrash) {
  const std::string text = gguf_file("wan", {{"b.weight", 12, {256, 3}, 0}}, 432);
  const test::TempDir dir;
  for (std::size_t at = 0; at + 432 < text.size(); ++at) {
    for (const int flip : {1, 0x20, 0x80, 0xff}) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      (void)read_gguf(dir.write("flip.gguf", changed)).ok();
    }
  }
}

}  // namespace
}  // namespace ebb
