// SPDX-License-Identifier: Apache-2.0
// Demand of a whole prompt, with the search for weights passed in.
#pragma once

#include <functional>

#include "ebb/demand.h"

namespace ebb {

using FindWeights = std::function<Result<Weights>(const WeightsRequest&)>;

/// estimate_demand with another way of finding weights.
Result<PromptDemand> estimate_demand_with(const Prompt& prompt, const FindWeights& find,
                                          const Machine& machine, const SizeOverrides& sizes = {});

}  // namespace ebb
