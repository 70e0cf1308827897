// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "ebb/run.h"

namespace ebb {

Result<ComfyChoice> choose_comfyui(const std::string& text) {
  ComfyChoice choice;
  if (text.empty()) return choice;
  const auto version = parse_comfy_version(text);
  if (version) {
    choice.version = *version;
    return choice;
  }
  std::error_code ignored;
  const bool path = text.find('/') != std::string::npos || std::filesystem::exists(text, ignored);
  if (!path) {
    Error error = version.error();
    error.hint =
        "Give three numbers as comfyui_version.py has them, such as 0.3.73, or ComfyUI's folder.";
    return error;
  }
  auto checkout = read_checkout(text);
  if (!checkout) return checkout.error();
  choice.version = checkout->version;
  choice.checkout = *std::move(checkout);
  return choice;
}

}  // namespace ebb
