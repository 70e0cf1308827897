// SPDX-License-Identifier: Apache-2.0
// The demand of one step without a prompt around it.
#include <fmt/format.h>

#include "demand/formulas.h"
#include "ebb/demand.h"

namespace ebb {
namespace {

Demand unknown_demand(const Weights& weights) {
  Demand demand;
  demand.asked = demand.minimum = demand.live = demand.reserved = unknown_quantity(
      {Say::no_estimate_for, {weights.architecture.empty() ? weights.name : weights.architecture}});
  return demand;
}

Demand estimate_sample(const Weights& weights, const Shape& latent, const ComfyVersion& version) {
  SampleCase c;
  c.row = find_diffusion_row(weights.architecture);
  if (!c.row) return unknown_demand(weights);
  c.latent = latent;
  c.version = version;
  c.element_bytes = weights.compute_type_bytes;
  c.quantised = weights.stored_type.starts_with("fp8");
  return sample_demand(c);
}

}  // namespace

Demand estimate_step(StepKind kind, const Weights& weights, const Shape& shape,
                     const ComfyVersion& version) {
  if (kind == StepKind::sample) return estimate_sample(weights, shape, version);
  if (kind == StepKind::encode_text) {
    return text_demand(find_text_row(weights.architecture), version, weights.compute_type_bytes);
  }
  const VaeRow* row = find_vae_row(weights.architecture);
  if (!row || (kind != StepKind::decode && kind != StepKind::encode_image)) {
    return unknown_demand(weights);
  }
  const VaeCase c{row, shape, version, weights.compute_type_bytes};
  return kind == StepKind::decode ? decode_demand(c) : encode_demand(c);
}

}  // namespace ebb
