// SPDX-License-Identifier: Apache-2.0
// Page-locked RAM: copies of offloaded weights that the card can read by itself.
#pragma once

#include <cstdint>
#include <vector>

#include "policy/manager.h"

namespace ebb {

class Pins {
 public:
  /// `limit_bytes`: 0 locks nothing.
  explicit Pins(std::int64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  /// To be called after every change of what is loaded. Registered weights lock whole modules of
  /// what they stream, in load order, as far as the limit allows; the others nothing.
  void update(const Manager& manager);

  std::int64_t bytes() const { return total_bytes_; }

 private:
  struct Held {
    std::int64_t wanted_bytes = 0;
    std::int64_t bytes = 0;
  };
  std::int64_t fitting(const Manager& manager, WeightsIndex weights) const;

  std::int64_t limit_bytes_;
  std::int64_t total_bytes_ = 0;
  List<Held, WeightsIndex> held_;
};

/// How much RAM offloaded weights may lock on this machine.
std::int64_t pin_limit_bytes(const Machine& machine);

}  // namespace ebb
