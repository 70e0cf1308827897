// SPDX-License-Identifier: Apache-2.0
#include "weights/module_table.h"

#include "machine/versions.h"

namespace ebb {
namespace {

#include "weights/module_table.inc"

}  // namespace

std::span<const ModuleRow> module_rows() { return kRows; }

const ModuleRow* find_module_row(std::string_view model, const ComfyVersion& version) {
  const ComfyVersion recorded = modules_as_of(version);
  const ModuleRow* best = nullptr;
  for (const ModuleRow& row : kRows) {  // oldest version first
    if (row.model != model) continue;
    if (!best || row.version <= recorded) best = &row;
  }
  return best;
}

}  // namespace ebb
