// SPDX-License-Identifier: Apache-2.0
#include "workflow/embedded.h"

#include <algorithm>

#include "base/text.h"
#include "json/document.h"

namespace ebb {
namespace {

constexpr std::size_t kHeaderMax = std::size_t{100} << 20;

using Reader = EmbeddedTexts (*)(std::string_view);

struct Kind {
  std::string_view name;
  Reader read;
};

/// Null for kinds that carry no texts.
constexpr Kind kKinds[] = {{"PNG", read_png},
                           {"WebP", read_webp},
                           {"AVIF", read_avif},
                           {"MP4", read_mp4},
                           {"WebM", read_webm},
                           {"FLAC", read_flac},
                           {"Ogg", read_ogg},
                           {"MP3", read_mp3},
                           {"JPEG", read_jpeg},
                           {"GLB", read_glb},
                           {"SVG", read_svg},
                           {"GIF", nullptr},
                           {"safetensors", read_safetensors}};

bool is_svg(std::string_view bytes) {
  const auto head = bytes.substr(0, 4096);
  return trim(head).starts_with('<') && contains(head, "<svg");
}

}  // namespace

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
  if (is_svg(bytes)) return "SVG";
  return safetensors_header_bytes(bytes) > 0 ? "safetensors" : std::string_view();
}

Result<EmbeddedTexts> read_embedded(std::string_view bytes, const std::string& file) {
  const auto kind = std::ranges::find(kKinds, media_kind(bytes), &Kind::name);
  assert(kind != std::end(kKinds));
  if (kind->read) return kind->read(bytes);
  return input_error("is a " + std::string(kind->name) + " file, which carries no workflow", file,
                     "", "Give the workflow as JSON, or the PNG or video that ComfyUI saved.");
}

void keep_text(EmbeddedTexts& texts, std::string_view key, std::string_view text) {
  if (equal_ignoring_case(key, "workflow")) texts.workflow = text;
  if (equal_ignoring_case(key, "prompt")) texts.prompt = text;
}

void keep_wrapper(EmbeddedTexts& texts, std::string_view text) {
  if (trim(text).starts_with('{') && texts.workflow.empty()) texts.workflow = text;
}

std::size_t big_endian(std::string_view bytes, std::size_t width) {
  std::size_t value = 0;
  for (const char c : bytes.substr(0, width)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

std::size_t little_endian(std::string_view bytes, std::size_t width) {
  std::size_t value = 0;
  for (std::size_t i = std::min(width, bytes.size()); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

// ---- containers whose texts stand in JSON or XML ----------------------------------------------

/// `<metadata>` holds a CDATA section with one JSON object.
EmbeddedTexts read_svg(std::string_view bytes) {
  EmbeddedTexts texts;
  const auto metadata = bytes.find("<metadata");
  if (metadata == bytes.npos) return texts;
  constexpr std::string_view kOpen = "<![CDATA[";
  const auto open = bytes.find(kOpen, metadata);
  const auto close = open == bytes.npos ? open : bytes.find("]]>", open);
  if (close == bytes.npos) return texts;
  keep_wrapper(texts, bytes.substr(open + kOpen.size(), close - open - kOpen.size()));
  return texts;
}

/// `glTF`, version (4), length (4), then the JSON chunk: length (4), `JSON`; asset.extras has the
/// texts, as objects or as strings. Files that passed through a text editor have broken lengths:
/// there the JSON goes to the last brace.
EmbeddedTexts read_glb(std::string_view bytes) {
  EmbeddedTexts texts;
  constexpr std::size_t kHeadMax = 40;
  const auto mark = bytes.substr(0, kHeadMax).find("JSON{");
  if (mark == bytes.npos) return texts;
  const bool sound = mark == 16 && little_endian(bytes.substr(12), 4) <= bytes.size() - 20;
  auto json = bytes.substr(mark + 4, sound ? little_endian(bytes.substr(12), 4) : bytes.npos);
  if (!sound) json = json.substr(0, json.rfind('}') + 1);
  if (json.size() > kHeaderMax) return texts;
  const auto document = JsonDocument::parse(std::string(json));
  if (!document) return texts;
  for (const JsonValue extra : document->root().find("asset").find("extras")) {
    keep_text(texts, extra.key(), extra.is_string() ? extra.string() : std::string(extra.raw()));
  }
  return texts;
}

std::int64_t safetensors_header_bytes(std::string_view first_bytes) {
  if (first_bytes.size() < 10 || first_bytes[8] != '{') return 0;
  const std::size_t length = little_endian(first_bytes, 8);
  return length > 1 && length <= kHeaderMax ? static_cast<std::int64_t>(8 + length) : 0;
}

/// Length of the header (8, little endian), then JSON with `__metadata__`.
EmbeddedTexts read_safetensors(std::string_view bytes) {
  EmbeddedTexts texts;
  const auto end = static_cast<std::size_t>(safetensors_header_bytes(bytes));
  const auto document = JsonDocument::parse(std::string(bytes.substr(8, end - 8)));
  if (!document) return texts;
  for (const JsonValue entry : document->root().find("__metadata__")) {
    keep_text(texts, entry.key(), entry.string());
  }
  return texts;
}

}  // namespace ebb
