// SPDX-License-Identifier: Apache-2.0
#include "policy/pins.h"

#include <algorithm>

namespace ebb {

void Pins::update(const Manager& manager) {
  if (limit_bytes_ <= 0) return;
  std::vector<int> registered = manager.registered();
  std::vector<std::int64_t> before = std::move(pinned_);
  pinned_.assign(manager.size(), 0);
  before.resize(manager.size(), 0);
  // What leaves makes room first; then the most recently used comes last, as loads do.
  total_bytes_ = 0;
  for (int w : registered) {
    pinned_[size_t(w)] = std::min(before[size_t(w)], manager.streamed_bytes(w));
    total_bytes_ += pinned_[size_t(w)];
  }
  for (auto it = registered.rbegin(); it != registered.rend(); ++it) {
    const std::int64_t wanted = manager.streamed_bytes(*it) - pinned_[size_t(*it)];
    const std::int64_t more = std::clamp<std::int64_t>(limit_bytes_ - total_bytes_, 0, wanted);
    pinned_[size_t(*it)] += more;
    total_bytes_ += more;
  }
}

std::int64_t pin_limit_bytes(const Machine& machine) {
  const Rules& rules = rules_for(machine.comfyui);
  if (machine.flags.disable_pinned_memory || machine.flags.cpu || !machine.ram_total.known())
    return 0;
  const double share =
      machine.os == Os::windows ? rules.pinned_ram_windows : rules.pinned_ram_linux;
  return static_cast<std::int64_t>(share * static_cast<double>(machine.ram_total.bytes));
}

}  // namespace ebb
