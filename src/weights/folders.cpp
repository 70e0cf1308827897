// SPDX-License-Identifier: Apache-2.0
#include "weights/folders.h"

#include <fmt/format.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>

#include "base/text.h"
#include "ebb/file.h"

namespace ebb {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kYamlLimitBytes = 1 << 20;
constexpr int kEntryLimit = 20'000;
constexpr int kDepthLimit = 6;

struct FolderKind {
  std::string_view kind;
  std::vector<std::string_view> folders;  ///< under models/, in ComfyUI's order
};

// ComfyUI's folder kinds and where it looks for each by itself.
const std::vector<FolderKind>& folder_kinds() {
  static const std::vector<FolderKind> kinds = {
      {"checkpoints", {"checkpoints"}},
      {"diffusion_models", {"unet", "diffusion_models"}},
      {"text_encoders", {"text_encoders", "clip"}},
      {"vae", {"vae"}},
      {"loras", {"loras"}},
      {"controlnet", {"controlnet", "t2i_adapter"}},
      {"clip_vision", {"clip_vision"}},
      {"style_models", {"style_models"}},
      {"upscale_models", {"upscale_models"}},
      {"latent_upscale_models", {"latent_upscale_models"}},
      {"model_patches", {"model_patches"}},
      {"audio_encoders", {"audio_encoders"}},
      {"vae_approx", {"vae_approx"}},
      {"embeddings", {"embeddings"}},
      {"gligen", {"gligen"}},
      {"hypernetworks", {"hypernetworks"}},
      {"photomaker", {"photomaker"}},
      {"diffusers", {"diffusers"}},
  };
  return kinds;
}

std::vector<std::string_view> default_folders(std::string_view kind) {
  for (const FolderKind& one : folder_kinds()) {
    if (one.kind == kind) return one.folders;
  }
  return {kind};
}

Result<Done> check_readable(const fs::path& folder) {
  std::error_code error;
  const auto status = fs::status(folder, error);
  if (!fs::exists(status)) {
    return input_error("is not there", folder.string(), {},
                       "Give --models the folder that holds checkpoints, vae and so on.");
  }
  if (!fs::is_directory(status)) {
    return input_error("is not a folder", folder.string(), {},
                       "Give --models the folder that holds checkpoints, vae and so on.");
  }
  if (access(folder.c_str(), R_OK | X_OK) != 0) {
    return input_error(fmt::format("cannot be read: {}", std::strerror(errno)), folder.string(), {},
                       "Give the user who runs this the right to list it.");
  }
  return Done{};
}

/// Folders in ComfyUI's order, each once: a default goes to the front, wherever it stood.
class FolderOrder {
 public:
  void add(const fs::path& folder, bool first) {
    const std::string path = folder.lexically_normal().string();
    const auto [at, fresh] = place_.try_emplace(path, first ? --front_ : ++back_);
    if (!fresh && first) at->second = --front_;
  }
  std::vector<std::string> take() const {
    std::map<int, std::string> sorted;
    for (const auto& [path, place] : place_) sorted.emplace(place, path);
    std::vector<std::string> list;
    for (auto& [place, path] : sorted) list.push_back(std::move(path));
    return list;
  }

 private:
  std::map<std::string, int> place_;
  int front_ = 0, back_ = 0;
};

/// `~` and `~/x` mean the home folder, as in ComfyUI.
std::string expand_home(std::string path) {
  if (path != "~" && !path.starts_with("~/")) return path;
  const char* home = std::getenv("HOME");
  return home ? home + path.substr(1) : path;
}

/// `$NAME` and `${NAME}` as ComfyUI expands them in base_path; an unset name stays as it is.
std::string expand_variables(const std::string& path) {
  std::string result;
  for (std::size_t at = 0; at < path.size();) {
    const bool braces = path.compare(at, 2, "${") == 0;
    std::size_t end = at + (braces ? 2 : 1);
    const std::size_t begin = end;
    while (end < path.size() &&
           (std::isalnum(static_cast<unsigned char>(path[end])) || path[end] == '_')) {
      ++end;
    }
    const bool closed = !braces || (end < path.size() && path[end] == '}');
    const char* value = path[at] == '$' && end > begin && closed
                            ? std::getenv(path.substr(begin, end - begin).c_str())
                            : nullptr;
    if (!value) {
      result += path[at++];
      continue;
    }
    result += value;
    at = end + braces;
  }
  return result;
}

/// One section of extra_model_paths.yaml: base_path, is_default, and folders per kind.
void add_section(FolderOrder& list, std::string_view kind, const YAML::Node& section,
                 const fs::path& yaml_folder) {
  std::string base;
  bool is_default = false;
  for (const auto& entry : section) {
    const auto key = entry.first.as<std::string>("");
    if (key == "base_path") {
      base = expand_variables(expand_home(entry.second.as<std::string>("")));
    }
    if (key == "is_default") is_default = entry.second.as<bool>(false);
  }
  const fs::path root = base.empty() ? fs::path() : yaml_folder / base;
  for (const auto& entry : section) {
    const auto key = entry.first.as<std::string>("");
    if (folder_kind(key) != kind || !entry.second.IsScalar()) continue;
    const std::string text = entry.second.as<std::string>("");
    for (const std::string_view line : split(text, '\n')) {
      const std::string folder = expand_home(std::string(trim(line)));
      if (folder.empty()) continue;
      const fs::path path = root.empty() ? yaml_folder / folder : root / folder;
      list.add(path, is_default);
    }
  }
}

Result<Done> read_yaml(FolderOrder& list, std::string_view kind, const fs::path& path) {
  const auto text = read_file(path.string(), kYamlLimitBytes);
  if (!text) return text.error();
  try {  // yaml-cpp reports by exceptions; they end here.
    const YAML::Node document = YAML::Load(*text);
    if (!document.IsMap()) return Done{};
    for (const auto& section : document) {
      if (section.second.IsMap()) add_section(list, kind, section.second, path.parent_path());
    }
  } catch (const YAML::Exception& error) {
    // What yaml-cpp says where it gives up on depth.
    const bool deep = error.msg == YAML::ErrorMsg::BAD_FILE;
    Error result = input_error(
        fmt::format("is broken YAML: {}", deep ? "nested too deeply" : error.msg), path.string(),
        {}, "Mend it, or leave out --models: ComfyUI can't read it either.");
    if (!error.mark.is_null()) {
      result.where.line = error.mark.line + 1;
      result.where.column = error.mark.column + 1;
    }
    return result;
  }
  return Done{};
}

/// Whether a folder looks like ComfyUI's models/: some folder kind lies in it.
bool holds_kinds(const fs::path& folder) {
  std::error_code ignored;
  for (const FolderKind& kind : folder_kinds()) {
    for (const std::string_view name : kind.folders) {
      if (fs::is_directory(folder / name, ignored)) return true;
    }
  }
  return false;
}

/// A folder without any of ComfyUI's in it would silently hold no model at all.
Result<Done> check_is_models(const fs::path& models) {
  std::error_code ignored;
  if (holds_kinds(models)) return Done{};
  for (const fs::path& beside : {models, models / ".."}) {
    if (fs::is_regular_file(beside / "extra_model_paths.yaml", ignored)) return Done{};
  }
  return input_error("is no models folder of ComfyUI: none of its folders is in it",
                     models.string(), {},
                     "Give --models the folder that holds checkpoints, vae and so on, or the one "
                     "that holds models.");
}

/// What stands after the last slash of either kind.
std::string last_name(std::string_view name) {
  const auto slash = name.find_last_of("/\\");
  return std::string(slash == std::string_view::npos ? name : name.substr(slash + 1));
}

/// A name below a folder: as ComfyUI reads it, `..` ends at the folder and `/x` is `x`. Names of
/// Windows drives are below none.
std::string relative_name(std::string_view name) {
  std::string text = "/" + std::string(name);
  std::replace(text.begin(), text.end(), '\\', '/');
  if (text.size() > 2 && text[2] == ':') return {};
  return fs::path(text).lexically_normal().relative_path().string();
}

}  // namespace

std::string_view folder_kind(std::string_view kind) {
  if (kind == "unet" || kind == "unet_gguf") return "diffusion_models";
  if (kind == "clip" || kind == "clip_gguf") return "text_encoders";
  return kind;
}

Result<std::vector<std::string>> expand_folders(const std::vector<std::string>& model_folders,
                                                std::string_view given_kind) {
  const std::string_view kind = folder_kind(given_kind);
  FolderOrder list;
  for (const std::string& given : model_folders) {
    const fs::path folder = expand_home(given);
    if (auto done = check_readable(folder); !done) return done.error();
    std::error_code ignored;
    const bool is_comfyui = fs::is_directory(folder / "models", ignored) && !holds_kinds(folder);
    const fs::path models = is_comfyui ? folder / "models" : folder;
    if (is_comfyui) {
      if (auto done = check_readable(models); !done) return done.error();
    }
    if (auto done = check_is_models(models); !done) return done.error();
    for (const std::string_view name : default_folders(kind)) {
      const fs::path path = models / name;
      if (!fs::is_directory(path, ignored)) continue;
      if (auto done = check_readable(path); !done) return done.error();
      list.add(path, false);
    }
    // "models/" and "models" have the same parent.
    const fs::path absolute = (fs::absolute(models, ignored) / "").lexically_normal().parent_path();
    for (const fs::path& beside : {absolute, absolute.parent_path()}) {
      const fs::path yaml = beside / "extra_model_paths.yaml";
      if (!fs::is_regular_file(yaml, ignored)) continue;
      if (auto done = read_yaml(list, kind, yaml); !done) return done.error();
      break;
    }
  }
  return list.take();
}

Result<std::vector<std::string>> known_folders(
    const std::map<std::string, std::vector<std::string>>& folders, std::string_view given_kind) {
  FolderOrder list;
  std::error_code ignored;
  for (const auto& [kind, paths] : folders) {
    if (folder_kind(kind) != folder_kind(given_kind)) continue;
    for (const std::string& path : paths) {
      if (fs::is_directory(path, ignored)) list.add(path, false);
    }
  }
  return list.take();
}

FoundFile locate_file(const std::vector<std::string>& folders, std::string_view name,
                      FolderMemo* memo) {
  if (name.empty()) return {};
  const std::string relative = relative_name(name);
  for (const std::string& folder : folders) {
    if (relative.empty()) break;
    const std::string path = folder + "/" + relative;
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) return {path, true};
    if (fs::is_regular_file(path + ".index.json", ignored)) return {path + ".index.json", true};
  }
  const auto list = memo ? memo->list(folders) : std::make_shared<const FolderList>(folders);
  std::string path = list->find(relative.empty() ? last_name(name) : relative);
  return path.empty() ? FoundFile{} : FoundFile{std::move(path), false};
}

std::shared_ptr<FolderMemo> make_folder_memo() { return std::make_shared<FolderMemo>(); }

std::shared_ptr<const FolderList> FolderMemo::list(const Folders& folders) {
  const std::lock_guard lock(mutex_);
  auto& list = lists_[folders];
  if (!list) list = std::make_shared<const FolderList>(folders);
  return list;
}

FolderList::FolderList(const std::vector<std::string>& folders) {
  int entries_left = kEntryLimit;
  for (std::size_t i = 0; i < folders.size(); ++i) {
    std::error_code error;
    // ComfyUI lists linked folders, too; a ring of links ends at the depth limit.
    fs::recursive_directory_iterator entry(folders[i],
                                           fs::directory_options::skip_permission_denied |
                                               fs::directory_options::follow_directory_symlink,
                                           error);
    const fs::recursive_directory_iterator end;
    for (; !error && entry != end && entries_left > 0; entry.increment(error)) {
      --entries_left;
      if (entry.depth() >= kDepthLimit) entry.disable_recursion_pending();
      const std::string path = entry->path().string();
      const std::string relative = lower(path.substr(std::min(path.size(), folders[i].size() + 1)));
      by_name_[std::string(base_name(relative))].push_back({i, path, relative});
    }
  }
}

std::string FolderList::find(const std::string& name) const {
  const std::string wanted = lower(name);
  const auto files = by_name_.find(base_name(wanted));
  if (files == by_name_.end()) return {};
  const File* first = nullptr;
  for (const File& file : files->second) {
    if (first && file.folder != first->folder) break;
    std::error_code ignored;
    if (!fs::is_regular_file(file.path, ignored)) continue;
    if (file.relative == wanted) return file.path;
    if (!first) first = &file;
  }
  return first ? first->path : std::string();
}

DiffusersFolder locate_diffusers(const std::vector<std::string>& folders, std::string_view name,
                                 WeightsRole role) {
  static constexpr std::string_view kModelNames[] = {
      "diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.safetensors",
      "diffusion_pytorch_model.safetensors.index.json", "diffusion_pytorch_model.fp16.bin",
      "diffusion_pytorch_model.bin"};
  static constexpr std::string_view kEncoderNames[] = {
      "model.fp16.safetensors", "model.safetensors", "model.safetensors.index.json",
      "pytorch_model.fp16.bin", "pytorch_model.bin"};
  DiffusersFolder found;
  const std::string relative = relative_name(name);
  if (relative.empty()) return found;
  std::error_code ignored;
  for (const std::string& folder : folders) {
    if (!fs::is_directory(folder + "/" + relative, ignored)) continue;
    found.path = folder + "/" + relative;
    break;
  }
  if (found.path.empty()) return found;
  const auto add = [&](std::string_view part, std::span<const std::string_view> names) {
    for (const std::string_view file : names) {
      const std::string path = fmt::format("{}/{}/{}", found.path, part, file);
      if (!fs::is_regular_file(path, ignored)) continue;
      found.files.push_back(path);
      return true;
    }
    return false;
  };
  if (role == WeightsRole::diffusion && !add("unet", kModelNames)) add("transformer", kModelNames);
  if (role == WeightsRole::vae) add("vae", kModelNames);
  if (role == WeightsRole::text_encoder) {
    for (const char* part : {"text_encoder", "text_encoder_2", "text_encoder_3"}) {
      add(part, kEncoderNames);
    }
  }
  return found;
}

}  // namespace ebb
