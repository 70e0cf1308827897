// SPDX-License-Identifier: Apache-2.0
// What a file's name tells of its weights, and what the parts of find_weights share.
#pragma once

#include <string>

#include "ebb/weights.h"
#include "weights/known.h"
#include "weights/module_table.h"

namespace ebb {

constexpr double kSameModelTolerance = 0.0002;  // of the size: headers differ by less

bool is_diffusers(const WeightsRequest& request);
/// Whether one name stands for several models.
bool is_checkpoint(const WeightsRequest& request);
bool loads_audio(const WeightsRequest& request);
bool casts_to_fp8(const WeightsRequest& request);
/// Models that ComfyUI loads module by module; a LoRA is merged into one of them instead.
inline bool has_modules(WeightsRole role) { return role != WeightsRole::lora; }

void set_row(Weights& weights, const ModuleRow& row);
/// Modules for a known size: a relative's proportions, or equal ones.
void assume_modules(Weights& weights, std::string_view structure, const ComfyVersion& version);

Weights weights_from_model(const KnownModel& model, const KnownFile& file,
                           const WeightsRequest& request, const ComfyVersion& version);
/// By the table of known files, by what the workflow states, by the pattern of the name, in this
/// order; unknown, with a reason, where none of them tells.
Weights weights_by_name(const std::string& name, const WeightsRequest& request,
                        const WeightsSearch& search);

}  // namespace ebb
