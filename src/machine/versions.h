// SPDX-License-Identifier: Apache-2.0
// What changed between ComfyUI's releases, in one table: a row per release that changed something.
// docs/new-version.md says how one is added. Tables that scripts write from ComfyUI itself have
// rows of their own, and demand has columns, one per version whose models were traced.
#pragma once

#include <algorithm>
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
  bool looks_ahead = false;             ///< the room is for the next modules, and for cast copies
  int streams = 0;                      ///< that copy weights beside the compute, by default
  bool frees_when_just_enough = false;  ///< exactly enough free memory still frees one module
  LoadLog log = LoadLog::numbers;
  double pinned_ram_windows = 0;        ///< most RAM that offloaded weights may lock, as a fraction
  double pinned_ram_linux = 0;          ///< 0: nothing is locked
  bool pins_without_limit = false;      ///< of models that are not paged, whatever the fraction
  bool pins_repatched = true;           ///< weights whose LoRA set was replaced are locked too
  bool norms_castable = false;          ///< norms of Flux and HunyuanVideo can stay in RAM
  bool text_encoders_ask = false;       ///< those that have an estimate of their own (Gemma 3)
  bool flux_counts_references = false;  ///< Flux asks for its reference pictures, too
  bool pages_on_wish = false;           ///< `--fast dynamic_vram` pages weights
  bool pages = false;                   ///< weights are paged where the card allows it
  bool last_loads_first = false;        ///< of the models of one request
  bool headroom_flags = false;          ///< --reserve-vram and --vram-headroom act on pages, too
  double cache_ram_share = 0;           ///< of RAM: what --cache-ram keeps free, 4 to 32 GiB
  bool none_keeps_nothing = false;      ///< --cache-none: not even what a node to come needs
  bool ram_cache = false;               ///< the default node cache lets go where RAM runs short
  double idle_results_gib = 0;   ///< below this much free RAM earlier prompts' results leave it
  bool copies_resident = false;  ///< a weight with pages keeps a locked copy in RAM as well
};

// Each release from 0.3.10 to 0.33.0 was compared with the one before, function by function, and a
// row made wherever one of these changed. From comfy/model_management.py and model_patcher.py:
// reserves EXTRA_RESERVED_VRAM, floor load_models_gpu, unloading below the budget
// ModelPatcher.partially_load, buffer ModelPatcher.load and partially_unload, streams NUM_STREAMS,
// just enough free_memory, pinned MAX_PINNED_MEMORY. Norms: the operations that
// comfy/ldm/flux/layers.py takes. Text encoders: comfy/sd.py. References: Flux's
// memory_usage_factor_conds in comfy/model_base.py. Paging: enables_dynamic_vram in
// comfy/cli_args.py, main.py. Node cache: main.py. Copies: comfy/ops.py.
// Commits: those that carry the releases' names in Comfy-Org/ComfyUI.
struct Change {
  ComfyVersion since;
  void (*make)(Rules&);
};
inline constexpr std::array kChanges = {
    Change{{0, 3, 25},
           [](Rules& r) {
             r.reserve_linux_bytes = 400_MiB;
             r.reserve_windows_bytes = r.reserve_windows_large_bytes = 600_MiB;
             r.large_card_mib = 15 * 1024;
             r.inference_bytes = 0.8 * 1024 * 1024 * 1024;
             r.floor_bytes = 128.0 * 1024 * 1024;
             r.frees_when_just_enough = true;
           }},
    Change{{0, 3, 43}, [](Rules& r) { r.flux_counts_references = true; }},
    Change{{0, 3, 47}, [](Rules& r) { r.reserve_windows_large_bytes = 700_MiB; }},
    Change{{0, 3, 68},
           [](Rules& r) {
             r.log = LoadLog::usable;
             r.pinned_ram_windows = 0.45;
             r.pinned_ram_linux = 0.95;
             // Observed in all four recordings of 0.3.73 that replace a set, and in none of 0.8.0;
             // where it changed is not known.
             r.pins_repatched = false;
           }},
    Change{{0, 3, 69}, [](Rules& r) { r.unloads_below_budget = true; }},
    // Of the versions read the first one whose cache keeps nothing at all.
    Change{{0, 3, 73}, [](Rules& r) { r.none_keeps_nothing = true; }},
    Change{{0, 3, 76},
           [](Rules& r) {
             r.floor_bytes = 0;
             r.streaming_buffer = true;
             r.streams = 2;
             r.log = LoadLog::buffer;
           }},
    Change{{0, 4, 0}, [](Rules& r) { r.looks_ahead = true; }},
    Change{{0, 8, 0}, [](Rules& r) { r.pins_repatched = true; }},
    Change{{0, 8, 1},
           [](Rules& r) {
             r.log = LoadLog::buffer_bounded;
             r.text_encoders_ask = true;
           }},
    Change{{0, 12, 0},
           [](Rules& r) {
             r.frees_when_just_enough = false;
             r.pages_on_wish = true;
           }},
    Change{{0, 14, 0}, [](Rules& r) { r.norms_castable = true; }},
    Change{{0, 16, 0},
           [](Rules& r) {
             r.pages_on_wish = false;
             r.pages = true;
           }},
    Change{{0, 19, 0},
           [](Rules& r) {
             r.pinned_ram_windows = 0.40;
             r.pinned_ram_linux = 0.90;
             r.cache_ram_share = 0.25;
           }},
    Change{{0, 21, 0}, [](Rules& r) { r.last_loads_first = true; }},
    Change{{0, 23, 0},
           [](Rules& r) {
             r.pins_without_limit = true;
             r.ram_cache = true;
             r.idle_results_gib = 96;
           }},
    Change{{0, 25, 0}, [](Rules& r) { r.headroom_flags = true; }},
    Change{{0, 29, 0}, [](Rules& r) { r.idle_results_gib = 128; }},
    Change{{0, 30, 0}, [](Rules& r) { r.copies_resident = true; }},
};

/// A row per change, oldest first.
constexpr auto make_rules() {
  std::array<Rules, kChanges.size()> rows;
  Rules rules;
  for (std::size_t i = 0; i < kChanges.size(); ++i) {
    rules.since = kChanges[i].since;
    kChanges[i].make(rules);
    rows[i] = rules;
  }
  return rows;
}
inline constexpr auto kVersionRules = make_rules();

/// The row at or below `version`; the first row for anything older.
constexpr const Rules& rules_for(const ComfyVersion& version) {
  std::size_t best = 0;
  for (std::size_t i = 0; i < kVersionRules.size(); ++i) {
    if (kVersionRules[i].since <= version) best = i;
  }
  return kVersionRules[best];
}

/// Versions whose models were traced and recorded; they are the columns of the demand tables.
inline constexpr std::array<ComfyVersion, 5> kColumns = {
    {{0, 3, 64}, {0, 3, 73}, {0, 8, 0}, {0, 18, 2}, {0, 33, 0}}};

/// The column at or below `version`; the first one for anything older.
constexpr std::size_t column_index(const ComfyVersion& version) {
  std::size_t best = 0;
  for (std::size_t i = 0; i < kColumns.size(); ++i) {
    if (kColumns[i] <= version) best = i;
  }
  return best;
}

/// The version whose recorded modules are those of `version`: they differ in what streaming one
/// takes and in which norms can be streamed, both of which changed between two recordings.
constexpr ComfyVersion modules_as_of(const ComfyVersion& version) {
  const Rules& rules = rules_for(version);
  const std::size_t least = rules.norms_castable ? 3 : rules.looks_ahead ? 2 : 0;
  return kColumns[std::clamp<std::size_t>(column_index(version), least, 3)];
}

/// Streams that copy offloaded weights beside the compute; with fewer than two, copies and compute
/// take turns. From comfy/model_management.py: NUM_STREAMS, get_offload_stream.
inline int offload_streams(const Machine& machine) {
  if (machine.flags.disable_async_offload) return 0;
  const int usual = card_rules(machine).streams ? rules_for(machine.comfyui).streams : 0;
  return machine.flags.async_offload.value_or(usual);
}

/// A value for each column, oldest first. Columns at the end that are not mentioned have the last
/// value mentioned, so that a new version needs an entry only where it changed something.
template <class T>
class ByVersion {
 public:
  constexpr ByVersion(std::initializer_list<T> values) {  // NOLINT(implicit)
    std::size_t i = 0;
    for (const T& value : values) {
      if (i < kColumns.size()) values_[i++] = value;
    }
    for (; i > 0 && i < kColumns.size(); ++i) values_[i] = values_[i - 1];
  }

  constexpr const T& operator[](std::size_t i) const { return values_[i]; }
  constexpr std::size_t size() const { return values_.size(); }
  constexpr auto begin() const { return values_.begin(); }
  constexpr auto end() const { return values_.end(); }

 private:
  std::array<T, kColumns.size()> values_ = {};
};

}  // namespace ebb
