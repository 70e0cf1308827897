// SPDX-License-Identifier: Apache-2.0
// Containers that the corpus has no file of, built here byte by byte from their specifications.
#include <gtest/gtest.h>

#include "tests/support.h"
#include "tests/workflow/graphs.h"

namespace ebb {
namespace {

const std::string kApi = R"({"1":{"class_type":"VAELoader","inputs":{"vae_name":"x"}}})";
const std::string kZero(1, '\0');

std::string big(std::size_t value, int width) {
  std::string out;
  for (int i = width - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}

std::string little(std::size_t value, int width) {
  const std::string reversed = big(value, width);
  return {reversed.rbegin(), reversed.rend()};
}

/// Reads as the API prompt; so do all cuts of it without a crash.
void expect_prompt(const std::string& bytes) {
  const auto workflow = parse_workflow(bytes, "m");
  ASSERT_TRUE(workflow.ok()) << to_string(workflow.error());
  EXPECT_EQ(workflow->json(), kApi);
  for (std::size_t n = 0; n < bytes.size(); ++n) (void)parse_workflow(bytes.substr(0, n), "m");
}

std::string vorbis_comments() {
  const std::string comment = "PROMPT=" + kApi;
  return little(4, 4) + "test" + little(2, 4) + little(3, 4) + "A=b" + little(comment.size(), 4) +
         comment;
}

TEST(Media, Flac) {
  const std::string block = vorbis_comments();
  expect_prompt("fLaC" + kZero + big(2, 3) + "si" + "\x84" + big(block.size(), 3) + block);
}

std::string ogg_page(const std::string& lengths, const std::string& body) {
  return "OggS" + std::string(22, '\0') + static_cast<char>(lengths.size()) + lengths + body;
}

TEST(Media, OggWithCommentsThatSpanPages) {
  std::string packet = "OpusTags" + vorbis_comments();
  packet.resize(300, ' ');
  expect_prompt(ogg_page("\x08", "OpusHead") + ogg_page("\xff", packet.substr(0, 255)) +
                ogg_page(std::string(1, '\x2d'), packet.substr(255)));
}

TEST(Media, Mp3InBothVersionsOfItsTags) {
  const std::string value = "\x03prompt" + kZero + kApi;
  const std::string frame = "TXXX" + big(value.size(), 4) + big(0, 2) + value;  // below 128 bytes
  ASSERT_LT(frame.size(), 128u);
  const std::string rest = kZero + kZero + big(frame.size(), 4) + frame;
  expect_prompt("ID3\x03" + rest);
  expect_prompt("ID3\x04" + rest);
}

std::string element(const std::string& id, const std::string& content) {
  return id + "\x40" + big(content.size(), 1) + content;
}

TEST(Media, WebmOfKnownAndUnknownLength) {
  const std::string simple =
      element("\x67\xc8", element("\x45\xa3", "PROMPT") + element("\x44\x87", kApi));
  const std::string tags = element("\x12\x54\xc3\x67", element("\x73\x73", simple));
  const std::string head = element("\x1a\x45\xdf\xa3", "");
  expect_prompt(head + element("\x18\x53\x80\x67", tags));
  expect_prompt(head + "\x18\x53\x80\x67\x01" + std::string(7, '\xff') + tags);
}

std::string exif(const std::string& text) {
  return "MM" + big(42, 2) + big(8, 4) + big(1, 2) + big(0x0110, 2) + big(2, 2) +
         big(text.size(), 4) + big(26, 4) + big(0, 4) + text;
}

TEST(Media, Jpeg) {
  const std::string data = std::string("Exif\0\0", 6) + exif("prompt:" + kApi + kZero);
  expect_prompt("\xff\xd8\xff\xe1" + big(data.size() + 2, 2) + data + "\xff\xda");
}

TEST(Media, AnMp3TextThatEndsWithinItsMarkIsNoText) {
  // Found by fuzzing: two-byte letters, and the zero between key and value in the last byte.
  const std::string value("\1key\0\0", 6);
  const std::string frame = "TXXX" + big(value.size(), 4) + big(0, 2) + value;
  const std::string tag = "ID3\3" + big(0, 2) + big(frame.size(), 4) + frame;
  EXPECT_FALSE(parse_workflow(tag, "a.mp3").ok());
}

TEST(Media, SafetensorsAreReadByTheirHeaderAlone) {
  std::string quoted;
  for (const char c : kApi) quoted += c == '"' ? "\\\"" : std::string(1, c);
  const std::string header = "{\"__metadata__\":{\"prompt\":\"" + quoted + "\"}}";
  const std::string file = little(header.size(), 8) + header;
  expect_prompt(file);
  const test::TempDir folder;
  EXPECT_TRUE(read_workflow(folder.write("a.latent", file + std::string(100, '\0'))).ok());
}

}  // namespace
}  // namespace ebb
