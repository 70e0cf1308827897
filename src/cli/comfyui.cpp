// SPDX-License-Identifier: Apache-2.0
#include "cli/comfyui.h"

#include <filesystem>

namespace ebb::cli {

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

Result<std::string> choose_flags(const std::string& text, const ComfyChoice& choice) {
  if (!text.starts_with('@')) return text;
  const std::string name = text.substr(1);
  if (choice.checkout) {
    for (const std::string& file : choice.checkout->launch_files) {
      if (std::filesystem::path(file).filename() == name) return read_launch_flags(file);
    }
  }
  return read_launch_flags(name);
}

}  // namespace ebb::cli
