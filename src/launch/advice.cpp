// SPDX-License-Identifier: Apache-2.0
#include "launch/advice.h"

namespace ebb {

// What is recommended: threads on Wan and RAM in the trackers of ComfyUI and of its packs,
// 2023 to 2026. What each does: comfy/model_management.py, execution.py and comfy/cli_args.py.
const std::vector<Advice>& recommended_flags() {
  static const std::vector<Advice> table = {
      {{"--reserve-vram", "4"}, true, "it keeps VRAM away from weights, nothing else"},
      {{"--lowvram"}, true, "it only moves text encoders to the CPU"},
      {{"--novram"}, true, "weights then stay in RAM and are streamed at every step"},
      {{"--highvram"}, true, "weights then never leave VRAM; unload nodes free nothing"},
      {{"--disable-smart-memory"}, true, "models then leave VRAM after every run"},
      {{"--cache-none"}, true, "every run then reads and encodes everything again"},
      {{"--disable-dynamic-vram"}, true, "it brings the classic memory manager back"},
      {{"--disable-pinned-memory"}, true, "offloaded weights are then copied more slowly"},
      {{"--fast"},
       false,
       "not predicted: it trades precision for speed of the arithmetic and is no lever on what is "
       "held"},
      {{"--use-sage-attention"},
       false,
       "not predicted: it needs the package sageattention and changes the speed of attention, not "
       "the weights that are held"},
  };
  return table;
}

}  // namespace ebb
