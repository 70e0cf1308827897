// SPDX-License-Identifier: Apache-2.0
// What reading and writing share: an open file, and what the system says of it.
#pragma once

#include <unistd.h>

#include <string>

#include "ebb/result.h"

namespace ebb {

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

/// What errno says, with a way out: `cannot be read: Permission denied`.
Error system_error(const std::string& path, const char* what);

}  // namespace ebb
