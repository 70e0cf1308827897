// SPDX-License-Identifier: Apache-2.0
// The sums of a pass beyond demand: what is left for weights, VRAM, RAM, seconds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ebb/explain.h"

namespace ebb {

/// What the sums are taken from.
struct ExplainedPass {
  const Report& report;
  const Pass& pass;
  const Step& step;                       ///< the main one
  const StepState& state;                 ///< of the main step
  List<std::string, WeightsIndex> names;  ///< short, one for each of the weights

  const Passes& passes() const { return *report.prediction.passes; }
  const Machine& machine() const { return report.trial.machine; }
  const Weights& weights(WeightsIndex w) const { return passes().weights[w]; }
  const std::string& name(WeightsIndex w) const { return names[w]; }
  bool paged() const;
};

/// ComfyUI's decision for the main weights of the pass; null if there is none.
const Load* main_load(const ExplainedPass& it);

/// Free memory less what is asked and reserved.
Sum usable_sum(const ExplainedPass& it, const Load& load, const Sum& asked);
/// Weights less what is usable: what is offloaded, or what is to spare.
Sum weights_sum(const ExplainedPass& it, const Load& load);
/// What the card holds while the main step works.
Sum vram_sum(const ExplainedPass& it, const DemandTerms& terms);
/// What RAM holds at the peak of the pass.
Sum ram_sum(const ExplainedPass& it);
/// Where the time of the pass goes; nothing where a part is unknown.
std::optional<Sum> seconds_sum(const ExplainedPass& it);

}  // namespace ebb
