// SPDX-License-Identifier: Apache-2.0
#include "weights/zip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "ebb/file.h"

namespace ebb {
namespace {

constexpr std::int64_t kEndBytes = 22;
constexpr std::int64_t kCommentBytesMax = 65'535;
constexpr std::int64_t kLocatorBytes = 20;
constexpr std::int64_t kEnd64Bytes = 56;
constexpr std::int64_t kLocalBytes = 30;
constexpr std::size_t kEntryBytes = 46;
constexpr std::int64_t kDirectoryLimitBytes = 64 << 20;
constexpr std::int64_t kEntryLimit = 1'000'000;
constexpr std::uint64_t kIn64 = 0xffffffff;  // the real value stands in the zip64 field

Error broken(std::string message, const std::string& path, std::string place = {}) {
  return input_error(std::move(message), path, std::move(place),
                     "Download or copy the file again.");
}

/// A number of `width` bytes; what lies outside the text counts as 0.
std::uint64_t number(std::string_view text, std::size_t at, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;) {
    const unsigned char byte = at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
    value = value << 8 | byte;
  }
  return value;
}

struct Directory {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t at = 0;
};

/// The zip64 end record, where a locator stands before the end record.
Result<Directory> read_end64(const std::string& path, std::int64_t file_bytes,
                             std::string_view locator) {
  const std::uint64_t at = number(locator, 8, 8);
  if (at > static_cast<std::uint64_t>(file_bytes - kEnd64Bytes)) {
    return broken("has a zip64 directory outside the file", path);
  }
  const auto end = read_range(path, static_cast<std::int64_t>(at), kEnd64Bytes);
  if (!end) return end.error();
  if (!end->starts_with("PK\6\6")) return broken("has no zip64 end record", path);
  return Directory{number(*end, 32, 8), number(*end, 40, 8), number(*end, 48, 8)};
}

Result<Directory> find_directory(const std::string& path, std::int64_t file_bytes) {
  const std::int64_t count =
      std::min(file_bytes, kEndBytes + kCommentBytesMax + kLocatorBytes + kEnd64Bytes);
  const auto tail = read_range(path, file_bytes - count, count);
  if (!tail) return tail.error();
  const auto at = tail->rfind("PK\5\6");
  if (at == std::string::npos || tail->size() - at < static_cast<std::size_t>(kEndBytes)) {
    return broken("is a zip archive without its directory at the end", path);
  }
  const std::string_view end = std::string_view(*tail).substr(at);
  const Directory directory{number(end, 10, 2), number(end, 12, 4), number(end, 16, 4)};
  const auto locator_at = static_cast<std::ptrdiff_t>(at) - kLocatorBytes;
  if (locator_at >= 0) {
    const auto locator = std::string_view(*tail).substr(static_cast<std::size_t>(locator_at));
    if (locator.starts_with("PK\6\7") && file_bytes >= kEnd64Bytes) {
      return read_end64(path, file_bytes, locator);
    }
  }
  return directory;
}

/// Values that did not fit into 32 bits stand in the extra field 1, in this order.
void read_zip64(std::string_view extra, std::uint64_t& bytes, std::uint64_t& stored,
                std::uint64_t& local) {
  while (extra.size() >= 4) {
    const std::size_t size = std::min<std::size_t>(number(extra, 2, 2), extra.size() - 4);
    std::string_view data = extra.substr(4, size);
    if (number(extra, 0, 2) == 1) {
      for (std::uint64_t* value : {&bytes, &stored, &local}) {
        if (*value != kIn64 || data.size() < 8) continue;
        *value = number(data, 0, 8);
        data.remove_prefix(8);
      }
    }
    extra.remove_prefix(4 + size);
  }
}

bool inflate_all(std::string_view packed, std::string& text) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return false;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  const int result = inflate(&stream, Z_FINISH);
  const bool whole = result == Z_STREAM_END && stream.avail_out == 0;
  inflateEnd(&stream);
  return whole;
}

}  // namespace

Result<std::vector<ZipEntry>> read_zip_directory(const std::string& path, std::int64_t file_bytes) {
  const auto found = find_directory(path, file_bytes);
  if (!found) return found.error();
  const auto size = static_cast<std::uint64_t>(file_bytes);
  if (found->at > size || found->bytes > size - found->at) {
    return broken("has a zip directory outside the file", path);
  }
  if (found->bytes > static_cast<std::uint64_t>(kDirectoryLimitBytes) ||
      found->entries > static_cast<std::uint64_t>(kEntryLimit)) {
    return broken(fmt::format("has a zip directory of {} entries in {} bytes, more than is read",
                              found->entries, found->bytes),
                  path);
  }
  const auto text = read_range(path, static_cast<std::int64_t>(found->at),
                               static_cast<std::int64_t>(found->bytes));
  if (!text) return text.error();
  std::vector<ZipEntry> entries;
  std::string_view rest = *text;
  for (std::uint64_t i = 0; i < found->entries; ++i) {
    const std::size_t name = number(rest, 28, 2);
    const std::size_t extra = number(rest, 30, 2);
    const std::size_t whole = kEntryBytes + name + extra + number(rest, 32, 2);
    if (!rest.starts_with("PK\1\2") || whole > rest.size()) {
      return broken(
          fmt::format("has a zip directory that ends after {} of {} entries", i, found->entries),
          path);
    }
    std::uint64_t stored = number(rest, 20, 4);
    std::uint64_t bytes = number(rest, 24, 4);
    std::uint64_t local = number(rest, 42, 4);
    read_zip64(rest.substr(kEntryBytes + name, extra), bytes, stored, local);
    ZipEntry entry;
    entry.name = rest.substr(kEntryBytes, name);
    if (local > size || stored > size - local || bytes > static_cast<std::uint64_t>(INT64_MAX)) {
      return broken("has a part outside the file", path, entry.name);
    }
    entry.method = static_cast<int>(number(rest, 10, 2));
    entry.stored_bytes = static_cast<std::int64_t>(stored);
    entry.bytes = static_cast<std::int64_t>(bytes);
    entry.local_header_at = static_cast<std::int64_t>(local);
    entries.push_back(std::move(entry));
    rest.remove_prefix(whole);
  }
  return entries;
}

Result<std::string> read_zip_entry(const std::string& path, const ZipEntry& entry,
                                   std::int64_t limit_bytes) {
  if (entry.bytes > limit_bytes || entry.stored_bytes > limit_bytes) {
    return broken(fmt::format("has {} bytes; at most {} are read", entry.bytes, limit_bytes), path,
                  entry.name);
  }
  const auto local = read_range(path, entry.local_header_at, kLocalBytes);
  if (!local) return local.error();
  if (!local->starts_with("PK\3\4")) return broken("is not where it should be", path, entry.name);
  const auto skip = static_cast<std::int64_t>(number(*local, 26, 2) + number(*local, 28, 2));
  auto data = read_range(path, entry.local_header_at + kLocalBytes + skip, entry.stored_bytes);
  if (!data) return data;
  if (static_cast<std::int64_t>(data->size()) != entry.stored_bytes) {
    return broken("is cut short", path, entry.name);
  }
  if (entry.method == 0 && entry.bytes == entry.stored_bytes) return data;
  if (entry.method != 8) {
    return broken(fmt::format("is packed by method {}, which torch does not read", entry.method),
                  path, entry.name);
  }
  std::string text(static_cast<std::size_t>(entry.bytes), '\0');
  if (!inflate_all(*data, text)) return broken("is packed wrongly", path, entry.name);
  return text;
}

}  // namespace ebb
