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
/// as /dev/null, it writes directly. An existing file keeps its permissions and, where this user
/// may give them away, its owner; a new one gets `new_mode` less the umask. Errors: `path` is a
/// symbolic link (what it points at may be anything); the system's.
Result<Done> write_file(const std::string& path, const std::string& text,
                        unsigned int new_mode = 0666);

/// The same for a file of the user's. Errors: it is there and `overwrite` is false.
Result<Done> put_file(const std::string& path, const std::string& text, bool overwrite);

/// A file at one moment, to tell later whether it is still the same.
struct FileState {
  std::uint64_t device = 0, inode = 0, size = 0, hash = 0;
  std::int64_t changed_ns = 0;

  bool operator==(const FileState&) const = default;
  bool same_bytes(const FileState& other) const;
};

/// To be asked for before the file is read. Errors: as read_file.
Result<FileState> file_state(const std::string& path);

/// Writes over a file that is still as it `was`, and keeps it as `backup`: the very file, with its
/// owner, permissions and attributes, where the file system has hard links. A backup that is there
/// with the same bytes is left; an empty name keeps none. Errors: it was changed since, in whatever
/// moment: then it stays as it is; `path` is a symbolic link; another backup is there and `force`
/// is false.
Result<Done> replace_file(const std::string& path, const std::string& text, const FileState& was,
                          const std::string& backup, bool force);

}  // namespace ebb
