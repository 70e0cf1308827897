// SPDX-License-Identifier: Apache-2.0
// ComfyUI's version number, read and written, and the node cache that comes with it.
#include <algorithm>
#include <optional>

#include "base/text.h"
#include "machine/versions.h"

namespace ebb {
namespace {

constexpr std::int64_t kPartMax = 1'000'000;  // beyond any release; keeps the parts in an int

std::optional<int> version_part(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.empty() || text.size() > 9) return std::nullopt;
  for (char c : text) {
    if (!digit(c)) return std::nullopt;
  }
  const auto value = parse_int(text);
  return value && *value < kPartMax ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

}  // namespace

Result<ComfyVersion> parse_comfy_version(std::string_view text) {
  const std::string_view given = text;
  text = trim(text);
  if (text.starts_with('v')) text.remove_prefix(1);
  const auto parts = split(text, '.');
  if (parts.size() == 3) {
    const auto major = version_part(parts[0]), minor = version_part(parts[1]),
               patch = version_part(parts[2]);
    if (major && minor && patch) return ComfyVersion{*major, *minor, *patch};
  }
  return usage_error("\"" + std::string(given) + "\" is not a ComfyUI version",
                     "Give three numbers as comfyui_version.py has them, such as 0.3.73.");
}

CacheKind cache_of(const ComfyVersion& version, const ComfyFlags& flags) {
  if (flags.cache != CacheKind::standard) return flags.cache;
  const bool plenty = std::ranges::find(flags.other, "--high-ram") != flags.other.end();
  return rules_for(version).ram_cache && !plenty ? CacheKind::ram : CacheKind::classic;
}

std::string to_string(const ComfyVersion& version) {
  return std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
         std::to_string(version.patch);
}

}  // namespace ebb
