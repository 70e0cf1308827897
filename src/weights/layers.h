// SPDX-License-Identifier: Apache-2.0
// Whether a header is that of an architecture, or of one that only has tensors in common with it.
#pragma once

#include <string_view>
#include <vector>

#include "ebb/weights.h"
#include "weights/tensors.h"

namespace ebb {

/// The layers and widths of ComfyUI's own class for `architecture` against those of `part`. True
/// for an architecture that the table lacks: nothing speaks against it.
bool has_layers_of(const TensorSet& part, std::string_view architecture);

/// The modules of ComfyUI's own class, their values as bytes, largest first; empty for one that
/// the table lacks. To be scaled.
std::vector<ModuleGroup> class_modules(std::string_view architecture);

}  // namespace ebb
