// SPDX-License-Identifier: Apache-2.0
// What --comfyui may be: a version, or a folder that says more.
#pragma once

#include <optional>
#include <string>

#include "ebb/machine.h"

namespace ebb::cli {

constexpr const char* kComfyuiHelp =
    "ComfyUI's version, such as 0.3.73, or its folder: version, flags and models are read there";

struct ComfyChoice {
  std::optional<ComfyVersion> version;  ///< nothing was given
  std::optional<Checkout> checkout;     ///< a folder was given
};

/// Errors: neither a version nor a ComfyUI folder.
Result<ComfyChoice> choose_comfyui(const std::string& text);

/// --flags as typed, or those of a launch file where it is `@FILE`. Errors: that file.
Result<std::string> choose_flags(const std::string& text, const ComfyChoice& choice);

}  // namespace ebb::cli
