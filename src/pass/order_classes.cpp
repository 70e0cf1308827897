// SPDX-License-Identifier: Apache-2.0
#include "pass/order_classes.h"

#include <algorithm>
#include <iterator>

namespace ebb {
namespace {

struct Row {
  std::string_view class_type;
  ClassTraits traits;
};

constexpr bool kAsync = true, kUnique = true;

constexpr Row kRows[] = {
#include "pass/order_classes.inc"
};

}  // namespace

ClassTraits class_traits(std::string_view class_type) {
  const auto row =
      std::lower_bound(std::begin(kRows), std::end(kRows), class_type,
                       [](const Row& r, std::string_view name) { return r.class_type < name; });
  return row != std::end(kRows) && row->class_type == class_type ? row->traits : ClassTraits{};
}

}  // namespace ebb
