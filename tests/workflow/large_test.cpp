// SPDX-License-Identifier: Apache-2.0
// Large files: videos are read by seeking, JSON is bounded, memory stays small.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support.h"
#include "tests/workflow/graphs.h"

namespace ebb {
namespace {

constexpr std::int64_t kFourGiB = std::int64_t{4} << 30;
const std::string kApi = R"({"1":{"class_type":"VAELoader","inputs":{"vae_name":"x"}}})";

std::string big(std::size_t value, int width) {
  std::string out;
  for (int i = width - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}

std::string box(const std::string& type, const std::string& content) {
  return big(content.size() + 8, 4) + type + content;
}

/// A file of `size` bytes that takes no room but for the texts written at their offsets.
std::string sparse(const test::TempDir& folder, std::int64_t size,
                   const std::vector<std::pair<std::int64_t, std::string>>& parts) {
  const std::string path = (folder.path() / "large").string();
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  EXPECT_EQ(ftruncate(fd, static_cast<off_t>(size)), 0);
  for (const auto& [at, text] : parts) {
    EXPECT_EQ(pwrite(fd, text.data(), text.size(), static_cast<off_t>(at)), ssize_t(text.size()));
  }
  close(fd);
  return path;
}

std::int64_t peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

void expect_small_read(const std::string& path) {
  const std::int64_t before = peak_kib();
  const auto workflow = read_workflow(path);
  ASSERT_TRUE(workflow.ok()) << to_string(workflow.error());
  EXPECT_EQ(workflow->json(), kApi);
  EXPECT_LT(peak_kib() - before, 64 * 1024) << "KiB";
}

std::string movie_with_tags() {
  const std::string key = "prompt";
  const std::string keys = big(0, 4) + big(1, 4) + box("mdta", key);
  const std::string list =
      box(std::string("\0\0\0\1", 4), box("data", big(1, 4) + big(0, 4) + kApi));
  const std::string handler = box("hdlr", std::string(25, '\0'));
  return box("moov",
             box("udta", box("meta", big(0, 4) + handler + box("keys", keys) + box("ilst", list))));
}

TEST(Large, AVideoOfFourGibWithItsTagAtTheEndIsReadBySeeking) {
  const test::TempDir folder;
  const std::string start = box("ftyp", "isom" + big(512, 4));
  const std::string media = big(1, 4) + "mdat" + big(std::size_t(kFourGiB), 8);
  const auto at = static_cast<std::int64_t>(start.size());
  const std::string end = movie_with_tags();
  expect_small_read(sparse(folder, at + kFourGiB + std::int64_t(end.size()),
                           {{0, start}, {at, media}, {at + kFourGiB, end}}));
}

TEST(Large, SoIsAWebmWithItsTagsAtTheEnd) {
  const test::TempDir folder;
  const auto sized = [](const std::string& id, std::size_t size) {
    return id + "\x01" + big(size, 7);  // length in eight bytes
  };
  const auto whole = [&](const std::string& id, const std::string& content) {
    return sized(id, content.size()) + content;
  };
  const std::string simple =
      whole("\x67\xC8", whole("\x45\xA3", "PROMPT") + whole("\x44\x87", kApi));
  const std::string tags = whole("\x12\x54\xC3\x67", whole("\x73\x73", simple));
  const std::string head = "\x1a\x45\xdf\xa3\x80";
  const std::string cluster = sized("\x1F\x43\xB6\x75", std::size_t(kFourGiB));
  const std::string segment =
      sized("\x18\x53\x80\x67", cluster.size() + std::size_t(kFourGiB) + tags.size());
  const auto at = static_cast<std::int64_t>(head.size() + segment.size());
  const std::int64_t end = at + std::int64_t(cluster.size()) + kFourGiB;
  expect_small_read(sparse(folder, end + std::int64_t(tags.size()),
                           {{0, head + segment}, {at, cluster}, {end, tags}}));
}

TEST(Large, BoxesThatMakeNoSenseEndTheReading) {
  const test::TempDir folder;
  const std::string start = box("ftyp", "isom" + big(512, 4));
  const std::string path = sparse(folder, 64 << 20, {{0, start + big(3, 4) + "mdat"}});
  const auto workflow = read_workflow(path);
  ASSERT_FALSE(workflow.ok());
  EXPECT_EQ(workflow.error().message, "the MP4 carries no workflow");
}

TEST(Large, JsonBeyondHalfAGibIsRefusedBeforeItIsRead) {
  const test::TempDir folder;
  const std::int64_t before = peak_kib();
  const auto workflow =
      read_workflow(sparse(folder, (std::int64_t{512} << 20) + 1, {{0, "{\"nodes\":["}}));
  ASSERT_FALSE(workflow.ok());
  EXPECT_NE(workflow.error().message.find("are not read"), std::string::npos);
  EXPECT_LT(peak_kib() - before, 64 * 1024) << "KiB";
}

/// A tenth of the size that bench/ and docs/reading.md name: tests run on small machines.
TEST(Large, AGraphOfTenMegabytesIsConverted) {
  std::string nodes, links;
  constexpr int kNodes = 40'000;
  for (int i = 1; i <= kNodes; ++i) {
    const std::string id = std::to_string(i);
    nodes +=
        std::string(i > 1 ? "," : "") + R"({"id":)" + id +
        R"(,"type":"ImageInvert","pos":[0,0],"inputs":[{"name":"image","type":"IMAGE","link":)" +
        (i > 1 ? id : "null") +
        R"(}],"outputs":[{"name":"IMAGE","type":"IMAGE","links":[]}],"properties":{},)" +
        R"("widgets_values":[]})";
    if (i == 1) continue;
    links += std::string(i > 2 ? "," : "") + "[" + id + "," + std::to_string(i - 1) + ",0," + id +
             ",0,\"IMAGE\"]";
  }
  const Prompt prompt = test::convert(test::graph(nodes, links));
  EXPECT_EQ(prompt.nodes.size(), std::size_t(kNodes));
  EXPECT_EQ(test::input_value(prompt, "40000", "image"), "-> 39999:0");
}

}  // namespace
}  // namespace ebb
