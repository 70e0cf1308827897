// SPDX-License-Identifier: Apache-2.0
// MP4, MOV and M4V. Boxes: length (4, big endian), type (4), content. moov/udta/meta or moov/meta
// has `keys` (names) and `ilst`, whose items are numbered by key, or called (c)cmt for a comment;
// an item's `data` box has type (4), locale (4) and the text.
#include <algorithm>
#include <vector>

#include "base/text.h"
#include "workflow/embedded.h"

namespace ebb {
namespace {

constexpr int kDepthMax = 8;
constexpr std::size_t kKeysMax = 10'000;

struct Box {
  std::string_view type, content;
};

/// Takes the next box off `bytes`; false at the end or where the bytes make no sense.
bool next_box(std::string_view& bytes, Box& box) {
  if (bytes.size() < 8) return false;
  std::size_t length = big_endian(bytes, 4), head = 8;
  box.type = bytes.substr(4, 4);
  if (length == 1 && bytes.size() >= 16) {
    length = big_endian(bytes.substr(8), 8);
    head = 16;
  }
  if (length == 0) length = bytes.size();
  if (length < head) return false;
  length = std::min(length, bytes.size());
  box.content = bytes.substr(head, length - head);
  bytes.remove_prefix(length);
  return true;
}

std::vector<std::string_view> read_keys(std::string_view content) {
  std::vector<std::string_view> keys;
  content.remove_prefix(std::min<std::size_t>(8, content.size()));
  Box box;
  while (keys.size() < kKeysMax && next_box(content, box)) keys.push_back(box.content);
  return keys;
}

void read_items(std::string_view list, const std::vector<std::string_view>& keys,
                EmbeddedTexts& texts) {
  Box item, data;
  while (next_box(list, item)) {
    std::string_view inner = item.content;
    if (!next_box(inner, data) || data.type != "data" || data.content.size() < 8) continue;
    const auto text = data.content.substr(8);
    const std::size_t number = big_endian(item.type, 4);
    if (item.type ==
        "\xa9"
        "cmt") {
      keep_wrapper(texts, text);
    } else if (number >= 1 && number <= keys.size()) {
      const auto key = keys[number - 1];
      keep_text(texts, key, text);
      if (equal_ignoring_case(key, "comment")) keep_wrapper(texts, text);
    }
  }
}

void walk(std::string_view bytes, int depth, EmbeddedTexts& texts) {
  std::vector<std::string_view> keys;
  Box box;
  while (depth < kDepthMax && next_box(bytes, box)) {
    if (box.type == "moov" || box.type == "udta") {
      walk(box.content, depth + 1, texts);
    } else if (box.type == "meta") {
      // In MP4 four bytes of version and flags come first, in MOV they do not.
      const bool full = box.content.size() >= 8 && box.content.substr(4, 4) != "hdlr";
      walk(box.content.substr(full ? 4 : 0), depth + 1, texts);
    } else if (box.type == "keys") {
      keys = read_keys(box.content);
    } else if (box.type == "ilst") {
      read_items(box.content, keys, texts);
    }
  }
}

}  // namespace

EmbeddedTexts read_mp4(std::string_view bytes) {
  EmbeddedTexts texts;
  walk(bytes, 0, texts);
  return texts;
}

}  // namespace ebb
