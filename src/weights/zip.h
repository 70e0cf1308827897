// SPDX-License-Identifier: Apache-2.0
// The directory of a zip archive, as torch writes them. As bytes, read from the end:
//   end record   "PK\5\6", 10 entries in all (2), 12 size (4), 16 offset of the directory (4)
//   zip64        "PK\6\7" locator just before it, 8 offset of "PK\6\6": 32 entries, 40 size, 48
//   offset directory    "PK\1\2" per file: method, sizes, name, offset of its local header local
//   header "PK\3\4", 26 length of name (2), 28 length of extra (2), then the data
// Bounded here: 64 MiB of directory, 1,000,000 entries; nothing outside the file is believed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ebb/result.h"
#include "weights/header.h"

namespace ebb {

struct ZipEntry {
  std::string name;
  int method = 0;                 ///< 0 stored, 8 deflated
  std::int64_t stored_bytes = 0;  ///< in the archive
  std::int64_t bytes = 0;         ///< unpacked, as the archive says
  std::int64_t local_header_at = 0;
};

/// Entries in the order of the directory. Errors: no directory, cut short, entries that lie outside
/// the file, over a limit.
Result<std::vector<ZipEntry>> read_zip_directory(const std::string& path, std::int64_t file_bytes);

/// One entry, unpacked. Errors: larger than `limit_bytes`, a method that is not known, broken data.
Result<std::string> read_zip_entry(const std::string& path, const ZipEntry& entry,
                                   std::int64_t limit_bytes);

}  // namespace ebb
