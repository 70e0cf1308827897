// SPDX-License-Identifier: Apache-2.0
// ComfyUI takes the output nodes of a prompt in an order that differs from process to process:
// the orders to try.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "ebb/index.h"

namespace ebb {

constexpr int kOutputsAllOrders = 4;  // up to 4! = 24 orders of the output nodes are all tried
constexpr int kOrdersSampled = 24;    // of more output nodes

// The next order of the outputs to try: all of them for a few outputs, else reversed, rotated and
// shuffled ones. The shuffle is fixed, so that the same prompt always gets the same answer.
class OutputOrder {
 public:
  explicit OutputOrder(std::vector<NodeIndex> outputs)
      : outputs_(std::move(outputs)), places_(outputs_.size()) {
    std::iota(places_.begin(), places_.end(), 0);
  }

  bool advance() {
    ++tried_;
    if (places_.size() <= kOutputsAllOrders) {
      return std::next_permutation(places_.begin(), places_.end());
    }
    if (tried_ == 1) {
      std::reverse(places_.begin(), places_.end());
    } else if (tried_ % 2 == 0) {
      std::rotate(places_.begin(), places_.begin() + 1, places_.end());
    } else {
      for (std::size_t i = places_.size() - 1; i > 0; --i) {
        std::swap(places_[i], places_[random() % (i + 1)]);
      }
    }
    return tried_ <= kOrdersSampled;
  }

  std::vector<NodeIndex> outputs() const {
    std::vector<NodeIndex> result;
    for (std::size_t place : places_) result.push_back(outputs_[place]);
    return result;
  }

 private:
  std::size_t random() {  // the generator of Numerical Recipes, upper bits
    seed_ = seed_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::size_t>(seed_ >> 33);
  }

  std::vector<NodeIndex> outputs_;
  std::vector<std::size_t> places_;
  int tried_ = 0;
  std::uint64_t seed_ = 1;
};

}  // namespace ebb
