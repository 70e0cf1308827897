// SPDX-License-Identifier: Apache-2.0
// A file of any size, of which a reader looks at a few places: bounded in what it reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ebb/result.h"

namespace ebb {

class Window {
 public:
  /// Errors: not there, no regular file, unreadable.
  static Result<Window> open(const std::string& path);
  Window(Window&& other) noexcept;
  Window& operator=(Window&&) = delete;
  ~Window();

  std::int64_t size() const { return size_; }
  /// Up to `count` bytes at `offset`, valid until the next call; fewer where the file ends, none
  /// where more than 64 MiB of it were read or looked at in more than 300,000 places.
  std::string_view at(std::int64_t offset, std::int64_t count);
  /// The number of `width` bytes at `offset`, largest byte first; 0 beyond the end.
  std::size_t big(std::int64_t offset, std::size_t width);
  std::size_t little(std::int64_t offset, std::size_t width);

 private:
  Window(int file, std::int64_t size) : file_(file), size_(size) {}

  int file_;
  std::int64_t size_;
  std::string buffer_;
  std::int64_t start_ = 0;  ///< of the buffer in the file
  std::int64_t read_ = 0;
  int looks_ = 0;
};

}  // namespace ebb
