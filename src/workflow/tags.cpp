// SPDX-License-Identifier: Apache-2.0
// Tags of sound files: Vorbis comments in FLAC and Ogg, ID3v2 in MP3. A Vorbis comment block has
// a vendor text and then texts `KEY=value`, each after its length (4, little endian).
#include <algorithm>

#include "base/text.h"
#include "workflow/embedded.h"

namespace ebb {
namespace {

constexpr std::size_t kCommentsMax = 10'000;
constexpr std::size_t kPacketMax = std::size_t{64} << 20;

std::string_view take(std::string_view& bytes, std::size_t count) {
  const auto part = bytes.substr(0, count);
  bytes.remove_prefix(part.size());
  return part;
}

void read_comments(std::string_view block, EmbeddedTexts& texts) {
  take(block, little_endian(take(block, 4), 4));  // the vendor's name
  const std::size_t count = std::min(little_endian(take(block, 4), 4), kCommentsMax);
  for (std::size_t i = 0; i < count && !block.empty(); ++i) {
    const auto comment = take(block, little_endian(take(block, 4), 4));
    const auto equals = comment.find('=');
    if (equals == comment.npos) continue;
    const auto key = comment.substr(0, equals);
    keep_text(texts, key, comment.substr(equals + 1));
    if (equal_ignoring_case(key, "comment")) keep_wrapper(texts, comment.substr(equals + 1));
  }
}

std::size_t syncsafe(std::string_view bytes) {
  std::size_t value = 0;
  for (const char c : bytes.substr(0, 4)) {
    value = value << 7 | (static_cast<unsigned char>(c) & 127);
  }
  return value;
}

/// A user text frame: encoding, description, zero, value. ComfyUI's JSON is plain ASCII, so that
/// wide encodings lose nothing but their zero bytes.
void read_user_text(std::string_view frame, EmbeddedTexts& texts) {
  if (frame.empty()) return;
  const bool wide = frame[0] == 1 || frame[0] == 2;
  frame.remove_prefix(1);
  const auto mark = wide ? std::string_view("\0\0", 2) : std::string_view("\0", 1);
  auto end = frame.find(mark);
  if (wide && end != frame.npos && end % 2 == 1) ++end;
  if (end == frame.npos || end + mark.size() > frame.size()) return;
  const auto plain = [&](std::string_view text) {
    std::string out(text);
    if (wide) std::erase_if(out, [](char c) { return c == 0 || c == '\xff' || c == '\xfe'; });
    while (!out.empty() && out.back() == '\0') out.pop_back();
    return out;
  };
  keep_text(texts, plain(frame.substr(0, end)), plain(frame.substr(end + mark.size())));
}

}  // namespace

EmbeddedTexts read_flac(std::string_view bytes) {
  EmbeddedTexts texts;
  bytes.remove_prefix(4);
  while (bytes.size() >= 4) {
    const auto head = static_cast<unsigned char>(bytes[0]);
    const std::size_t length = big_endian(bytes.substr(1), 3);
    bytes.remove_prefix(4);
    const auto block = take(bytes, length);
    if ((head & 127) == 4) read_comments(block, texts);
    if (head & 128) break;
  }
  return texts;
}

/// Pages: `OggS`, 22 bytes, count of segments, their lengths, their bytes. The comments are the
/// second packet, which may span pages.
EmbeddedTexts read_ogg(std::string_view bytes) {
  EmbeddedTexts texts;
  std::string packet;
  int packets = 0;
  while (bytes.size() >= 27 && bytes.starts_with("OggS") && packet.size() < kPacketMax) {
    const auto count = static_cast<unsigned char>(bytes[26]);
    const std::string_view lengths = bytes.substr(27, count);
    bytes.remove_prefix(std::min<std::size_t>(27 + lengths.size(), bytes.size()));
    for (const char c : lengths) {
      const auto length = static_cast<unsigned char>(c);
      packet += take(bytes, length);
      if (length == 255) continue;
      if (packets++ == 1) {
        const std::size_t head = packet.starts_with("OpusTags") ? 8 : 7;
        read_comments(std::string_view(packet).substr(std::min(head, packet.size())), texts);
        return texts;
      }
      packet.clear();
    }
  }
  return texts;
}

EmbeddedTexts read_mp3(std::string_view bytes) {
  EmbeddedTexts texts;
  if (bytes.size() < 10 || !bytes.starts_with("ID3")) return texts;
  const bool newer = bytes[3] >= 4;
  std::string_view frames = bytes.substr(10, syncsafe(bytes.substr(6)));
  while (frames.size() >= 10 && frames[0] != 0) {
    const auto id = take(frames, 4);
    const auto size_bytes = take(frames, 4);
    take(frames, 2);
    const auto frame = take(frames, newer ? syncsafe(size_bytes) : big_endian(size_bytes, 4));
    if (id == "TXXX") read_user_text(frame, texts);
  }
  return texts;
}

}  // namespace ebb
