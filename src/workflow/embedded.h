// SPDX-License-Identifier: Apache-2.0
// Workflows that media files carry as text. Nothing is decoded; only tags and chunks are read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ebb/result.h"

namespace ebb {

/// The texts a media file carries; empty where it has none.
struct EmbeddedTexts {
  std::string workflow;  ///< the UI graph
  std::string prompt;    ///< the API prompt
  bool truncated = false;
};

/// `PNG`, `WebP`, ... by content; empty for anything else.
std::string_view media_kind(std::string_view bytes);

/// REQUIRES: media_kind(bytes) is not empty. Errors: a kind Ebb does not read yet.
Result<EmbeddedTexts> read_embedded(std::string_view bytes, const std::string& file);

/// Chunks tEXt, zTXt, iTXt and comf of a PNG or APNG.
EmbeddedTexts read_png(std::string_view bytes);

/// Keeps `text` if `key` is `workflow` or `prompt`, in any case.
void keep_text(EmbeddedTexts& texts, std::string_view key, std::string_view text);

}  // namespace ebb
