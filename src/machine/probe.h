// SPDX-License-Identifier: Apache-2.0
// What can be read off the machine that Ebb runs on, behind an interface so that tests can fake it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ebb/machine.h"

namespace ebb {

struct FoundGpu {
  std::string name;
  std::int64_t total_bytes = 0;
  std::int64_t free_bytes = 0;
  int pcie_generation = 0;  ///< the most that card and slot can do; 0: not known
  int pcie_lanes = 0;
};

struct FoundRam {
  std::int64_t total_bytes = 0;
  std::int64_t available_bytes = 0;
};

class Probe {
 public:
  virtual ~Probe() = default;
  /// The NVIDIA card with the most memory. Errors: none, or no driver; the message says which.
  virtual Result<FoundGpu> gpu() = 0;
  virtual std::optional<FoundRam> ram() = 0;
  virtual Os os() = 0;
  /// Linux inside Windows: VRAM is shared with the Windows desktop.
  virtual bool inside_windows() = 0;
};

/// The machine itself: NVML, /proc/meminfo, /proc/version.
class ThisMachine : public Probe {
 public:
  Result<FoundGpu> gpu() override;
  std::optional<FoundRam> ram() override;
  Os os() override;
  bool inside_windows() override;
};

/// MemTotal and MemAvailable of /proc/meminfo's text; nothing if they are not there.
std::optional<FoundRam> parse_meminfo(std::string_view text);

/// resolve_machine with the machine it may ask.
Result<Machine> resolve_machine(const MachineOptions& options, Probe& probe);

}  // namespace ebb
