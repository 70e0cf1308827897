// SPDX-License-Identifier: Apache-2.0
#include "workflow/window.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "workflow/embedded.h"

namespace ebb {
namespace {

constexpr std::int64_t kReadMax = std::int64_t{64} << 20;
constexpr int kLooksMax = 300'000;
constexpr std::int64_t kAtOnce = 4096;

}  // namespace

Result<Window> Window::open(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info {};
  if (file < 0 || fstat(file, &info) != 0) {
    Error error = input_error(std::strerror(errno), path);
    if (file >= 0) close(file);
    return error;
  }
  if (!S_ISREG(info.st_mode)) {
    close(file);
    return input_error("is not a file", path);
  }
  return Window(file, static_cast<std::int64_t>(info.st_size));
}

Window::Window(Window&& other) noexcept
    : file_(std::exchange(other.file_, -1)), size_(other.size_) {}

Window::~Window() {
  if (file_ >= 0) close(file_);
}

std::string_view Window::at(std::int64_t offset, std::int64_t count) {
  if (offset < 0 || offset >= size_ || count <= 0 || ++looks_ > kLooksMax) return {};
  count = std::min(count, size_ - offset);
  const auto have = static_cast<std::int64_t>(buffer_.size());
  if (offset < start_ || offset + count > start_ + have) {
    const std::int64_t wanted = std::min(std::max(count, kAtOnce), size_ - offset);
    if (read_ + wanted > kReadMax) return {};
    read_ += wanted;
    buffer_.resize(static_cast<std::size_t>(wanted));
    ssize_t got = 0;
    do {
      got = pread(file_, buffer_.data(), buffer_.size(), static_cast<off_t>(offset));
    } while (got < 0 && errno == EINTR);
    buffer_.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    start_ = offset;
  }
  const auto from = static_cast<std::size_t>(offset - start_);
  return std::string_view(buffer_).substr(std::min(from, buffer_.size()),
                                          static_cast<std::size_t>(count));
}

std::size_t Window::big(std::int64_t offset, std::size_t width) {
  return big_endian(at(offset, static_cast<std::int64_t>(width)), width);
}

std::size_t Window::little(std::int64_t offset, std::size_t width) {
  return little_endian(at(offset, static_cast<std::int64_t>(width)), width);
}

}  // namespace ebb
