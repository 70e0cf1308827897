// SPDX-License-Identifier: Apache-2.0
// Large videos: only the boxes that may hold texts are read, the pictures between them are passed
// by seeking. The result is a small file of the same kind.
#include <algorithm>
#include <cassert>
#include <optional>

#include "ebb/file.h"
#include "workflow/embedded.h"

namespace ebb {
namespace {

constexpr std::int64_t kBoxesMax = 200'000;
constexpr std::int64_t kTextsMax = std::int64_t{256} << 20;  // bytes kept of one file
constexpr std::int64_t kHeadBytes = 16;                      // longest head of a box

struct Head {
  std::string type;         ///< of an MP4 box
  std::size_t id = 0;       ///< of a WebM element
  std::int64_t head = 0;    ///< bytes of the head itself
  std::int64_t length = 0;  ///< bytes with the head; -1: to the end of the file
};

std::optional<Head> mp4_head(std::string_view bytes) {
  if (bytes.size() < 8) return std::nullopt;
  Head head{std::string(bytes.substr(4, 4)), 0, 8, 0};
  const std::size_t length = big_endian(bytes, 4);
  head.length = length == 0 ? -1 : static_cast<std::int64_t>(length);
  if (length == 1) {
    if (bytes.size() < 16) return std::nullopt;
    head.length = static_cast<std::int64_t>(big_endian(bytes.substr(8), 8));
    head.head = 16;
  }
  if (head.length >= 0 && head.length < head.head) return std::nullopt;
  return head;
}

/// A number of variable length: leading zero bits tell its width.
std::optional<std::int64_t> ebml_number(std::string_view& bytes, bool keep_marker) {
  if (bytes.empty() || bytes[0] == 0) return std::nullopt;
  std::size_t width = 1;
  for (auto first = static_cast<unsigned char>(bytes[0]); !(first & 0x80U); ++width) {
    first = static_cast<unsigned char>(first << 1U);
  }
  if (bytes.size() < width) return std::nullopt;
  auto value = static_cast<std::int64_t>(big_endian(bytes, width));
  bytes.remove_prefix(width);
  if (keep_marker) return value;
  const auto all = (std::int64_t{1} << (7 * width)) - 1;
  value &= all;
  return value == all ? -1 : value;
}

std::optional<Head> webm_head(std::string_view bytes) {
  const std::size_t before = bytes.size();
  const auto id = ebml_number(bytes, true);
  const auto length = id ? ebml_number(bytes, false) : std::nullopt;
  if (!length) return std::nullopt;
  Head head{
      {}, static_cast<std::size_t>(*id), static_cast<std::int64_t>(before - bytes.size()), -1};
  if (*length >= 0) head.length = *length + head.head;
  return head;
}

/// Keeps the whole boxes that `wanted` picks, enters those that `entered` picks.
template <class ReadHead, class Wanted, class Entered>
Result<std::string> skim(const std::string& path, std::int64_t size, std::string kept,
                         ReadHead read_head, Wanted wanted, Entered entered) {
  std::int64_t at = 0;
  for (std::int64_t boxes = 0; at < size && boxes < kBoxesMax; ++boxes) {
    const auto bytes = read_range(path, at, kHeadBytes);
    if (!bytes) return bytes.error();
    const auto head = read_head(*bytes);
    if (!head) break;
    const std::int64_t length = head->length < 0 ? size - at : std::min(head->length, size - at);
    if (entered(*head)) {
      at += head->head;
      continue;
    }
    if (wanted(*head) && static_cast<std::int64_t>(kept.size()) + length <= kTextsMax) {
      const auto box = read_range(path, at, length);
      if (!box) return box.error();
      kept += *box;
    }
    if (head->length < 0) break;
    at += length;
  }
  return kept;
}

}  // namespace

Result<std::string> skim_media(const std::string& path, std::string_view kind,
                               std::int64_t size_bytes) {
  if (kind == "MP4") {
    return skim(
        path, size_bytes, {}, mp4_head,
        [](const Head& head) {
          return head.type == "ftyp" || head.type == "moov" || head.type == "udta" ||
                 head.type == "meta";
        },
        [](const Head&) { return false; });
  }
  assert(kind == "WebM");
  constexpr std::size_t kSegment = 0x18538067, kTags = 0x1254C367;
  return skim(
      path, size_bytes, "\x1a\x45\xdf\xa3\x80", webm_head,
      [](const Head& head) { return head.id == kTags; },
      [](const Head& head) { return head.id == kSegment; });
}

}  // namespace ebb
