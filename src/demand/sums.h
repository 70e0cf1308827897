// SPDX-License-Identifier: Apache-2.0
// What formulas share: the sums that they write, and the quantities that come of them.
#pragma once

#include <vector>

#include "demand/formulas.h"
#include "ebb/sum.h"

namespace ebb {

constexpr double kMib = 1024.0 * 1024.0;

/// Pixels of all frames.
inline double plane(const Shape& s) {
  return static_cast<double>(s.frames) * static_cast<double>(s.height) *
         static_cast<double>(s.width);
}

/// Of what a sum comes to; how its first term is known says how the whole is.
Quantity quantity(const Sum& sum);

Sum asked_sum(Message title, std::vector<Term> terms);
Sum live_sum(std::vector<Term> terms = {});

/// How it is known what the allocator takes beside what is live: by replaying allocations through
/// a model of PyTorch's own allocator, or not.
enum class Slack { simulated, not_measured, assumed };

/// What sums come to. One batch is asked for like all of them.
Demand demand_of(DemandSums sums, Slack slack = Slack::assumed);

}  // namespace ebb
