// SPDX-License-Identifier: Apache-2.0
// The header of a GGUF file, versions 2 and 3, little endian. As bytes:
//   4 "GGUF"   4 version   8 number of tensors   8 number of metadata entries
//   metadata:  8 length + key, 4 type, value (strings: 8 length + text; arrays: 4 type, 8 count)
//   tensors:   8 length + name, 4 dimensions, 8 each (innermost first), 4 type, 8 data offset
//   then, aligned to general.alignment (32), the data; offsets count from its first byte
// Bounded here: 1,000,000 tensors and entries, 64 KiB a key or name, 256 MiB of header.
#pragma once

#include <string>

#include "ebb/result.h"
#include "weights/header.h"

namespace ebb {

/// Errors: not GGUF, another version, cut short, over a limit, an unknown type, data beyond the
/// file, overlapping data, a name twice.
Result<Header> read_gguf(const std::string& path);
Result<Header> read_gguf(FileStart start);

}  // namespace ebb
