// SPDX-License-Identifier: Apache-2.0
// PNG, JPEG, WebP, GIF, BMP and AVIF: width, height, how many pictures, and whether EXIF turns
// them. As LoadImage gives them: turned, and all pictures of an animation.
#include <algorithm>
#include <cstdlib>
#include <utility>

#include "workflow/embedded.h"
#include "workflow/media_size.h"

namespace ebb {
namespace {

constexpr std::int64_t kExifMax = 1 << 16;
constexpr int kPartsMax = 100'000;

std::optional<MediaSize> made(std::size_t width, std::size_t height) {
  constexpr std::size_t kSideMax = 1 << 20;
  if (width < 1 || height < 1 || width > kSideMax || height > kSideMax) return std::nullopt;
  MediaSize size;
  size.width = static_cast<std::int64_t>(width);
  size.height = static_cast<std::int64_t>(height);
  return size;
}

std::optional<MediaSize> turned_by_exif(std::optional<MediaSize> size, std::string_view exif) {
  if (exif.starts_with(std::string_view("Exif\0\0", 6))) exif.remove_prefix(6);
  return size ? std::optional(turned(*size, orientation_of(exif))) : size;
}

}  // namespace

int orientation_of(std::string_view tiff) {
  constexpr std::size_t kOrientation = 0x0112, kEntriesMax = 1000;
  if (tiff.size() < 8 || (!tiff.starts_with("II") && !tiff.starts_with("MM"))) return 1;
  const auto number = [&](std::size_t at, std::size_t width) -> std::size_t {
    if (at > tiff.size() || tiff.size() - at < width) return 0;
    const auto bytes = tiff.substr(at, width);
    return tiff[0] == 'I' ? little_endian(bytes, width) : big_endian(bytes, width);
  };
  const std::size_t directory = number(4, 4);
  const std::size_t entries = std::min(number(directory, 2), kEntriesMax);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (number(entry, 2) != kOrientation) continue;
    const std::size_t value = number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

MediaSize turned(MediaSize size, int orientation) {
  if (orientation >= 5) std::swap(size.width, size.height);
  return size;
}

std::optional<MediaSize> size_of_png(Window& file) {
  auto size = made(file.big(16, 4), file.big(20, 4));
  std::int64_t at = 8;
  for (int i = 0; size && i < kPartsMax && at < file.size(); ++i) {
    const auto length = static_cast<std::int64_t>(file.big(at, 4));
    const std::string type(file.at(at + 4, 4));
    if (type == "IDAT" || type == "IEND") break;
    if (type == "acTL") size->frames = std::max<std::int64_t>(1, file.big(at + 8, 4));
    if (type == "eXIf") size = turned_by_exif(size, file.at(at + 8, std::min(length, kExifMax)));
    at += 12 + length;
  }
  return size;
}

std::optional<MediaSize> size_of_jpeg(Window& file) {
  std::int64_t at = 2;
  int orientation = 1;
  for (int i = 0; i < kPartsMax && at + 4 <= file.size(); ++i) {
    if (file.big(at, 1) != 0xFF) return std::nullopt;
    const std::size_t marker = file.big(at + 1, 1);
    if (marker == 0xFF) {  // a filling byte
      ++at;
      continue;
    }
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {  // these have no length
      at += 2;
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) return std::nullopt;
    const auto length = static_cast<std::int64_t>(file.big(at + 2, 2));
    if (length < 2) return std::nullopt;
    const bool frame =
        marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (frame) {
      const auto size = made(file.big(at + 7, 2), file.big(at + 5, 2));
      return size ? std::optional(turned(*size, orientation)) : size;
    }
    if (marker == 0xE1 && orientation == 1) {
      const auto text = file.at(at + 4, length - 2);
      if (text.starts_with(std::string_view("Exif\0\0", 6))) {
        orientation = orientation_of(text.substr(6));
      }
    }
    at += 2 + length;
  }
  return std::nullopt;
}

std::optional<MediaSize> size_of_webp(Window& file) {
  std::optional<MediaSize> size;
  std::int64_t at = 12, pictures = 0;
  for (int i = 0; i < kPartsMax && at + 8 <= file.size(); ++i) {
    const std::string type(file.at(at, 4));
    const auto length = static_cast<std::int64_t>(file.little(at + 4, 4));
    const std::int64_t data = at + 8;
    if (type == "VP8X") {
      size = made(file.little(data + 4, 3) + 1, file.little(data + 7, 3) + 1);
    } else if (type == "VP8 " && !size) {
      return made(file.little(data + 6, 2) & 0x3FFF, file.little(data + 8, 2) & 0x3FFF);
    } else if (type == "VP8L" && !size) {
      const std::size_t bits = file.little(data + 1, 4);
      return made((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1);
    } else if (type == "ANMF") {
      ++pictures;
    } else if (type == "EXIF") {
      size = turned_by_exif(size, file.at(data, std::min(length, kExifMax)));
    }
    at = data + length + length % 2;
  }
  if (size) size->frames = std::max<std::int64_t>(1, pictures);
  return size;
}

std::optional<MediaSize> size_of_gif(Window& file) {
  auto size = made(file.little(6, 2), file.little(8, 2));
  const auto colours = [&](std::size_t flags) {
    return flags & 0x80 ? std::int64_t{3} << ((flags & 7) + 1) : 0;
  };
  std::int64_t at = 13 + colours(file.big(10, 1)), pictures = 0;
  for (int i = 0; size && i < kPartsMax && at < file.size(); ++i) {
    const std::size_t kind = file.big(at, 1);
    if (kind == 0x2C) {
      ++pictures;
      at += 10 + colours(file.big(at + 9, 1)) + 1;
    } else if (kind == 0x21) {
      at += 2;
    } else {
      break;
    }
    while (at < file.size()) {  // blocks, each behind its length
      const auto length = static_cast<std::int64_t>(file.big(at, 1));
      at += 1 + length;
      if (length == 0) break;
    }
  }
  if (size) size->frames = std::max<std::int64_t>(1, pictures);
  return size;
}

std::optional<MediaSize> size_of_bmp(Window& file) {
  if (file.little(14, 4) == 12) return made(file.little(18, 2), file.little(20, 2));
  const auto height = static_cast<std::int32_t>(file.little(22, 4));  // below 0: from the top down
  return made(file.little(18, 4), static_cast<std::size_t>(std::llabs(height)));
}

namespace {

/// The properties of the main picture, numbered from 1 in `ipco`.
std::vector<std::size_t> main_properties(Window& file, const BoxAt& meta, const BoxAt& iprp) {
  std::vector<std::size_t> numbers;
  const auto main = find_box(file, meta.from + 4, meta.to, "pitm");
  const auto table = find_box(file, iprp.from, iprp.to, "ipma");
  if (!main || !table) return numbers;
  const std::size_t wanted =
      file.big(main->from, 1) == 0 ? file.big(main->from + 4, 2) : file.big(main->from + 4, 4);
  const bool long_ids = file.big(table->from, 1) > 0;
  const bool long_numbers = file.big(table->from + 3, 1) & 1;
  constexpr std::size_t kItemsMax = 10'000;
  const std::size_t items = std::min(file.big(table->from + 4, 4), kItemsMax);
  std::int64_t at = table->from + 8;
  for (std::size_t i = 0; i < items && at < table->to; ++i) {
    const std::size_t id = file.big(at, long_ids ? 4 : 2);
    at += long_ids ? 4 : 2;
    const std::size_t count = file.big(at++, 1);
    for (std::size_t k = 0; k < count && at < table->to; ++k) {
      const std::size_t number = long_numbers ? file.big(at, 2) & 0x7FFF : file.big(at, 1) & 0x7F;
      at += long_numbers ? 2 : 1;
      if (id == wanted) numbers.push_back(number);
    }
  }
  return numbers;
}

}  // namespace

std::optional<MediaSize> size_of_avif(Window& file) {
  const auto meta = find_box(file, 0, file.size(), "meta");
  if (!meta) return std::nullopt;
  const auto iprp = find_box(file, meta->from + 4, meta->to, "iprp");
  const auto list = iprp ? find_box(file, iprp->from, iprp->to, "ipco") : std::nullopt;
  if (!list) return std::nullopt;
  const auto wanted = main_properties(file, *meta, *iprp);
  std::optional<MediaSize> size;
  bool on_its_side = false;
  std::int64_t at = list->from;
  for (std::size_t number = 1; auto box = next_box(file, at, list->to); ++number) {
    const bool ours = std::find(wanted.begin(), wanted.end(), number) != wanted.end();
    if (!ours && !(wanted.empty() && !size)) continue;
    if (box->type == "ispe") size = made(file.big(box->from + 4, 4), file.big(box->from + 8, 4));
    if (box->type == "irot") on_its_side = file.big(box->from, 1) % 2 == 1;
  }
  if (!size) return size;
  return turned(*size, on_its_side ? 6 : 1);
}

}  // namespace ebb
