// SPDX-License-Identifier: Apache-2.0
// What reading one file may cost. A file may name a product: a name sixty thousand times, a
// definition in three thousand instances, a list against every other list. What such products
// take is counted, in steps and in bytes, and ends where no honest file of that size comes near.
#pragma once

#include <cstdint>

#include "ebb/result.h"

namespace ebb {

class Allowance {
 public:
  /// `input_bytes`: of the file, as it lies on the disk.
  explicit Allowance(std::uint64_t input_bytes = 0)
      : steps_left_(kSteps + kStepsPerByte * input_bytes),
        bytes_left_(kBytes + kBytesPerByte * input_bytes) {}

  /// Counts work beyond a constant for every byte of the file; false once it is too much.
  bool work(std::uint64_t steps) { return take(steps_left_, steps); }
  /// Counts bytes that are made beside the file and stay; false once they are too many.
  bool hold(std::uint64_t bytes) { return take(bytes_left_, bytes); }
  bool spent() const { return spent_; }
  /// Whether so many bytes more would be too many.
  bool may_hold(std::uint64_t bytes) const { return !spent_ && bytes <= bytes_left_; }

  /// Why nothing more is made of the file.
  static Error error(const std::string& file) {
    return input_error("unfolds to far more than a file of its size holds", file, "",
                       "Is it the right file? Remove copies of subgraphs, names that name each "
                       "other, and lists without end.");
  }

 private:
  static constexpr std::uint64_t kSteps = 2'000'000, kStepsPerByte = 24;  // some 10 ns each
  static constexpr std::uint64_t kBytes = 12U << 20, kBytesPerByte = 10;

  bool take(std::uint64_t& left, std::uint64_t count) {
    spent_ = spent_ || count > left;
    left -= count > left ? left : count;
    return !spent_;
  }

  std::uint64_t steps_left_, bytes_left_;
  bool spent_ = false;
};

}  // namespace ebb
