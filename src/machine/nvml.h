// SPDX-License-Identifier: Apache-2.0
// NVIDIA's management library, loaded at run time through our own prototypes: nothing of NVIDIA's
// is needed to build, and its absence is a normal answer.
#pragma once

#include "machine/probe.h"

namespace ebb {

struct NvmlMemory {  // nvmlMemory_t
  unsigned long long total, free, used;
};

/// The functions used, by the names the library exports; all return 0 for success.
struct Nvml {
  int (*nvmlInit_v2)() = nullptr;
  int (*nvmlShutdown)() = nullptr;
  int (*nvmlDeviceGetCount_v2)(unsigned* count) = nullptr;
  int (*nvmlDeviceGetHandleByIndex_v2)(unsigned index, void** device) = nullptr;
  int (*nvmlDeviceGetName)(void* device, char* name, unsigned length) = nullptr;
  int (*nvmlDeviceGetMemoryInfo)(void* device, NvmlMemory* memory) = nullptr;
  int (*nvmlDeviceGetMaxPcieLinkGeneration)(void* device, unsigned* generation) = nullptr;
  int (*nvmlDeviceGetMaxPcieLinkWidth)(void* device, unsigned* lanes) = nullptr;
};

/// Errors: the library or one of its functions is not there. It stays loaded.
Result<Nvml> load_nvml(const char* library);

/// The card with the most memory. Errors: none, or the driver doesn't answer.
Result<FoundGpu> find_gpu(const Nvml& nvml);

}  // namespace ebb
