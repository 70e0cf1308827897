// SPDX-License-Identifier: Apache-2.0
// Machine files: TOML, written by save_machine, readable and editable by hand.
#pragma once

#include <optional>
#include <string>

#include "ebb/machine.h"

namespace ebb {

/// What a machine file says; what it leaves out is absent.
struct MachineFile {
  std::optional<std::string> gpu;
  std::optional<Quantity> vram_total, vram_free, ram_total, ram_others;
  std::optional<Os> os;
  NumberKind os_kind = NumberKind::given;
  std::optional<Figure> link, disk, ram, compute;
  std::optional<ComfyVersion> comfyui;
  NumberKind comfyui_kind = NumberKind::given;
  std::optional<ComfyFlags> flags;
};

/// Errors: unreadable, not TOML (with line and column), unknown key, a value of the wrong kind.
Result<MachineFile> read_machine_file(const std::string& path);

/// `linux` or `windows`.
const char* to_string(Os os);

}  // namespace ebb
