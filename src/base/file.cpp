// SPDX-License-Identifier: Apache-2.0
#include "ebb/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/descriptor.h"

namespace ebb {
namespace {

/// The way out of what the system says.
const char* way_out(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG: return "Check the path; is there a typing error in it?";
    case EACCES:
    case EPERM: return "Give the user who runs this the right to it.";
    case ENOSPC:
    case EDQUOT: return "Make room on the disk.";
    case EROFS: return "Choose a folder that can be written.";
    case EFBIG: return "Raise the limit on the size of files (ulimit -f).";
    default: return "Copy the file to another disk, or give another one.";
  }
}

/// Opens a regular file for reading and returns its size.
Result<std::int64_t> check_regular(int fd, const std::string& path) {
  if (fd < 0) return system_error(path, "cannot be opened");
  struct stat info {};
  if (fstat(fd, &info) != 0) return system_error(path, "cannot be read");
  if (!S_ISREG(info.st_mode)) {
    const bool folder = S_ISDIR(info.st_mode);
    return input_error(
        folder ? "is a folder, not a file" : "is not a regular file", path, "",
        folder ? "Give a file that is in it." : "Copy what it gives into a file, and give that.");
  }
  return static_cast<std::int64_t>(info.st_size);
}

Result<std::string> read_from(int fd, const std::string& path, std::int64_t offset,
                              std::int64_t count) {
  std::string text(static_cast<std::size_t>(count), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t n = pread(fd, text.data() + have, text.size() - have,
                            static_cast<off_t>(offset + static_cast<std::int64_t>(have)));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(path, "cannot be read");
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  text.resize(have);
  return text;
}

}  // namespace

Error system_error(const std::string& path, const char* what) {
  const int error = errno;
  return input_error(fmt::format("{}: {}", what, std::strerror(error)), path, "", way_out(error));
}

Result<std::string> read_file(const std::string& path, std::int64_t limit_bytes) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const auto size = check_regular(file.get(), path);
  if (!size) return size.error();
  if (*size > limit_bytes) {
    return input_error(fmt::format("has {} bytes; more than {} are not read", *size, limit_bytes),
                       path, "", "Is it the right file? What Ebb reads is far smaller.");
  }
  return read_from(file.get(), path, 0, *size);
}

Result<std::string> read_range(const std::string& path, std::int64_t offset, std::int64_t count) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const auto size = check_regular(file.get(), path);
  if (!size) return size.error();
  return read_from(file.get(), path, offset, count);
}

Result<std::int64_t> file_size(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  return check_regular(file.get(), path);
}

}  // namespace ebb
