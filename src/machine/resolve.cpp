// SPDX-License-Identifier: Apache-2.0
// resolve_machine: each value from the first that knows it - options, machine file, this machine,
// table of cards, assumption - and each with the name of what it came from.
#include <fmt/format.h>

#include <algorithm>

#include "machine/machine_file.h"
#include "machine/probe.h"
#include "machine/vendor.h"

namespace ebb {
namespace {

// What is taken for granted where nothing is said. Each is printed as assumed.
constexpr std::int64_t kVramOthersWindows = 1229_MiB;  // desktop, browser, CUDA context: 1.2 GiB
constexpr std::int64_t kVramOthersLinux = 614_MiB;     // desktop, CUDA context: 0.6 GiB
constexpr std::int64_t kContext = 410_MiB;             // ComfyUI's own CUDA context: 0.4 GiB
constexpr std::int64_t kRam = 64_GiB;
// What no card and no machine that runs ComfyUI is below or above: a unit was forgotten.
constexpr std::int64_t kLeastVram = 256_MiB, kMostVram = 1024_GiB;
constexpr std::int64_t kLeastRam = 512_MiB, kMostRam = 64 * 1024_GiB;
constexpr std::int64_t kRamOthersWindows = 6_GiB;
constexpr std::int64_t kRamOthersLinux = 3_GiB;
constexpr std::int64_t kComfyIdle = 1_GiB;  // ComfyUI with torch and CUDA loaded and no model
constexpr double kLinkShare = 0.8;          // 24.7 to 26 of 31.5 GB/s are measured on PCIe 4 x16
constexpr double kDiskRate = 3e9;
constexpr double kRamRate = 10e9;
constexpr double kComputeShare = 0.9;  // two published runs come to 1.0 and 1.2, docs/machines.md
constexpr int kAssumedGeneration = 4, kAssumedLanes = 16;

// Bytes per second and lane, after the line code's overhead.
double lane_rate(int generation) {
  static constexpr double kRates[] = {0.25e9, 0.5e9, 0.985e9, 1.969e9, 3.938e9, 7.563e9};
  return kRates[std::clamp(generation, 1, 6) - 1];
}

Figure link_rate(int generation, int lanes, const std::string& whose) {
  Figure figure;
  figure.value = kLinkShare * lane_rate(generation) * lanes;
  figure.kind = NumberKind::assumed;
  figure.source = fmt::format("{} of PCIe {} x{} ({})", kLinkShare, generation, lanes, whose);
  return figure;
}

class Resolver {
 public:
  Resolver(const MachineOptions& options, Probe& probe) : options_(options), probe_(probe) {}

  Result<Machine> run() {
    if (!options_.file.empty()) {
      auto file = read_machine_file(options_.file);
      if (!file) return file.error();
      file_ = *std::move(file);
    }
    resolve_os();
    resolve_comfyui();
    if (options_.flags) {
      auto flags = parse_comfy_flags(*options_.flags);
      if (!flags) return flags.error();
      machine_.flags = *std::move(flags);
    } else if (file_.flags) {
      machine_.flags = *file_.flags;
    }
    if (auto error = resolve_card()) return *std::move(error);
    resolve_vram_free();
    resolve_ram();
    resolve_rates();
    if (auto error = check()) return *std::move(error);
    return std::move(machine_);
  }

 private:
  bool windows() const { return machine_.os == Os::windows; }
  // A card or size that was named may be in another machine: this one is not asked about it.
  bool elsewhere() const { return !options_.gpu.empty() || options_.vram_bytes.has_value(); }

  void resolve_os() {
    if (options_.os) {
      machine_.os = *options_.os;
      machine_.os_kind = NumberKind::given;
    } else if (file_.os) {
      machine_.os = *file_.os;
      machine_.os_kind = file_.os_kind;
    } else {
      machine_.os = probe_.os();
      machine_.os_kind = elsewhere() ? NumberKind::assumed : NumberKind::probed;
    }
  }

  void resolve_comfyui() {
    if (options_.comfyui) {
      machine_.comfyui = *options_.comfyui;
      machine_.comfyui_kind = NumberKind::given;
    } else if (file_.comfyui) {
      machine_.comfyui = *file_.comfyui;
      machine_.comfyui_kind = file_.comfyui_kind;
    }
  }

  std::optional<Error> resolve_card() {
    if (elsewhere()) {  // nothing of another card is taken over from the file
      file_.vram_total = file_.vram_free = std::nullopt;
      if (!options_.gpu.empty()) file_.link = file_.compute = std::nullopt;
      if (!options_.gpu.empty()) file_.gpu = std::nullopt;
    }
    const std::string name = options_.gpu.empty() ? file_.gpu.value_or("") : options_.gpu;
    if (!name.empty()) {
      auto gpu = find_gpu(name);
      if (gpu) {
        gpu_ = *gpu;
        machine_.gpu = gpu_->name;
        machine_.card.kind = NumberKind::given;  // the table has NVIDIA's only
      } else if (file_.vram_total || options_.vram_bytes) {
        machine_.gpu = name;  // a card that the table lacks
        if (const auto card = card_by_name(name)) machine_.card = *card;
      } else {
        return gpu.error();
      }
    }
    if (options_.vram_bytes) {
      machine_.vram_total = {*options_.vram_bytes, NumberKind::given, "--vram"};
    } else if (file_.vram_total) {
      machine_.vram_total = *file_.vram_total;
    } else if (gpu_) {
      machine_.vram_total = {gpu_->vram_mib * 1_MiB, NumberKind::given,
                             gpu_->name + ": " + gpu_->source};
    } else {
      return probe_card();
    }
    return std::nullopt;
  }

  std::optional<Error> probe_card() {
    auto found = probe_.gpu();
    if (!found) {
      return usage_error("no graphics card was named, and none was found: " + found.error().message,
                         "Say which one to plan for: --gpu rtx4090 (or another name), or --vram "
                         "24G.");
    }
    found_ = *std::move(found);
    machine_.gpu = found_->name;
    machine_.vram_total = {found_->total_bytes, NumberKind::probed, "NVML: " + found_->name};
    machine_.card.kind = NumberKind::probed;
    if (const auto gpu = find_gpu(found_->name)) {
      gpu_ = *gpu;
      machine_.gpu = gpu_->name;
    }
    return std::nullopt;
  }

  void resolve_vram_free() {
    Quantity& free = machine_.vram_free;
    const std::int64_t total = machine_.vram_total.bytes;
    if (options_.vram_free_bytes) {
      free = {*options_.vram_free_bytes, NumberKind::given, "--vram-free"};
    } else if (file_.vram_free) {
      free = *file_.vram_free;
    } else if (found_) {
      free = {std::max<std::int64_t>(0, found_->free_bytes - kContext), NumberKind::probed,
              "NVML now, less 0.4 GiB for ComfyUI's own CUDA context"};
    } else {
      const bool desktop = windows() || (!elsewhere() && probe_.inside_windows());
      const std::int64_t others =
          std::min(desktop ? kVramOthersWindows : kVramOthersLinux, total / 4);
      free = {total - others, NumberKind::assumed,
              desktop ? "total less 1.2 GiB for the Windows desktop and the CUDA context"
                      : "total less 0.6 GiB for the desktop and the CUDA context"};
    }
  }

  void resolve_ram() {
    const bool asked = !elsewhere() && !options_.ram_bytes && !file_.ram_total;
    const auto found = asked ? probe_.ram() : std::nullopt;
    if (options_.ram_bytes) {
      machine_.ram_total = {*options_.ram_bytes, NumberKind::given, "--ram"};
    } else if (file_.ram_total) {
      machine_.ram_total = *file_.ram_total;
    } else if (found) {
      machine_.ram_total = {found->total_bytes, NumberKind::probed, "/proc/meminfo"};
    } else {
      machine_.ram_total = {kRam, NumberKind::assumed, "64 GiB, as nobody said; give --ram"};
    }
    const std::int64_t total = machine_.ram_total.bytes;
    if (file_.ram_others && !options_.ram_bytes) {
      machine_.ram_others = *file_.ram_others;
    } else if (found) {
      machine_.ram_others = {std::min(total, total - found->available_bytes + kComfyIdle),
                             NumberKind::probed,
                             "not available now, plus 1 GiB for ComfyUI without a model"};
    } else {
      machine_.ram_others = {std::min(windows() ? kRamOthersWindows : kRamOthersLinux, total / 2),
                             NumberKind::assumed,
                             windows() ? "6 GiB for Windows, a browser and ComfyUI without a model"
                                       : "3 GiB for Linux, a browser and ComfyUI without a model"};
    }
  }

  void resolve_rates() {
    machine_.disk_bytes_per_second = file_.disk.value_or(
        Figure{kDiskRate, NumberKind::assumed, "3 GB/s, an NVMe drive of PCIe 3"});
    machine_.ram_bytes_per_second =
        file_.ram.value_or(Figure{kRamRate, NumberKind::assumed, "10 GB/s, one thread's copy"});
    if (file_.link) {
      machine_.link_bytes_per_second = *file_.link;
    } else if (found_ && found_->pcie_generation > 0 && found_->pcie_lanes > 0) {
      machine_.link_bytes_per_second =
          link_rate(found_->pcie_generation, found_->pcie_lanes, "NVML");
    } else if (gpu_) {
      machine_.link_bytes_per_second =
          link_rate(gpu_->pcie_generation, gpu_->pcie_lanes, gpu_->name);
    } else {
      machine_.link_bytes_per_second =
          link_rate(kAssumedGeneration, kAssumedLanes, "as no card was named");
    }
    if (file_.compute) {
      machine_.compute_flops_per_second = *file_.compute;
    } else if (gpu_) {
      machine_.compute_flops_per_second = {
          kComputeShare * gpu_->half_tflops * 1e12, NumberKind::assumed,
          fmt::format("{} of {} TFLOPS ({})", kComputeShare, gpu_->half_tflops, gpu_->name)};
    } else {
      machine_.compute_flops_per_second = {0, NumberKind::unknown,
                                           "the card is not in the table; name it with --gpu"};
    }
  }

  std::optional<Error> check() const {
    const Quantity &total = machine_.vram_total, &free = machine_.vram_free;
    const auto size = [](const Quantity& q) {
      return q.bytes < 1_MiB ? fmt::format("{} bytes ({})", q.bytes, q.source.text())
                             : fmt::format("{} MiB ({})", format_mib(q.bytes), q.source.text());
    };
    if (total.bytes <= 0) {
      return usage_error("a card without VRAM has no plan: " + size(total),
                         "Give the card's VRAM: --vram 24G.");
    }
    if (machine_.ram_total.bytes <= 0) {
      return usage_error("a machine without RAM has no plan: " + size(machine_.ram_total),
                         "Give the machine's RAM: --ram 64G.");
    }
    if (total.bytes < kLeastVram || total.bytes > kMostVram) {
      return usage_error("no card has so much or so little VRAM: " + size(total),
                         "Write it as on the box: --vram 24 or --vram 24GB.");
    }
    if (machine_.ram_total.bytes < kLeastRam || machine_.ram_total.bytes > kMostRam) {
      return usage_error("no machine has so much or so little RAM: " + size(machine_.ram_total),
                         "Write it as on the box: --ram 64 or --ram 64GB.");
    }
    if (free.bytes > 0 && free.bytes < 1_MiB) {
      return usage_error(
          fmt::format("{} bytes of free VRAM are no size ({})", free.bytes, free.source.text()),
          "Write it with its unit: --vram-free 22.5GB or --vram-free 22960MiB.");
    }
    if (free.bytes > total.bytes) {
      return usage_error("more VRAM is free than there is: " + size(free) + " of " + size(total),
                         "--vram-free is what is free before ComfyUI loads its first model.");
    }
    if (machine_.ram_others.bytes > machine_.ram_total.bytes) {
      return usage_error("others hold more RAM than there is: " + size(machine_.ram_others) +
                             " of " + size(machine_.ram_total),
                         "Give the machine's RAM: --ram 64G, or mend the machine file.");
    }
    return std::nullopt;
  }

  const MachineOptions& options_;
  Probe& probe_;
  MachineFile file_;
  std::optional<Gpu> gpu_;         // the row of the table, if there is one
  std::optional<FoundGpu> found_;  // the card in this machine, if it was asked
  Machine machine_;
};

}  // namespace

Result<Machine> resolve_machine(const MachineOptions& options, Probe& probe) {
  return Resolver(options, probe).run();
}

Result<Machine> resolve_machine(const MachineOptions& options) {
  ThisMachine machine;
  return resolve_machine(options, machine);
}

}  // namespace ebb
