// SPDX-License-Identifier: Apache-2.0
// Module lists recorded from ComfyUI's own code, per version and model. They decide how finely a
// model can be split between VRAM and RAM.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "ebb/machine.h"
#include "ebb/weights.h"

namespace ebb {

/// One model in memory, as one ComfyUI version has it.
struct ModuleRow {
  ComfyVersion version;
  std::string_view kind;   ///< `diffusion`, `text_encoder`, `vae`
  std::string_view model;  ///< key: `wan22_i2v_14b_fp8_scaled`
  std::int64_t bytes = 0;
  std::int64_t listed_bytes = 0;
  std::span<const ModuleGroup> runs;  ///< in load order
};

std::span<const ModuleRow> module_rows();

/// The row of the recorded version whose modules are those of `version`, else of the newest one
/// before it, else of the oldest. Null if the model is not in the table.
const ModuleRow* find_module_row(std::string_view model, const ComfyVersion& version);

}  // namespace ebb
