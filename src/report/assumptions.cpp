// SPDX-License-Identifier: Apache-2.0
// What was assumed, and what a row of the table over sizes changes.
#include <fmt/format.h>

#include "report/sentences.h"
#include "report/words.h"

namespace ebb {

std::vector<std::string> assumptions(const Report& report) {
  std::vector<std::string> parts;
  const Machine& m = report.trial.machine;
  const auto assumed = [](const auto& value) { return value.kind == NumberKind::assumed; };
  const auto rate = [&](const Figure& figure, const char* what) {
    if (assumed(figure)) {
      parts.push_back(fmt::format("{} {:.1f} GiB/s", what, figure.value / 0x1p30));
    }
  };
  if (m.card.kind == NumberKind::assumed && m.gpu.empty()) parts.push_back("a card of NVIDIA's");
  if (assumed(m.vram_total)) parts.push_back(format_mib(m.vram_total.bytes) + " MiB VRAM");
  if (assumed(m.vram_free)) {
    parts.push_back(format_mib(m.vram_others_bytes()) + " MiB VRAM held by others");
  }
  if (assumed(m.ram_total)) parts.push_back(format_gib(m.ram_total.bytes) + " RAM");
  if (assumed(m.ram_others)) parts.push_back(format_gib(m.ram_others.bytes) + " RAM in other use");
  if (m.os_kind == NumberKind::assumed) {
    parts.push_back(m.os == Os::windows ? "Windows" : "Linux");
  }
  if (m.comfyui_kind == NumberKind::assumed) parts.push_back("ComfyUI " + to_string(m.comfyui));
  rate(m.link_bytes_per_second, "link");
  rate(m.disk_bytes_per_second, "disk");
  if (assumed(m.compute_flops_per_second)) {
    parts.push_back(fmt::format("{:.0f} TFLOPS", m.compute_flops_per_second.value / 1e12));
  }
  return parts;
}

std::string sweep_value(const SweepRow& row) {
  const SizeOverrides& sizes = row.sizes;
  std::vector<std::string> parts;
  if (sizes.width || sizes.height) {
    const auto side = [](const auto& value) { return value ? std::to_string(*value) : "as is"; };
    parts.push_back(side(sizes.width) + "x" + side(sizes.height));
  }
  if (sizes.frames) {
    const bool fewer = row.frames && *row.frames != *sizes.frames;
    parts.push_back(format_count(*sizes.frames) + " frames" +
                    (fewer ? " (makes " + format_count(*row.frames) + ")" : ""));
  }
  if (sizes.tile_vae) parts.emplace_back("tiled VAE");
  return parts.empty() ? "as it is" : join_and(parts);
}

}  // namespace ebb
