// SPDX-License-Identifier: Apache-2.0
// The demand table, part two: what ControlNets add to a model. Traced and fitted like the models
// (docs/demand.md), with ComfyUI's own classes and merging.
#include "demand/architectures.h"

namespace ebb {
namespace {

constexpr const char* kTraced = "traced beside the model, tests/demand/traced.inc";

// Low: the model with a T2I adapter, which hands over less, or with a net of fewer blocks. High,
// for Flux: nets that have single blocks, too (controlnet-flux-union in the traced calls).
// clang-format off
constexpr ControlRow kRows[] = {
    // key, base, nets,
    //   more: {rate, MiB an item, reserved / live of all together}, low, high, source
    {"controlnet-sd15", "sd15", 1,
     {{1744, 0, 1.22}}, 0.8, 1.25, kTraced},
    {"two-controlnets-sd15", "sd15", 2,
     {{2768, 0, 1.22}}, 0.75, 1.25, kTraced},
    {"controlnet-sd21", "sd21", 1,
     {{1744, 0, 1.22}}, 0.8, 1.25, kTraced},
    {"two-controlnets-sd21", "sd21", 2,
     {{2768, 0, 1.22}}, 0.75, 1.25, kTraced},
    {"controlnet-sdxl", "sdxl", 1,
     {{2784, 0, 1.37}}, 0.73, 1.25, kTraced},
    {"two-controlnets-sdxl", "sdxl", 2,
     {{3408, 0, 1.18}}, 0.7, 1.25, kTraced},
    {"controlnet-sd35-large", "sd35-large", 1,
     {{19.027, 0, 1.13}}, 0.6, 1.25, kTraced},
    {"two-controlnets-sd35-large", "sd35-large", 2,
     {{55.053, -18.6, 1.03}}, 0.6, 1.25, kTraced},
    {"controlnet-flux", "flux", 1,
     {{5.021, 0, 1.87}, {5.021, 0, 1.78}, {5.021, 0, 1.86}, {5.021, 0, 1.86}},
     0.79, 1.9, kTraced},
    {"two-controlnets-flux", "flux", 2,
     {{19.042, 0, 1.73}, {19.042, 0, 1.47}, {19.042, 0, 1.5}, {19.042, 0, 1.5}},
     0.95, 2.4, kTraced},
    {"controlnet-qwen-image", "qwen-image", 1,
     {{5.021, 0, 1.28}, {5.021, 0, 1.23}, {5.021, 0, 1.31}, {5.021, 0, 1.31}},
     0.93, 1.25, kTraced},
    {"two-controlnets-qwen-image", "qwen-image", 2,
     {{60.042, 0, 1.13}, {60.042, 0, 1.14}, {60.042, 0, 1.14}, {60.042, 0, 1.14}},
     0.93, 1.25, kTraced},
};
// clang-format on

}  // namespace

std::span<const ControlRow> control_rows() { return kRows; }

}  // namespace ebb
