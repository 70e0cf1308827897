// SPDX-License-Identifier: Apache-2.0
// PNG and APNG. Eight bytes of signature, then chunks: length (4, big endian), type (4), data,
// checksum (4). tEXt: key\0text. zTXt: key\0method\0zlib. iTXt: key\0 compressed, method,
// language\0 translated key\0 text. comf (ComfyUI's own, in APNG): key\0text.
#include <zlib.h>

#include <algorithm>

#include "workflow/embedded.h"

namespace ebb {
namespace {

constexpr std::size_t kInflatedMax = std::size_t{256} << 20;

/// What zlib unpacks, bounded; what can be read of a damaged stream counts.
std::string inflate_text(std::string_view packed) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string text;
  char buffer[1 << 15];
  int status = Z_OK;
  while (status == Z_OK && text.size() < kInflatedMax) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof buffer;
    status = inflate(&stream, Z_NO_FLUSH);
    text.append(buffer, sizeof buffer - stream.avail_out);
  }
  inflateEnd(&stream);
  return text;
}

/// Splits off what stands before the first zero byte.
std::string_view take_field(std::string_view& data) {
  const auto end = std::min(data.find('\0'), data.size());
  const auto field = data.substr(0, end);
  data.remove_prefix(std::min(end + 1, data.size()));
  return field;
}

void read_text_chunk(std::string_view type, std::string_view data, EmbeddedTexts& texts) {
  const auto key = take_field(data);
  if (type == "tEXt" || type == "comf") return keep_text(texts, key, data);
  if (data.empty()) return;
  if (type == "zTXt") return keep_text(texts, key, inflate_text(data.substr(1)));
  if (data.size() < 2) return;
  const bool packed = data[0] == 1;
  data.remove_prefix(2);
  take_field(data);  // language
  take_field(data);  // translated key
  keep_text(texts, key, packed ? inflate_text(data) : std::string(data));
}

}  // namespace

EmbeddedTexts read_png(std::string_view bytes) {
  EmbeddedTexts texts;
  bytes.remove_prefix(8);
  while (bytes.size() >= 12) {
    const std::size_t length = big_endian(bytes, 4);
    const auto type = bytes.substr(4, 4);
    const bool whole = length <= bytes.size() - 12;
    const auto data = bytes.substr(8, whole ? length : bytes.size() - 8);
    if (type == "tEXt" || type == "zTXt" || type == "iTXt" || type == "comf") {
      read_text_chunk(type, data, texts);
    }
    if (type == "IEND") return texts;
    if (!whole) break;
    bytes.remove_prefix(12 + length);
  }
  texts.truncated = true;
  return texts;
}

}  // namespace ebb
