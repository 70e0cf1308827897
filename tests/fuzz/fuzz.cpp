// SPDX-License-Identifier: Apache-2.0
// The entry points that libFuzzer calls. EBB_FUZZ_TARGET names the target.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/targets.h"

namespace {

const ebb::fuzz::Target* chosen = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = std::getenv("EBB_FUZZ_TARGET");
  for (const ebb::fuzz::Target& target : ebb::fuzz::targets()) {
    if (name && target.name == name) chosen = &target;
  }
  if (chosen) return 0;
  for (const ebb::fuzz::Target& target : ebb::fuzz::targets()) std::puts(target.name.data());
  std::exit(name ? 2 : 0);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t end = chosen->magic_at + chosen->magic.size();
  if (!chosen->magic.empty()) {
    if (bytes.size() < end) bytes.resize(end, '\0');
    bytes.replace(chosen->magic_at, chosen->magic.size(), chosen->magic);
  }
  chosen->run(bytes);
  return 0;
}
