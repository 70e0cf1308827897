// SPDX-License-Identifier: Apache-2.0
// Names of an enumeration's values, in its order.
#pragma once

#include <cassert>
#include <cstddef>

namespace ebb {

/// The name of `value` among those of all values up to `kLast`.
template <auto kLast, class Name, std::size_t N>
constexpr Name name_in(const Name (&names)[N], decltype(kLast) value) {
  static_assert(N == static_cast<std::size_t>(kLast) + 1, "names do not match");
  assert(static_cast<std::size_t>(value) < N);
  return names[static_cast<std::size_t>(value)];
}

}  // namespace ebb
