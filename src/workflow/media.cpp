// SPDX-License-Identifier: Apache-2.0
// Pictures and videos that a workflow loads: where their files are, and what their headers say.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "base/text.h"
#include "workflow/embedded.h"
#include "workflow/media_size.h"

namespace ebb {
namespace {

namespace fs = std::filesystem;

struct Kind {
  std::string_view name;
  ReadSize read;
};
constexpr Kind kKinds[] = {{"PNG", size_of_png}, {"JPEG", size_of_jpeg}, {"WebP", size_of_webp},
                           {"GIF", size_of_gif}, {"BMP", size_of_bmp},   {"AVIF", size_of_avif},
                           {"MP4", size_of_mp4}, {"WebM", size_of_webm}};

std::string_view kind_of(std::string_view head) {
  if (head.starts_with("BM")) return "BMP";
  return media_kind(head);
}

/// `name [output]` names another folder.
const std::string& folder_of(const MediaFolders& folders, std::string_view& name) {
  const auto take = [&](std::string_view mark) {
    if (!name.ends_with(mark)) return false;
    name = trim(name.substr(0, name.size() - mark.size()));
    return true;
  };
  if (take("[output]")) return folders.output;
  if (take("[temp]")) return folders.temp;
  take("[input]");
  return folders.input;
}

}  // namespace

Result<MediaSize> read_media_size(const std::string& path) {
  auto file = Window::open(path);
  if (!file) return file.error();
  const std::string_view name = kind_of(file->at(0, 64));
  const auto kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                 [&](const Kind& k) { return k.name == name; });
  if (kind == std::end(kKinds)) {
    return input_error("is no picture or video whose size Ebb reads", path);
  }
  const auto size = kind->read(*file);
  if (!size) return input_error(fmt::format("is a {} file without a sound header", name), path);
  return *size;
}

std::string locate_media(const MediaFolders& folders, std::string_view name) {
  const std::string& folder = folder_of(folders, name);
  if (folder.empty() || name.empty() || name.size() > 4096 ||
      contains(name, std::string(1, '\0'))) {
    return {};
  }
  const fs::path inner = fs::path(name).lexically_normal();
  // As ComfyUI has it, nothing outside its folder is named.
  if (inner.is_absolute() || (inner.begin() != inner.end() && *inner.begin() == "..")) return {};
  const fs::path path = fs::path(folder) / inner;
  std::error_code error;
  return fs::is_regular_file(path, error) ? path.string() : std::string();
}

}  // namespace ebb
