// SPDX-License-Identifier: Apache-2.0
// What changed between ComfyUI's versions, in one table: a row per version. docs/new-version.md
// says how a row is added. Tables that scripts write from ComfyUI itself have rows of their own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "ebb/bytes.h"
#include "ebb/machine.h"

namespace ebb {

/// How a version words the line it logs after a load.
enum class LoadLog {
  numbers,        ///< bare numbers, unrounded
  usable,         ///< usable, loaded, offloaded
  buffer,         ///< the same and the streaming buffer
  buffer_bounded  ///< the same, but `usable` is left out where there is no limit
};

/// One row: valid from `since` up to the next row.
struct Rules {
  ComfyVersion since;
  std::int64_t reserve_linux_bytes = 0;
  std::int64_t reserve_windows_bytes = 0;
  std::int64_t reserve_windows_large_bytes = 0;  ///< cards above `large_card_mib`
  std::int64_t large_card_mib = 0;               ///< of the driver's total
  double inference_bytes = 0;                    ///< asked at least, beside the reserve
  double floor_bytes = 0;                        ///< least budget before subtracting what is loaded
  bool unloads_below_budget = false;    ///< a budget below what is loaded unloads the difference
  bool streaming_buffer = false;        ///< room for streaming is counted and kept free of weights
  int streams = 0;                      ///< that copy weights beside the compute, by default
  bool frees_when_just_enough = false;  ///< exactly enough free memory still frees one module
  LoadLog log = LoadLog::numbers;
  double pinned_ram_windows = 0;   ///< most RAM that offloaded weights may lock, as a fraction
  double pinned_ram_linux = 0;     ///< 0: nothing is locked
  bool pins_repatched = true;      ///< weights whose LoRA set was replaced are locked too
  bool norms_castable = false;     ///< norms of Flux and HunyuanVideo can stay in RAM
  bool text_encoders_ask = false;  ///< those that have an estimate of their own (Gemma 3)
  /// From here on weights are paged where the card allows it; beyond every version: they are not.
  ComfyVersion paged_since = {1'000, 0, 0};
};

// From comfy/model_management.py and comfy/model_patcher.py: reserves EXTRA_RESERVED_VRAM, floor
// load_models_gpu, unloading below the budget ModelPatcher.partially_load, buffer ModelPatcher.load
// and partially_unload, streams NUM_STREAMS, just enough free_memory, pinned MAX_PINNED_MEMORY.
// Norms: the operations that comfy/ldm/flux/layers.py takes. Text encoders: comfy/sd.py.
// 0.3.64: Comfy-Org/ComfyUI commit a125cd84b054; 0.3.73, 0.8.0 and 0.18.2 (its classic path, that
// is with --disable-dynamic-vram): public forks that carry these versions.
constexpr std::array<Rules, 4> make_rules() {
  Rules rules;
  rules.since = {0, 3, 64};
  rules.reserve_linux_bytes = 400_MiB;
  rules.reserve_windows_bytes = 600_MiB;
  rules.reserve_windows_large_bytes = 700_MiB;
  rules.large_card_mib = 15 * 1024;
  rules.inference_bytes = 0.8 * 1024 * 1024 * 1024;
  rules.floor_bytes = 128.0 * 1024 * 1024;
  rules.frees_when_just_enough = true;
  const Rules v0_3_64 = rules;

  rules.since = {0, 3, 73};
  rules.unloads_below_budget = true;
  rules.log = LoadLog::usable;
  rules.pinned_ram_windows = 0.45;
  rules.pinned_ram_linux = 0.95;
  rules.pins_repatched = false;  // observed in all four recordings that replace a set
  const Rules v0_3_73 = rules;

  rules.since = {0, 8, 0};
  rules.floor_bytes = 0;
  rules.streaming_buffer = true;
  rules.pins_repatched = true;
  rules.streams = 2;
  rules.log = LoadLog::buffer;
  rules.paged_since = {0, 16, 0};  // between two rows: a release whose classic path is this one
  const Rules v0_8_0 = rules;

  rules.since = {0, 18, 2};
  rules.frees_when_just_enough = false;
  rules.log = LoadLog::buffer_bounded;
  rules.norms_castable = true;
  rules.text_encoders_ask = true;
  const Rules v0_18_2 = rules;

  return {v0_3_64, v0_3_73, v0_8_0, v0_18_2};
}

inline constexpr auto kVersionRules = make_rules();

/// The position of the row at or below `version`; of the first row for anything older.
constexpr std::size_t rules_index(const ComfyVersion& version) {
  std::size_t best = 0;
  for (std::size_t i = 0; i < kVersionRules.size(); ++i)
    if (kVersionRules[i].since <= version) best = i;
  return best;
}
constexpr const Rules& rules_for(const ComfyVersion& version) {
  return kVersionRules[rules_index(version)];
}

/// Streams that copy offloaded weights beside the compute; with fewer than two, copies and compute
/// take turns. From comfy/model_management.py: NUM_STREAMS, get_offload_stream.
inline int offload_streams(const Machine& machine) {
  if (machine.flags.disable_async_offload) return 0;
  const int usual = card_rules(machine).streams ? rules_for(machine.comfyui).streams : 0;
  return machine.flags.async_offload.value_or(usual);
}

/// A value for each row, oldest first. Rows at the end that are not mentioned have the last value
/// mentioned, so that a new version needs an entry only where it changed something.
template <class T>
class ByVersion {
 public:
  constexpr ByVersion(std::initializer_list<T> values) {  // NOLINT(implicit)
    std::size_t i = 0;
    for (const T& value : values)
      if (i < kVersionRules.size()) values_[i++] = value;
    for (; i > 0 && i < kVersionRules.size(); ++i) values_[i] = values_[i - 1];
  }

  constexpr const T& operator[](std::size_t i) const { return values_[i]; }
  constexpr std::size_t size() const { return values_.size(); }
  constexpr auto begin() const { return values_.begin(); }
  constexpr auto end() const { return values_.end(); }

 private:
  std::array<T, kVersionRules.size()> values_ = {};
};

}  // namespace ebb
