// SPDX-License-Identifier: Apache-2.0
// Where model files lie: ComfyUI's models/ layout, its legacy folder names, and
// extra_model_paths.yaml.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/result.h"
#include "ebb/weights.h"

namespace ebb {

/// ComfyUI's name today for a folder kind: `unet` is `diffusion_models`, `clip` `text_encoders`.
std::string_view folder_kind(std::string_view kind);

/// The folders in which ComfyUI would look for a kind, in its order. Each of --models may be
/// ComfyUI itself or its models/ folder; extra_model_paths.yaml is read where it lies in the
/// folder or the one above. Errors: a folder that is not there or can't be read, broken YAML.
Result<std::vector<std::string>> expand_folders(const std::vector<std::string>& model_folders,
                                                std::string_view kind);

/// The folders that a server names for a kind, those that are there.
Result<std::vector<std::string>> known_folders(
    const std::map<std::string, std::vector<std::string>>& folders, std::string_view kind);

/// A file that was found. `exact` is false if only its name matched, in another subfolder or case.
struct FoundFile {
  std::string path;  ///< empty: not found
  bool exact = true;
};

/// The files below some folders, in the order of a walk over at most 20,000 entries.
class FolderList {
 public:
  explicit FolderList(const std::vector<std::string>& folders);
  /// The file of this relative path, in any case; else the first of its name, of the first folder
  /// that has one. Empty if there is none.
  std::string find(const std::string& name) const;

 private:
  struct File {
    std::size_t folder;
    std::string path, relative;  ///< `relative` in small letters
  };
  std::map<std::string, std::vector<File>, std::less<>> by_name_;
};

class FolderMemo {
 public:
  using Folders = std::vector<std::string>;
  /// What `find` gives for a kind; asked once.
  template <class Find>
  Result<Folders> folders(const std::string& kind, Find find) {
    const std::lock_guard lock(mutex_);
    const auto at = kinds_.find(kind);
    return at != kinds_.end() ? at->second : kinds_.emplace(kind, find()).first->second;
  }
  std::shared_ptr<const FolderList> list(const Folders& folders);

 private:
  std::mutex mutex_;
  std::map<std::string, Result<Folders>> kinds_;
  std::map<Folders, std::shared_ptr<const FolderList>> lists_;
};

/// Looks for `name` (subfolders with / or \) under folders: by direct path first, then ignoring
/// case and subfolders, over at most 20,000 entries. `memo` may be null.
FoundFile locate_file(const std::vector<std::string>& folders, std::string_view name,
                      FolderMemo* memo = nullptr);

/// A model that diffusers saved: NAME/model_index.json, NAME/unet/, NAME/vae/, NAME/text_encoder/.
struct DiffusersFolder {
  std::string path;                ///< empty: not there
  std::vector<std::string> files;  ///< of the role; none if the folder lacks it
};

/// Looks for NAME in each folder, in order, as DiffusersLoader does, and takes the files that it
/// takes: the fp16 variant first. Beyond ComfyUI, which stops there, sharded files (by their index)
/// and `transformer/` are found, too.
DiffusersFolder locate_diffusers(const std::vector<std::string>& folders, std::string_view name,
                                 WeightsRole role);

}  // namespace ebb
