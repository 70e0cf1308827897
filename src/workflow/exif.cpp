// SPDX-License-Identifier: Apache-2.0
// EXIF in WebP, JPEG and AVIF. A TIFF header (II or MM, 42, offset of the first directory), then
// directories: count (2), entries of tag (2), type (2), count (4), value or its offset (4).
// ComfyUI writes texts such as `workflow:{...}` into tags of text type.
#include <algorithm>

#include "base/text.h"
#include "workflow/embedded.h"

namespace ebb {
namespace {

constexpr std::size_t kEntriesMax = 1000;
constexpr unsigned kText = 2, kUndefined = 7, kExifDirectory = 0x8769;

class Tiff {
 public:
  explicit Tiff(std::string_view bytes) : bytes_(bytes), little_(bytes.starts_with("II")) {}

  void read(EmbeddedTexts& texts) const {
    if (bytes_.size() < 8) return;
    const std::size_t inner = read_directory(number(4, 4), texts);
    if (inner != 0) read_directory(inner, texts);
  }

 private:
  std::size_t number(std::size_t at, std::size_t width) const {
    if (at > bytes_.size() || bytes_.size() - at < width) return 0;
    std::size_t value = 0;
    for (std::size_t i = 0; i < width; ++i) {
      const auto byte = static_cast<unsigned char>(bytes_[at + (little_ ? width - 1 - i : i)]);
      value = value << 8 | byte;
    }
    return value;
  }

  /// Returns where the inner EXIF directory is, 0 if there is none.
  std::size_t read_directory(std::size_t at, EmbeddedTexts& texts) const {
    std::size_t inner = 0;
    const std::size_t count = std::min(number(at, 2), kEntriesMax);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t entry = at + 2 + 12 * i;
      const std::size_t type = number(entry + 2, 2), length = number(entry + 4, 4);
      const std::size_t value = number(entry + 8, 4);
      if (number(entry, 2) == kExifDirectory) inner = value;
      if ((type != kText && type != kUndefined) || length <= 4) continue;
      if (value > bytes_.size()) continue;
      keep_prefixed(texts, bytes_.substr(value, length));
    }
    return inner;
  }

  std::string_view bytes_;
  bool little_;
};

void read_tiff(std::string_view bytes, EmbeddedTexts& texts) {
  if (bytes.starts_with(std::string_view("Exif\0\0", 6))) bytes.remove_prefix(6);
  Tiff(bytes).read(texts);
}

}  // namespace

/// `workflow:{...}` or `Prompt: {...}`.
void keep_prefixed(EmbeddedTexts& texts, std::string_view text) {
  if (text.starts_with(std::string_view("ASCII\0\0\0", 8))) text.remove_prefix(8);
  const auto colon = text.find(':');
  if (colon == text.npos || colon > 10) return;
  while (text.ends_with('\0')) text.remove_suffix(1);
  keep_text(texts, trim(text.substr(0, colon)), trim(text.substr(colon + 1)));
}

EmbeddedTexts read_webp(std::string_view bytes) {
  EmbeddedTexts texts;
  bytes.remove_prefix(std::min<std::size_t>(12, bytes.size()));
  while (bytes.size() >= 8) {
    const std::size_t length = little_endian(bytes.substr(4), 4);
    if (bytes.starts_with("EXIF")) read_tiff(bytes.substr(8, length), texts);
    const std::size_t step = 8 + length + length % 2;
    if (step > bytes.size()) {
      texts.truncated = true;
      break;
    }
    bytes.remove_prefix(step);
  }
  return texts;
}

EmbeddedTexts read_jpeg(std::string_view bytes) {
  EmbeddedTexts texts;
  bytes.remove_prefix(2);
  while (bytes.size() >= 4 && bytes[0] == '\xff' && bytes[1] != '\xda') {
    const std::size_t length = big_endian(bytes.substr(2), 2);
    if (bytes[1] == '\xe1' && length >= 2) read_tiff(bytes.substr(4, length - 2), texts);
    if (length < 2 || length + 2 > bytes.size()) break;
    bytes.remove_prefix(length + 2);
  }
  return texts;
}

/// The EXIF item of an AVIF is found by its own mark, wherever the item table puts it.
EmbeddedTexts read_avif(std::string_view bytes) {
  EmbeddedTexts texts;
  for (const auto mark : {std::string_view("MM\0*", 4), std::string_view("II*\0", 4)}) {
    for (std::size_t at = bytes.find(mark); at != bytes.npos; at = bytes.find(mark, at + 1)) {
      Tiff(bytes.substr(at)).read(texts);
      if (!texts.workflow.empty() || !texts.prompt.empty()) return texts;
    }
  }
  return texts;
}

}  // namespace ebb
