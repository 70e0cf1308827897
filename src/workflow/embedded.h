// SPDX-License-Identifier: Apache-2.0
// Workflows that media files carry as text. Nothing is decoded; only tags and chunks are read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ebb/result.h"

namespace ebb {

/// The texts a media file carries; empty where it has none.
struct EmbeddedTexts {
  std::string workflow;  ///< the UI graph
  std::string prompt;    ///< the API prompt
  bool truncated = false;
  bool too_large = false;  ///< a packed text was left out: it is far larger than its file
};

/// `PNG`, `WebP`, ... by content; empty for anything else.
std::string_view media_kind(std::string_view bytes);

/// Of a video's file only what may hold texts, as a small file of the same kind. `kind` is MP4 or
/// WebM. Reads a few bytes a box, not the boxes. Errors: unreadable.
Result<std::string> skim_media(const std::string& path, std::string_view kind,
                               std::int64_t size_bytes);

/// REQUIRES: media_kind(bytes) is not empty. Errors: a kind that carries no texts.
Result<EmbeddedTexts> read_embedded(std::string_view bytes, const std::string& file);

// One reader a container; each bears with broken and truncated bytes.
EmbeddedTexts read_png(std::string_view bytes);
EmbeddedTexts read_webp(std::string_view bytes);
EmbeddedTexts read_jpeg(std::string_view bytes);
EmbeddedTexts read_avif(std::string_view bytes);
EmbeddedTexts read_mp4(std::string_view bytes);
EmbeddedTexts read_webm(std::string_view bytes);
EmbeddedTexts read_flac(std::string_view bytes);
EmbeddedTexts read_ogg(std::string_view bytes);
EmbeddedTexts read_mp3(std::string_view bytes);
EmbeddedTexts read_svg(std::string_view bytes);
EmbeddedTexts read_glb(std::string_view bytes);
EmbeddedTexts read_safetensors(std::string_view bytes);

/// Keeps `text` if `key` is `workflow` or `prompt`, in any case.
void keep_text(EmbeddedTexts& texts, std::string_view key, std::string_view text);

/// Keeps one JSON object that may hold both.
void keep_wrapper(EmbeddedTexts& texts, std::string_view text);

/// The first `width` bytes as a number; what is missing at the end counts as nothing.
std::size_t big_endian(std::string_view bytes, std::size_t width);
std::size_t little_endian(std::string_view bytes, std::size_t width);

/// Bytes at the start of a safetensors file that hold its header; 0 if it is no such file.
std::int64_t safetensors_header_bytes(std::string_view first_bytes);

}  // namespace ebb
