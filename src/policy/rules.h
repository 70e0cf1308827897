// SPDX-License-Identifier: Apache-2.0
// What changed between ComfyUI's versions in its memory manager: one row per version.
#pragma once

#include <cstdint>

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
  bool streaming_buffer = false;        ///< room for streaming is kept free of weights
  int streams = 0;                      ///< modules ahead that this room covers
  bool frees_when_just_enough = false;  ///< exactly enough free memory still frees one module
  LoadLog log = LoadLog::numbers;
  double pinned_ram_windows = 0;  ///< most RAM that offloaded weights may lock, as a fraction
  double pinned_ram_linux = 0;    ///< 0: nothing is locked
  bool pins_repatched = true;     ///< weights whose LoRA set was replaced are locked too
};

/// The row at or below `version`; the first row for anything older.
const Rules& rules_for(const ComfyVersion& version);

/// The newest version whose rules were compared with recordings.
const ComfyVersion& newest_known_version();

}  // namespace ebb
