// SPDX-License-Identifier: Apache-2.0
// EXIF in WebP, JPEG and AVIF. A TIFF header (II or MM, 42, offset of the first directory), then
// directories: count (2), entries of tag (2), type (2), count (4), value or its offset (4).
// ComfyUI writes texts such as `workflow:{...}` into tags of text type.
#include <algorithm>

#include "base/text.h"
#include "workflow/embedded.h"

namespace ebb {
namespace {

constexpr std::size_t kEntriesMax = 1000;        // of one directory
constexpr std::size_t kEntriesOfFile = 100'000;  // chance makes marks in compressed pictures
constexpr std::size_t kKeyMax = 10;
constexpr unsigned kText = 2, kUndefined = 7, kExifDirectory = 0x8769;

/// Texts as they stand in the file: entries may name the same bytes over and over, so that they
/// are looked through and copied once, at the end.
class PrefixedTexts {
 public:
  /// `workflow:{...}` or `Prompt: {...}`; anything else is passed over.
  void keep(std::string_view text) {
    if (text.starts_with(std::string_view("ASCII\0\0\0", 8))) text.remove_prefix(8);
    const auto colon = text.substr(0, kKeyMax + 1).find(':');
    if (colon == text.npos) return;
    const auto key = trim(text.substr(0, colon));
    if (equal_ignoring_case(key, "workflow")) workflow_ = text.substr(colon + 1);
    if (equal_ignoring_case(key, "prompt")) prompt_ = text.substr(colon + 1);
  }
  bool empty() const { return workflow_.empty() && prompt_.empty(); }
  void put(EmbeddedTexts& texts) const {
    if (!workflow_.empty()) texts.workflow = bare(workflow_);
    if (!prompt_.empty()) texts.prompt = bare(prompt_);
  }

 private:
  static std::string_view bare(std::string_view text) {
    while (text.ends_with('\0')) text.remove_suffix(1);
    return trim(text);
  }
  std::string_view workflow_, prompt_;
};

class Tiff {
 public:
  Tiff(std::string_view bytes, std::size_t& entries_left)
      : bytes_(bytes), little_(bytes.starts_with("II")), entries_left_(entries_left) {}

  void read(PrefixedTexts& texts) const {
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
  std::size_t read_directory(std::size_t at, PrefixedTexts& texts) const {
    std::size_t inner = 0;
    const std::size_t count = std::min({number(at, 2), kEntriesMax, entries_left_});
    entries_left_ -= count;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t entry = at + 2 + 12 * i;
      const std::size_t type = number(entry + 2, 2), length = number(entry + 4, 4);
      const std::size_t value = number(entry + 8, 4);
      if (number(entry, 2) == kExifDirectory) inner = value;
      if ((type != kText && type != kUndefined) || length <= 4) continue;
      if (value > bytes_.size()) continue;
      texts.keep(bytes_.substr(value, length));
    }
    return inner;
  }

  std::string_view bytes_;
  bool little_;
  std::size_t& entries_left_;
};

/// The texts of one file, of however many directories.
class Exif {
 public:
  void read(std::string_view bytes) {
    if (bytes.starts_with(std::string_view("Exif\0\0", 6))) bytes.remove_prefix(6);
    Tiff(bytes, entries_left_).read(texts_);
  }
  bool empty() const { return texts_.empty(); }
  void put(EmbeddedTexts& texts) const { texts_.put(texts); }

 private:
  std::size_t entries_left_ = kEntriesOfFile;
  PrefixedTexts texts_;
};

}  // namespace

EmbeddedTexts read_webp(std::string_view bytes) {
  EmbeddedTexts texts;
  Exif exif;
  bytes.remove_prefix(std::min<std::size_t>(12, bytes.size()));
  while (bytes.size() >= 8) {
    const std::size_t length = little_endian(bytes.substr(4), 4);
    if (bytes.starts_with("EXIF")) exif.read(bytes.substr(8, length));
    const std::size_t step = 8 + length + length % 2;
    if (step > bytes.size()) {
      texts.truncated = true;
      break;
    }
    bytes.remove_prefix(step);
  }
  exif.put(texts);
  return texts;
}

EmbeddedTexts read_jpeg(std::string_view bytes) {
  EmbeddedTexts texts;
  Exif exif;
  bytes.remove_prefix(2);
  while (bytes.size() >= 4 && bytes[0] == '\xff' && bytes[1] != '\xda') {
    const std::size_t length = big_endian(bytes.substr(2), 2);
    if (bytes[1] == '\xe1' && length >= 2) exif.read(bytes.substr(4, length - 2));
    if (length < 2 || length + 2 > bytes.size()) break;
    bytes.remove_prefix(length + 2);
  }
  exif.put(texts);
  return texts;
}

/// The EXIF item of an AVIF is found by its own mark, wherever the item table puts it.
EmbeddedTexts read_avif(std::string_view bytes) {
  EmbeddedTexts texts;
  Exif exif;
  for (const auto mark : {std::string_view("MM\0*", 4), std::string_view("II*\0", 4)}) {
    for (std::size_t at = bytes.find(mark); at != bytes.npos && exif.empty();
         at = bytes.find(mark, at + 1)) {
      exif.read(bytes.substr(at));
    }
  }
  exif.put(texts);
  return texts;
}

}  // namespace ebb
