// SPDX-License-Identifier: Apache-2.0
// Weights are the tensors of one model as ComfyUI loads them: bytes, types, architecture, and the
// modules that decide how finely they can be split between VRAM and RAM.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/bytes.h"
#include "ebb/index.h"
#include "ebb/machine.h"
#include "ebb/result.h"

namespace ebb {

enum class WeightsRole {
  diffusion,
  text_encoder,
  vae,
  vision_encoder,
  controlnet,
  lora,
  upscaler,
  other,
};
/// `text_encoder`: stable names.
const char* to_string(WeightsRole role);
/// What a model of this role is called.
Say name_of(WeightsRole role);

/// Where the byte count of some weights comes from.
enum class BytesFrom {
  header,   ///< read from the file
  known,    ///< the table of public files
  stated,   ///< the workflow's own notes
  assumed,  ///< the pattern of the name
  given,    ///< the user
  unknown,
};
const char* to_string(BytesFrom from);

/// `count` consecutive modules of equal size in ComfyUI's load order.
struct ModuleGroup {
  std::int64_t bytes = 0;
  std::int64_t extra_offload_bytes = 0;  ///< room that streaming one of them needs; 0 before 0.8.0
  int count = 1;
  bool castable = true;  ///< can be left in RAM and streamed; others are loaded or skipped silently

  bool operator==(const ModuleGroup&) const = default;
};

/// The tensors of one model, known by name or read from its header.
struct Weights {
  std::string id;                  ///< unique in a prompt: loader node id, plus `.clip`, `.vae`
  std::string name;                ///< short, for tables: file name without path and extension
  std::vector<std::string> files;  ///< as the workflow names them; two for a pair of text encoders
  std::string node;                ///< the loader's node id
  WeightsRole role = WeightsRole::other;
  std::string architecture;       ///< row of the demand table, such as `wan21-14b`; empty: unknown
  std::string nearest;            ///< of an unknown one: the row whose marks its header has
  std::string comfyui_class;      ///< `WAN21_I2V`, by its tensors; empty: no header, or no class
  std::int64_t bytes = 0;         ///< ComfyUI's model_size: all tensors after loading
  std::int64_t listed_bytes = 0;  ///< sum over `modules`; the rest never counts in a partial load
  std::int64_t file_bytes = 0;    ///< bytes to read from disk
  std::int64_t loader_bytes = 0;  ///< text encoders: size the loader judges by (default dtype)
  std::int64_t parameters = 0;    ///< number of weights, for seconds; 0 if unknown
  BytesFrom bytes_from = BytesFrom::unknown;
  Message source;                    ///< where the number comes from, or why it is unknown
  std::string stored_type;           ///< `fp8_e4m3fn`, `bf16`, `Q4_K`
  int compute_type_bytes = 2;        ///< element size ComfyUI computes in
  bool modules_exact = false;        ///< false: module sizes are a uniform assumption
  std::vector<ModuleGroup> modules;  ///< load order: largest first

  bool known() const { return bytes_from != BytesFrom::unknown; }
  /// A part that its checkpoint does not hold: the loader gives nothing for it.
  bool absent() const { return known() && bytes == 0; }
};

/// A request from a loader node: which file, in which role, loaded how.
struct WeightsRequest {
  std::string node;       ///< loader's node id
  std::string id_suffix;  ///< "", ".clip", ".vae" for checkpoints
  WeightsRole role = WeightsRole::other;
  std::vector<std::string> files;  ///< one, or several text encoders loaded as one
  std::string folder;              ///< ComfyUI's folder kind: `diffusion_models`, `text_encoders`
  std::string loader_class;        ///< `UNETLoader`; decides how types are cast
  std::string weight_type;         ///< UNETLoader's weight_dtype, CLIPLoader's type
};

/// What model folders hold, found once and asked often. Safe to use from several threads.
class FolderMemo;
std::shared_ptr<FolderMemo> make_folder_memo();

/// Where model files are found: ComfyUI's folders plus extra_model_paths.yaml, and sizes given.
struct WeightsSearch {
  std::vector<std::string> model_folders;  ///< --models; each laid out as ComfyUI's models/
  std::map<std::string, std::int64_t> given_bytes;  ///< --bytes NAME=SIZE
  ComfyVersion comfyui;                             ///< decides how types are counted
  bool fp32_vaes = false;                           ///< CardRules::fp32_vaes
  std::map<std::string, WrittenSize> stated = {};   ///< Prompt::stated_files
  /// A server's own folders for each kind, in its order, in place of model_folders. Those that are
  /// not there are passed over, as ComfyUI does.
  std::optional<std::map<std::string, std::vector<std::string>>> folders = {};
  /// May be null: then every request walks the folders anew. Good for one `model_folders`.
  std::shared_ptr<FolderMemo> memo = {};
};

/// A model of the built-in table by its name there (`wan22_i2v_14b_fp8_scaled`), as this version
/// counts it; nothing if the table lacks it.
std::optional<Weights> find_table_weights(std::string_view name, const ComfyVersion& version);

/// Finds the weights for a request: given by the user, read from the file's header if a model
/// folder has it, else the table of known files, else unknown (which is an answer). Errors: a
/// model folder that can't be read, a file whose header is broken.
Result<Weights> find_weights(const WeightsRequest& request, const WeightsSearch& search);

}  // namespace ebb
