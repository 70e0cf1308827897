// SPDX-License-Identifier: Apache-2.0
// WebM and Matroska (EBML): id (1-4 bytes, leading zeros tell how many), length (1-8 bytes, the
// same way), content. Segment / Tags / Tag / SimpleTag has TagName and TagString.
#include <algorithm>
#include <bit>

#include "base/text.h"
#include "workflow/embedded.h"

namespace ebb {
namespace {

constexpr int kDepthMax = 4;
constexpr std::size_t kSegment = 0x18538067, kTags = 0x1254C367, kTag = 0x7373, kSimple = 0x67C8,
                      kName = 0x45A3, kString = 0x4487;

/// Takes a number of variable length off `bytes`; -1 if there is none. An id keeps its marker.
std::int64_t take_number(std::string_view& bytes, bool keep_marker, bool* unknown = nullptr) {
  if (bytes.empty() || bytes[0] == 0) return -1;
  const auto first = static_cast<unsigned char>(bytes[0]);
  const auto width = static_cast<std::size_t>(std::countl_zero(first)) + 1;
  if (bytes.size() < width) return -1;
  auto value = static_cast<std::int64_t>(big_endian(bytes, width));
  bytes.remove_prefix(width);
  if (keep_marker) return value;
  const auto all = (std::int64_t{1} << (7 * width)) - 1;
  value &= all;
  if (unknown) *unknown = value == all;
  return value;
}

struct Element {
  std::size_t id = 0;
  std::string_view content;
};

bool next_element(std::string_view& bytes, Element& element) {
  const auto id = take_number(bytes, true);
  bool unknown = false;
  const auto length = id < 0 ? -1 : take_number(bytes, false, &unknown);
  if (length < 0) return false;
  const auto end =
      unknown ? bytes.size() : std::min(static_cast<std::size_t>(length), bytes.size());
  element = {static_cast<std::size_t>(id), bytes.substr(0, end)};
  bytes.remove_prefix(end);
  return true;
}

void read_simple(std::string_view bytes, EmbeddedTexts& texts) {
  std::string_view name, text;
  Element element;
  while (next_element(bytes, element)) {
    if (element.id == kName) name = element.content;
    if (element.id == kString) text = element.content;
  }
  keep_text(texts, name, text);
  if (equal_ignoring_case(name, "comment")) keep_wrapper(texts, text);
}

void walk(std::string_view bytes, int depth, EmbeddedTexts& texts) {
  Element element;
  while (next_element(bytes, element)) {
    if (element.id == kSimple) read_simple(element.content, texts);
    const bool outer = element.id == kSegment || element.id == kTags || element.id == kTag;
    if (outer && depth < kDepthMax) walk(element.content, depth + 1, texts);
  }
}

}  // namespace

EmbeddedTexts read_webm(std::string_view bytes) {
  EmbeddedTexts texts;
  walk(bytes, 0, texts);
  return texts;
}

}  // namespace ebb
