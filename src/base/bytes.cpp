// SPDX-License-Identifier: Apache-2.0
#include "ebb/bytes.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"

namespace ebb {
namespace {

/// The factor of a unit such as `G`, `GiB` or `GB`; 0 if it is none.
double unit_factor(std::string_view unit) {
  if (unit.empty() || equal_ignoring_case(unit, "B")) return 1;
  static constexpr std::string_view kPrefixes = "kmgt";
  const auto power = kPrefixes.find(lower(unit.substr(0, 1)));
  if (power == std::string_view::npos) return 0;
  const auto rest = unit.substr(1);
  const int exponent = static_cast<int>(power) + 1;
  if (rest.empty() || equal_ignoring_case(rest, "iB") || equal_ignoring_case(rest, "i")) {
    return std::pow(1024.0, exponent);
  }
  return equal_ignoring_case(rest, "B") ? std::pow(1000.0, exponent) : 0;
}

}  // namespace

Result<std::int64_t> parse_size(std::string_view text) {
  const auto trimmed = trim(text);
  const auto digits = trimmed.find_first_not_of("0123456789.,");
  const auto number = parse_double(trimmed.substr(0, digits));
  const double factor =
      digits == std::string_view::npos ? 1 : unit_factor(trim(trimmed.substr(digits)));
  if (!number || factor == 0 || !(*number * factor < 0x1p62)) {
    return usage_error(
        fmt::format("\"{}\" is not a size", text),
        "Write it like 24G, 30724MiB, 13.3GiB (powers of 1024) or 14.3GB (of 1000).");
  }
  return static_cast<std::int64_t>(std::llround(*number * factor));
}

std::string format_count(std::int64_t count) {
  std::string digits = fmt::format("{}", count < 0 ? -count : count);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return count < 0 ? "-" + digits : digits;
}

std::string format_mib(std::int64_t bytes) {
  return format_count(std::llround(static_cast<double>(bytes) / (1 << 20)));
}

std::string format_gib(std::int64_t bytes) {
  const double gib = static_cast<double>(bytes) / static_cast<double>(1_GiB);
  if (bytes > 0 && gib < 0.05) return "<0.1 GiB";
  return fmt::format("{:.1f} GiB", gib);
}

const char* to_string(NumberKind kind) {
  switch (kind) {
    case NumberKind::unknown: return "unknown";
    case NumberKind::computed: return "computed";
    case NumberKind::measured: return "measured";
    case NumberKind::assumed: return "assumed";
    case NumberKind::given: return "given";
    case NumberKind::probed: return "probed";
  }
  return "unknown";
}

}  // namespace ebb
