// SPDX-License-Identifier: Apache-2.0
// estimate_demand: the estimate with the real search for weights.
#include "ebb/demand.h"

#include "demand/estimate.h"

namespace ebb {

Result<PromptDemand> estimate_demand(const Prompt& prompt, const WeightsSearch& search,
                                     const Machine& machine, const SizeOverrides& sizes) {
  const FindWeights find = [&search](const WeightsRequest& request) {
    return find_weights(request, search);
  };
  return estimate_demand_with(prompt, find, machine, sizes);
}

}  // namespace ebb
