// SPDX-License-Identifier: Apache-2.0
// Which architecture a set of tensors is, from names and shapes, with the marks by which ComfyUI
// itself tells models apart.
#pragma once

#include <string>

#include "ebb/weights.h"
#include "weights/tensors.h"

namespace ebb {

/// A row of the demand table whose layers and widths these are, or empty. `gguf_architecture` is
/// GGUF's general.architecture, which names text encoders whose tensors are named as llama.cpp
/// does.
std::string detect_architecture(const TensorSet& part, WeightsRole role,
                                std::string_view gguf_architecture = {});

/// The row with the same marks, even where layers or widths show that it is another model.
std::string nearest_architecture(const TensorSet& part, WeightsRole role,
                                 std::string_view gguf_architecture = {});

/// The name for several text encoders loaded as one: `clip-l` and `t5-xxl` are `flux-clip`.
std::string join_text_encoders(std::vector<std::string> architectures);

}  // namespace ebb
