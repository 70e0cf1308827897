// SPDX-License-Identifier: Apache-2.0
// ComfyUI's classic memory manager: which weights are on the GPU, down to the module, and what one
// request for memory loads, unloads and logs.
//
// Sizes are whole bytes. Thresholds (budgets, requirements) are doubles, because ComfyUI computes
// them in floating point and compares strictly: 1.1 times the weights, 0.8 GiB, 0.1 byte.
// Modules of a run are interchangeable: what is loaded of a run is always its first modules.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ebb/machine.h"
#include "ebb/sum.h"
#include "ebb/weights.h"
#include "machine/versions.h"

namespace ebb {

/// What the manager's arithmetic depends on beside the weights.
struct ManagerSettings {
  Rules rules;
  double reserved_bytes = 0;
  VramState vram_state = VramState::normal;
  bool smart_memory = true;  ///< false: every request for memory empties everything else
  int streams = 0;
  double weight_share = 0;      ///< of free memory, which weights get at least
  std::int64_t free_bytes = 0;  ///< before anything is loaded

  double inference_bytes() const { return rules.inference_bytes + reserved_bytes; }
};

/// The settings of a machine with its version and flags.
ManagerSettings manager_settings(const Machine& machine);

/// A run of modules, and whether a LoRA patches them.
struct ManagedGroup {
  ModuleGroup modules;
  bool patched = false;
};

/// Weights as the manager sees them.
struct Managed {
  std::int64_t size_bytes = 0;  ///< all tensors; what `runs` leave out moves only in a full load
  std::vector<ManagedGroup> runs;
  bool on_cpu = false;        ///< computes on the CPU: never asks for VRAM
  bool stays_on_gpu = false;  ///< is "unloaded" to the GPU itself (--highvram, --gpu-only)
};

/// `runs` in the order in which a version with a streaming buffer loads them.
void sort_for_streaming(std::vector<ManagedGroup>& runs);
/// Modules as a LoRA patches them, in load order: all that can be streamed but those of these
/// sizes.
std::vector<ManagedGroup> patched_runs(const std::vector<ModuleGroup>& modules,
                                       const std::vector<std::int64_t>& unpatched,
                                       bool streaming_buffer);

/// Weights that left the GPU, whole or in part.
struct Victim {
  WeightsIndex weights = 0;
  std::int64_t loaded_before_bytes = 0;
  std::int64_t loaded_after_bytes = 0;
  std::int64_t left_bytes = 0;    ///< bytes that the GPU got back
  std::int64_t copied_bytes = 0;  ///< of these, copied to RAM; patched copies are just dropped
  bool partial = false;
};

/// One request to make room.
struct FreeRecord {
  double required_bytes = 0;
  std::int64_t free_bytes = 0;  ///< on entry
  std::vector<Victim> victims;  ///< in the order in which they gave room
  std::vector<WeightsIndex>
      removed;  ///< those that left completely, as ComfyUI strikes them off its list
};

/// One set of weights brought to the GPU.
struct LoadRecord {
  WeightsIndex weights = 0;
  bool limited = false;         ///< a budget was computed; false: no limit
  bool full = false;            ///< parameters outside the list moved too
  bool lowvram = false;         ///< something was left out
  std::int64_t free_bytes = 0;  ///< free VRAM plus what of these weights was loaded
  double minimum_bytes = 0;     ///< subtracted from it, reserve included
  double budget_bytes = 0;      ///< handed to the loader: beyond what was loaded already
  double total_bytes = 0;       ///< what may be loaded altogether
  std::int64_t loaded_before_bytes = 0;
  std::int64_t loaded_bytes = 0;
  std::int64_t offloaded_bytes = 0;  ///< castable listed modules left out
  std::int64_t buffer_bytes = 0;
  std::int64_t unlisted_bytes = 0;   ///< left out beside: not castable, or not listed
  std::int64_t uncounted_bytes = 0;  ///< on the device, but not counted as loaded
  Say raised = Say::nothing;         ///< why total_bytes is more than the demand leaves
  std::vector<Part> parts;           ///< of total_bytes, where it is limited; else of free_bytes
  std::int64_t left_bytes = 0;       ///< moved off the GPU first: another LoRA set, or less room
  std::int64_t copied_bytes = 0;     ///< of these, copied to RAM
  std::int64_t gained_bytes = 0;     ///< moved to the GPU
  std::string log;                   ///< empty where ComfyUI prints nothing
};

/// Everything that one load_models_gpu did, in order.
struct CallRecord {
  std::vector<FreeRecord> frees;
  std::vector<LoadRecord> loads;
};

class Manager {
 public:
  explicit Manager(const ManagerSettings& settings);

  /// REQUIRES: nothing; sizes that are not usable (negative, overflowing) are cut to usable ones.
  WeightsIndex add(Managed weights);

  /// A loader node put the weights on the GPU without asking for room.
  void place_on_gpu(WeightsIndex weights);
  /// The next load is of a clone with other patches (0: none) and modules as they are then.
  void set_patches(WeightsIndex weights, int patches, std::vector<ManagedGroup> runs);

  /// load_models_gpu: makes room and loads. `minimum` as ComfyUI's caller passes it, if it does.
  CallRecord load(const std::vector<WeightsIndex>& weights, double memory_required_bytes,
                  std::optional<double> minimum_bytes = {}, bool force_full = false);
  /// free_memory on its own: what nodes outside the manager (upscalers) call.
  FreeRecord make_room(double required_bytes);
  FreeRecord unload_all();
  /// Full unload of one, as park does; nothing if it is not registered.
  std::optional<Victim> unload(WeightsIndex weights);
  /// The weights cease to exist: nothing is copied anywhere. Returns the bytes that left the GPU.
  std::int64_t forget(WeightsIndex weights);
  /// VRAM taken or given back by something the manager does not know (an upscaler).
  void take(std::int64_t bytes) { taken_bytes_ += bytes; }

  std::int64_t free_bytes() const { return settings_.free_bytes - taken_bytes_ - device_bytes_; }
  std::int64_t loaded_bytes(WeightsIndex weights) const { return states_[weights].loaded_bytes; }
  /// Bytes really on the device.
  std::int64_t device_bytes(WeightsIndex weights) const { return states_[weights].device_bytes; }
  /// Bytes on the device that are patched copies, whose originals stay in RAM.
  std::int64_t patched_device_bytes(WeightsIndex weights) const {
    return states_[weights].patched_bytes;
  }
  /// Castable listed bytes that are not on the device: what a pass streams.
  std::int64_t streamed_bytes(WeightsIndex weights) const;
  /// Registered weights, most recently used first.
  const std::vector<WeightsIndex>& registered() const { return registered_; }
  const ManagerSettings& settings() const { return settings_; }
  const Managed& managed(WeightsIndex weights) const { return states_[weights].weights; }
  std::size_t size() const { return states_.size(); }
  /// Modules of run `run` that are streamed; nothing is known of weights that were never loaded.
  std::int64_t streamed_modules(WeightsIndex weights, std::size_t run) const;
  /// Loaded before with one LoRA set, now with another.
  bool repatched(WeightsIndex weights) const { return states_[weights].repatched; }

 private:
  struct State {
    Managed weights;
    std::int64_t listed_bytes = 0;
    std::vector<std::int64_t> loaded;   // modules of each run that are on the device
    std::vector<std::int64_t> wrapped;  // modules at each run's end that are set up to stream
    std::int64_t loaded_bytes = 0;
    std::int64_t device_bytes = 0;
    std::int64_t patched_bytes = 0;  // of these
    double buffer_bytes = 0;
    bool lowvram = false;
    bool outside_on_gpu = false;
    bool placed = false;  // on the GPU by a loader and never off it, whatever is counted as loaded
    int patches = 0;
    std::optional<int> loaded_patches;
    std::optional<int> last_patches;  // of any load before, unloaded or not
    bool repatched = false;
    std::vector<ManagedGroup> next_runs;
  };

  FreeRecord free_memory(double required_bytes, bool everything);
  Victim evict(WeightsIndex weights, double to_free_bytes);
  std::int64_t unload_part(State& state, double to_free_bytes);
  void detach(State& state);
  void count_device(State& state);
  double budget_for(const State& state, double minimum_bytes, bool force_full,
                    LoadRecord& record) const;
  void tell_budget(LoadRecord& record) const;
  bool swap_patches(State& state);
  LoadRecord load_one(WeightsIndex weights, double minimum_bytes, bool force_full);
  void load_within(State& state, LoadRecord& record);
  void choose(State& state, LoadRecord& record, int& patch_count);
  static void keep(State& state, std::size_t run, std::int64_t fitting, LoadRecord& record,
                   int& patch_count);
  std::string log_line(const LoadRecord& record, std::int64_t counted_bytes, int patches) const;

  ManagerSettings settings_;
  List<State, WeightsIndex> states_;
  std::vector<WeightsIndex> registered_;
  std::int64_t taken_bytes_ = 0;
  std::int64_t device_bytes_ = 0;  // of all weights together
};

/// Text encoder loaders: to the GPU at once, or to the CPU first?
bool text_encoder_starts_on_gpu(std::int64_t loader_bytes, std::int64_t free_vram_bytes,
                                std::int64_t free_ram_bytes);
/// Checkpoint loaders: the same question for the diffusion model.
bool checkpoint_starts_on_gpu(const ManagerSettings& settings, std::int64_t size_bytes,
                              std::int64_t free_vram_bytes, std::int64_t free_ram_bytes);
/// Whether positive and negative conditioning share one forward. `asked` is of two batches.
bool conditionings_share_forward(double asked_bytes, std::int64_t free_vram_bytes);

}  // namespace ebb
