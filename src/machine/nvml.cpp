// SPDX-License-Identifier: Apache-2.0
#include "machine/nvml.h"

#include <dlfcn.h>

namespace ebb {
namespace {
constexpr const char* kGive = "Say which card to plan for: --gpu NAME or --vram SIZE.";
}  // namespace
namespace {

template <class Function>
bool load(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

std::optional<FoundGpu> read_device(const Nvml& nvml, unsigned index) {
  void* device = nullptr;
  NvmlMemory memory{};
  char name[96] = {};
  if (nvml.nvmlDeviceGetHandleByIndex_v2(index, &device) != 0 ||
      nvml.nvmlDeviceGetMemoryInfo(device, &memory) != 0 ||
      nvml.nvmlDeviceGetName(device, name, sizeof name - 1) != 0) {
    return std::nullopt;
  }
  constexpr unsigned long long kMost = 1ULL << 50;  // a driver that claims more is not believed
  if (memory.total == 0 || memory.total > kMost || memory.free > memory.total) return std::nullopt;
  FoundGpu gpu;
  gpu.name = name;
  gpu.total_bytes = static_cast<std::int64_t>(memory.total);
  gpu.free_bytes = static_cast<std::int64_t>(memory.free);
  unsigned generation = 0, lanes = 0;
  if (nvml.nvmlDeviceGetMaxPcieLinkGeneration(device, &generation) == 0 &&
      nvml.nvmlDeviceGetMaxPcieLinkWidth(device, &lanes) == 0 && generation <= 16 && lanes <= 32) {
    gpu.pcie_generation = static_cast<int>(generation);
    gpu.pcie_lanes = static_cast<int>(lanes);
  }
  return gpu;
}

}  // namespace

Result<Nvml> load_nvml(const char* library) {
  void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    return usage_error(
        std::string("NVIDIA's driver library ") + library + " is not on this machine", kGive);
  }
  Nvml nvml;
  const bool complete =
      load(handle, "nvmlInit_v2", nvml.nvmlInit_v2) &&
      load(handle, "nvmlShutdown", nvml.nvmlShutdown) &&
      load(handle, "nvmlDeviceGetCount_v2", nvml.nvmlDeviceGetCount_v2) &&
      load(handle, "nvmlDeviceGetHandleByIndex_v2", nvml.nvmlDeviceGetHandleByIndex_v2) &&
      load(handle, "nvmlDeviceGetName", nvml.nvmlDeviceGetName) &&
      load(handle, "nvmlDeviceGetMemoryInfo", nvml.nvmlDeviceGetMemoryInfo) &&
      load(handle, "nvmlDeviceGetMaxPcieLinkGeneration", nvml.nvmlDeviceGetMaxPcieLinkGeneration) &&
      load(handle, "nvmlDeviceGetMaxPcieLinkWidth", nvml.nvmlDeviceGetMaxPcieLinkWidth);
  if (!complete) {
    return usage_error(std::string(library) + " is too old: functions are missing from it", kGive);
  }
  return nvml;
}

Result<FoundGpu> find_gpu(const Nvml& nvml) {
  if (nvml.nvmlInit_v2() != 0) return usage_error("NVIDIA's driver does not answer", kGive);
  std::optional<FoundGpu> best;
  unsigned count = 0;
  if (nvml.nvmlDeviceGetCount_v2(&count) == 0) {
    for (unsigned i = 0; i < count && i < 64; ++i) {
      auto gpu = read_device(nvml, i);
      if (gpu && (!best || gpu->total_bytes > best->total_bytes)) best = std::move(gpu);
    }
  }
  nvml.nvmlShutdown();
  if (!best) return usage_error("NVIDIA's driver names no card with memory", kGive);
  return *std::move(best);
}

}  // namespace ebb
