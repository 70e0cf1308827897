// SPDX-License-Identifier: Apache-2.0
// Which flags a release of ComfyUI has. Taken from comfy/cli_args.py of its 118 releases from
// 0.3.10 to 0.33.0; flags that all of them have are not listed.
#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "ebb/machine.h"

namespace ebb {
namespace {

struct Row {
  std::string_view flag;
  ComfyVersion since, last;
};
constexpr ComfyVersion kStays = {1'000, 0, 0};
constexpr Row kRows[] = {
    {"--async-offload", {0, 3, 31}, kStays},
    {"--bf16-text-enc", {0, 3, 28}, kStays},
    {"--cache-none", {0, 3, 28}, kStays},
    {"--cache-ram", {0, 3, 68}, kStays},
    {"--debug-hang", {0, 25, 0}, kStays},
    {"--default-device", {0, 3, 46}, kStays},
    {"--disable-async-offload", {0, 3, 76}, kStays},
    {"--disable-cuda-graphs", {0, 33, 0}, kStays},
    {"--disable-dynamic-vram", {0, 16, 0}, kStays},
    {"--disable-ipex-optimize", {0, 0, 0}, {0, 20, 1}},
    {"--disable-manager-ui", {0, 4, 0}, kStays},
    {"--disable-mmap", {0, 3, 45}, kStays},
    {"--disable-nvml-pressure", {0, 30, 0}, kStays},
    {"--disable-pinned-memory", {0, 3, 69}, kStays},
    {"--disable-triton-backend", {0, 28, 0}, kStays},
    {"--enable-assets", {0, 17, 0}, kStays},
    {"--enable-dynamic-vram", {0, 18, 0}, kStays},
    {"--enable-manager", {0, 4, 0}, kStays},
    {"--enable-manager-legacy-ui", {0, 4, 0}, kStays},
    {"--enable-triton-backend", {0, 21, 0}, kStays},
    {"--fast-disk", {0, 23, 0}, kStays},
    {"--force-non-blocking", {0, 3, 51}, kStays},
    {"--fp16-intermediates", {0, 18, 0}, kStays},
    {"--high-ram", {0, 25, 0}, kStays},
    {"--mmap-torch-files", {0, 3, 34}, kStays},
    {"--models-directory", {0, 28, 0}, kStays},
    {"--normalvram", {0, 0, 0}, {0, 21, 1}},
    {"--supports-fp8-compute", {0, 3, 36}, kStays},
    {"--use-ck-attention", {0, 32, 0}, kStays},
    {"--use-flash-attention", {0, 3, 27}, kStays},
    {"--vram-headroom", {0, 25, 0}, kStays},
    {"--whitelist-custom-nodes", {0, 3, 44}, kStays},
};

}  // namespace

std::vector<AbsentFlag> absent_flags(const ComfyFlags& flags, const ComfyVersion& version) {
  std::vector<AbsentFlag> absent;
  const std::string text = to_string(flags);
  for (const std::string_view word : split(text, ' ')) {
    const std::string_view flag = word.substr(0, word.find('='));
    const auto row = std::find_if(std::begin(kRows), std::end(kRows),
                                  [&](const Row& r) { return r.flag == flag; });
    if (row == std::end(kRows) || (version >= row->since && version <= row->last)) continue;
    absent.push_back(
        {std::string(flag), version < row->since, version < row->since ? row->since : row->last});
  }
  return absent;
}

}  // namespace ebb
