// SPDX-License-Identifier: Apache-2.0
#include "ebb/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ebb {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

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
    default: return "Copy the file to another disk, or give another one.";
  }
}

Error system_error(const std::string& path, const char* what) {
  const int error = errno;
  return input_error(fmt::format("{}: {}", what, std::strerror(error)), path, "", way_out(error));
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

namespace {

bool write_all(int file, const std::string& text) {
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = write(file, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    written += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace

Result<Done> write_file(const std::string& path, const std::string& text, unsigned int new_mode) {
  struct stat old {};
  const bool exists = stat(path.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode) && !S_ISDIR(old.st_mode)) {
    // A device or a pipe takes the text; a file in its place would be the end of it.
    const Descriptor device(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (device.get() >= 0 && write_all(device.get(), text)) return Done{};
    return system_error(path, "cannot be written");
  }
  std::string temporary = path + ".ebb-XXXXXX";
  const Descriptor file(mkstemp(temporary.data()));
  if (file.get() < 0) return system_error(path, "cannot be written");
  const mode_t mode = exists ? old.st_mode & 07777 : static_cast<mode_t>(new_mode);
  const bool whole = write_all(file.get(), text) && fchmod(file.get(), mode) == 0 &&
                     fsync(file.get()) == 0 && rename(temporary.c_str(), path.c_str()) == 0;
  if (!whole) {
    const Error error = system_error(path, "cannot be written");
    unlink(temporary.c_str());
    return error;
  }
  // The new name must outlive a power failure, too; where folders can't be synced it may not.
  const auto slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "." : path.substr(0, slash + 1);
  const Descriptor directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) fsync(directory.get());
  return Done{};
}

Result<Done> put_file(const std::string& path, const std::string& text, bool overwrite) {
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0) {
    if (S_ISLNK(info.st_mode)) {
      return input_error("is a symbolic link and is not written through", path, "",
                         "Name the file that it points at.");
    }
    if (!S_ISREG(info.st_mode)) return input_error("is not a regular file", path);
    if (!overwrite) {
      return input_error("is there already", path, "", "--force writes over it.");
    }
  }
  return write_file(path, text);
}

}  // namespace ebb
