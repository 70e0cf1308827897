// SPDX-License-Identifier: Apache-2.0
// The sums of a pass beyond demand, of what was recorded: what is left for weights, VRAM, RAM,
// seconds; and how sums are rounded.
#pragma once

#include <optional>
#include <string>

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
  const Timeline& timeline() const { return report.prediction.timeline; }
  const Machine& machine() const { return report.trial.machine; }
};

/// A term as it is printed. It is rounded first and added then, and its factors count with the
/// digits that they show: whoever redoes what is printed gets what is printed.
struct Shown {
  std::int64_t hundredths = 0;  ///< of the sum's unit
  std::string factors;          ///< `21 frames x 152 x 104`; empty where it is no product
};
Shown shown(const Term& term);
/// In hundredths. A sum whose terms do not make its total is a bug: asserted.
std::int64_t shown_total(const Sum& sum);

/// Free memory less what is asked and reserved.
Sum usable_sum(const ExplainedPass& it, const Load& load, const DemandSums& demand);
/// Weights less what is usable: what is offloaded, or what is to spare.
Sum weights_sum(const ExplainedPass& it, const Load& load);
/// What the card holds while the main step works.
Sum vram_sum(const ExplainedPass& it, const DemandSums& demand);
/// What RAM holds at the peak of the pass.
Sum ram_sum(const ExplainedPass& it);
/// Where the time of the pass goes; nothing where a part is unknown.
std::optional<Sum> seconds_sum(const ExplainedPass& it);

}  // namespace ebb
