// SPDX-License-Identifier: Apache-2.0
// Files: read whole or in part, and written so that a kill at any moment leaves the old or the
// new file, never half of one.
#pragma once

#include <cstdint>
#include <string>

#include "ebb/result.h"

namespace ebb {

/// The whole file. Errors: not there, a folder, unreadable, larger than `limit_bytes`.
Result<std::string> read_file(const std::string& path, std::int64_t limit_bytes = 1LL << 31);

/// `count` bytes at `offset`; fewer only where the file ends.
Result<std::string> read_range(const std::string& path, std::int64_t offset, std::int64_t count);

/// Size in bytes. Errors: not there, not a regular file.
Result<std::int64_t> file_size(const std::string& path);

/// Writes a temporary file beside `path` and renames it into place; into a device or a pipe, such
/// as /dev/null, it writes directly. An existing file keeps its permissions; a new one gets
/// `new_mode`.
Result<Done> write_file(const std::string& path, const std::string& text,
                        unsigned int new_mode = 0644);

/// The same for a file of the user's. Errors: `path` is a symbolic link (what it points at may be
/// anything), or it is there and `overwrite` is false.
Result<Done> put_file(const std::string& path, const std::string& text, bool overwrite);

}  // namespace ebb
