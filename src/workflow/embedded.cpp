// SPDX-License-Identifier: Apache-2.0
#include "workflow/embedded.h"

#include "base/text.h"

namespace ebb {

std::string_view media_kind(std::string_view bytes) {
  const auto at = [&](std::size_t offset, std::string_view mark) {
    return bytes.size() >= offset && bytes.substr(offset).starts_with(mark);
  };
  if (at(0, "\x89PNG\r\n\x1a\n")) return "PNG";
  if (at(0, "RIFF") && at(8, "WEBP")) return "WebP";
  if (at(4, "ftypavi") || at(4, "ftypmif1")) return "AVIF";
  if (at(4, "ftyp")) return "MP4";
  if (at(0, "\x1a\x45\xdf\xa3")) return "WebM";
  if (at(0, "fLaC")) return "FLAC";
  if (at(0, "OggS")) return "Ogg";
  if (at(0, "ID3") || at(0, "\xff\xfb")) return "MP3";
  if (at(0, "\xff\xd8\xff")) return "JPEG";
  if (at(0, "glTF")) return "GLB";
  if (at(0, "GIF8")) return "GIF";
  return {};
}

Result<EmbeddedTexts> read_embedded(std::string_view bytes, const std::string& file) {
  const auto kind = media_kind(bytes);
  if (kind == "PNG") return read_png(bytes);
  return input_error("is a " + std::string(kind) + " file; Ebb does not read workflows from these",
                     file, "", "Open it in ComfyUI and save the workflow as JSON.");
}

void keep_text(EmbeddedTexts& texts, std::string_view key, std::string_view text) {
  if (equal_ignoring_case(key, "workflow")) texts.workflow = text;
  if (equal_ignoring_case(key, "prompt")) texts.prompt = text;
}

}  // namespace ebb
