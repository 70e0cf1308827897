// SPDX-License-Identifier: Apache-2.0
// PNG and APNG. Eight bytes of signature, then chunks: length (4, big endian), type (4), data,
// checksum (4). tEXt: key\0text. zTXt: key\0method\0zlib. iTXt: key\0 compressed, method,
// language\0 translated key\0 text. comf (ComfyUI's own, in APNG): key\0text.
#include <zlib.h>

#include <algorithm>

#include "base/text.h"
#include "workflow/embedded.h"

namespace ebb {
namespace {

// Workflows shrink to a fifth or a tenth; zlib packs up to a thousand bytes into one.
constexpr std::size_t kUnpackedMax = std::size_t{8} << 20, kUnpackedPerByte = 8;

/// What zlib unpacks, at most `max` bytes and one; what can be read of a damaged stream counts.
std::string inflate_text(std::string_view packed, std::size_t max) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string text;
  char buffer[1 << 15];
  int status = Z_OK;
  while (status == Z_OK && text.size() <= max) {
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

/// A text as it stands in the file.
struct Chunk {
  std::string_view data;
  bool packed = false;
};

/// Of texts of one name the last counts; only that one is unpacked.
struct Chunks {
  Chunk workflow, prompt;

  void keep(std::string_view key, const Chunk& chunk) {
    if (equal_ignoring_case(key, "workflow")) workflow = chunk;
    if (equal_ignoring_case(key, "prompt")) prompt = chunk;
  }

  EmbeddedTexts texts() const {
    EmbeddedTexts texts;
    texts.workflow = unpack(workflow, texts);
    texts.prompt = unpack(prompt, texts);
    return texts;
  }

 private:
  static std::string unpack(const Chunk& chunk, EmbeddedTexts& texts) {
    if (!chunk.packed) return std::string(chunk.data);
    const std::size_t max = kUnpackedMax + kUnpackedPerByte * chunk.data.size();
    std::string text = inflate_text(chunk.data, max);
    if (text.size() <= max) return text;
    texts.too_large = true;
    return {};
  }
};

void read_text_chunk(std::string_view type, std::string_view data, Chunks& chunks) {
  const auto key = take_field(data);
  if (type == "tEXt" || type == "comf") return chunks.keep(key, {data, false});
  if (data.empty()) return;
  if (type == "zTXt") return chunks.keep(key, {data.substr(1), true});
  if (data.size() < 2) return;
  const bool packed = data[0] == 1;
  data.remove_prefix(2);
  take_field(data);  // language
  take_field(data);  // translated key
  chunks.keep(key, {data, packed});
}

}  // namespace

EmbeddedTexts read_png(std::string_view bytes) {
  Chunks chunks;
  bytes.remove_prefix(8);
  while (bytes.size() >= 12) {
    const std::size_t length = big_endian(bytes, 4);
    const auto type = bytes.substr(4, 4);
    const bool whole = length <= bytes.size() - 12;
    const auto data = bytes.substr(8, whole ? length : bytes.size() - 8);
    if (type == "tEXt" || type == "zTXt" || type == "iTXt" || type == "comf") {
      read_text_chunk(type, data, chunks);
    }
    if (type == "IEND") return chunks.texts();
    if (!whole) break;
    bytes.remove_prefix(12 + length);
  }
  EmbeddedTexts texts = chunks.texts();
  texts.truncated = true;
  return texts;
}

}  // namespace ebb
