// SPDX-License-Identifier: Apache-2.0
// The header of a safetensors file. As bytes:
//   8 bytes    length N of the JSON text, unsigned, little endian; at most 100,000,000 here
//   N bytes    {"name": {"dtype": "F16", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
//   the rest   data; offsets count from its first byte
// Data must cover the rest of the file without holes or overlaps; `__metadata__` holds strings.
// A sharded model has an index beside its shards: {"weight_map": {"name": "file", ...}}.
#pragma once

#include <string>

#include "ebb/result.h"
#include "weights/header.h"

namespace ebb {

/// Errors: too short, header length beyond the file or the limit, broken JSON, an unknown type, a
/// shape that does not match its offsets, overlapping or out-of-range offsets, a name twice.
Result<Header> read_safetensors(const std::string& path);
Result<Header> read_safetensors(FileStart start);

/// Reads an index file and the headers of all shards it names, which lie beside it. Errors: as
/// above, and a shard that is missing, or that lacks a tensor the index puts there.
Result<Header> read_safetensors_index(const std::string& path);

}  // namespace ebb
