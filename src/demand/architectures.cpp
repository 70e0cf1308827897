// SPDX-License-Identifier: Apache-2.0
// Looks up rows of the demand table; the diffusion rows are in diffusion_rows.cpp, ControlNets in
// control_rows.cpp, the others in vae_rows.cpp.
#include "demand/architectures.h"

#include <algorithm>

#include "ebb/demand.h"

namespace ebb {
namespace {

template <class Row>
const Row* find_row(std::span<const Row> rows, std::string_view key) {
  for (const Row& row : rows) {
    if (key == row.key) return &row;
  }
  return nullptr;
}

}  // namespace

const DiffusionRow* find_diffusion_row(std::string_view key) {
  return find_row(diffusion_rows(), key);
}
const ControlRow* find_control_row(std::string_view base, int nets) {
  const ControlRow* found = nullptr;
  for (const ControlRow& row : control_rows()) {
    if (base == row.base && row.nets <= nets && (!found || row.nets > found->nets)) found = &row;
  }
  return found;
}
const ControlRow* find_control_row(std::string_view key) { return find_row(control_rows(), key); }
const VaeRow* find_vae_row(std::string_view key) { return find_row(vae_rows(), key); }
const UpscalerRow& upscaler_row(double scale) {
  for (const UpscalerRow& row : upscaler_rows()) {
    if (row.scale >= scale) return row;
  }
  return upscaler_rows().back();
}
const UpscalerRow* find_upscaler_row(std::string_view key) {
  return find_row(upscaler_rows(), key);
}
const TextRow* find_text_row(std::string_view key) { return find_row(text_rows(), key); }
const VaeFlops* find_vae_flops(std::string_view key) { return find_row(vae_flops(), key); }

int frame_stride(std::string_view architecture) {
  const DiffusionRow* row = find_diffusion_row(architecture);
  return row ? std::max(1, row->temporal) : 1;
}

}  // namespace ebb
