// SPDX-License-Identifier: Apache-2.0
// What the front end that sends a graph does, by its release. Observed with the releases of the
// package comfyui-frontend-package; which ComfyUI brings which is in its requirements.txt.
#include "workflow/state.h"

namespace ebb {
namespace {

// The first ComfyUI whose front end works so, and that front end.
constexpr ComfyVersion kRecent{0, 29, 0}, kRecentFrontEnd{1, 46, 0};
constexpr ComfyVersion kNoTextPreview{0, 21, 0};
constexpr ComfyVersion kNewestFrontEnd{1, 48, 7};  // of the newest definitions

std::optional<ComfyVersion> saved_by(const JsonValue& root) {
  const JsonValue mark = root.find("extra").find("frontendVersion");
  const auto version = parse_comfy_version(mark.text_or(""));
  return version ? std::optional(*version) : std::nullopt;
}

}  // namespace

bool after_definitions(const ConvertOptions& options) {
  return !options.definitions && !options.version_assumed && options.version > newest_definitions();
}

Age age_of(const JsonValue& root, const ConvertOptions& options) {
  const ComfyVersion newest = newest_definitions();
  if (options.definitions) return Age::fits;
  if (after_definitions(options)) return Age::later;
  if (!options.version_assumed && options.version < newest) return Age::fits;
  const auto saved = saved_by(root), made = made_with(root);
  if ((saved && *saved > kNewestFrontEnd) || (made && *made > newest)) return Age::later;
  const bool maybe = (saved && *saved == kNewestFrontEnd) || (made && *made == newest);
  return maybe ? Age::may_be_later : Age::fits;
}

FrontEnd front_end_of(const JsonValue& root, const ConvertOptions& options) {
  FrontEnd front_end;
  if (options.version_assumed) {
    const auto saved = saved_by(root), made = made_with(root);
    front_end.recent_sure = (saved && *saved >= kRecentFrontEnd) || (made && *made >= kRecent);
    return front_end;
  }
  front_end.recent = options.version >= kRecent;
  front_end.text_preview = options.version < kNoTextPreview;
  return front_end;
}

}  // namespace ebb
