// SPDX-License-Identifier: Apache-2.0
// Arithmetic as people type it into math nodes: `a * 8 + 1`, `min(a, b) // 16`.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

namespace ebb {

/// The value of an expression of + - * / // % ** & | ^ ~ << >> ( ), comparisons, `and`, `or`,
/// `not`, `x if c else y`, numbers, names, and the functions min, max, round, floor, ceil, int,
/// float, abs, sqrt, log, log2, log10, sin, cos, tan, sum, pow. Truth is 1 or 0. Nothing for
/// anything else, for a name that `name_value` does not know, for a division by zero, or for more
/// than 4,096 characters or 64 levels.
std::optional<double> evaluate(
    std::string_view text,
    const std::function<std::optional<double>(std::string_view)>& name_value);

}  // namespace ebb
