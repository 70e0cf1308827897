// SPDX-License-Identifier: Apache-2.0
#include "ebb/sum.h"

#include <cmath>

namespace ebb {

bool comes_to(const std::vector<Part>& parts, double bytes) {
  double total = 0, size = 0;
  for (const Part& part : parts) {
    total += part.bytes;
    size += std::abs(part.bytes);
  }
  return std::abs(total - bytes) <= 4 + size * 1e-12;
}

}  // namespace ebb
