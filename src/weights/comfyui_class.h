// SPDX-License-Identifier: Apache-2.0
// ComfyUI's own name for a diffusion model.
#pragma once

#include <string>
#include <string_view>

#include "weights/tensors.h"

namespace ebb {

/// The class of comfy.supported_models that ComfyUI takes these tensors for, `WAN21_I2V`; empty if
/// none fits. `architecture` is what detect_architecture found in them.
std::string comfyui_class(const TensorSet& part, std::string_view architecture);

}  // namespace ebb
