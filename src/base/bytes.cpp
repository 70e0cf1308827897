// SPDX-License-Identifier: Apache-2.0
#include "ebb/bytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/names.h"
#include "base/text.h"

namespace ebb {
namespace {

constexpr double kBareGibBelow = 1024;                 // no card and no machine has so many GiB
constexpr double kBareBytesFrom = 64.0 * 1024 * 1024;  // and none so few bytes

/// What `GB` means: 1000 or 1024 to the third.
enum class Decimal { thousands, binary };

/// The factor of a unit such as `G`, `GiB` or `GB`; 0 if it is none.
double unit_factor(std::string_view unit, Decimal decimal) {
  if (unit.empty()) return 0;
  if (equal_ignoring_case(unit, "B")) return 1;
  static constexpr std::string_view kPrefixes = "kmgt";
  const auto power = kPrefixes.find(lower(unit.substr(0, 1)));
  if (power == std::string_view::npos) return 0;
  const auto rest = unit.substr(1);
  const int exponent = static_cast<int>(power) + 1;
  if (rest.empty() || equal_ignoring_case(rest, "iB") || equal_ignoring_case(rest, "i")) {
    return std::pow(1024.0, exponent);
  }
  const double base = decimal == Decimal::thousands ? 1000 : 1024;
  return equal_ignoring_case(rest, "B") ? std::pow(base, exponent) : 0;
}

/// A number and its unit, empty where it is bare.
struct Measure {
  std::optional<double> number;
  std::string_view unit;
};

Measure split_measure(std::string_view text) {
  const auto trimmed = trim(text);
  const auto end = std::min(trimmed.find_first_not_of("0123456789.,"), trimmed.size());
  return {parse_double(trimmed.substr(0, end)), trim(trimmed.substr(end))};
}

Result<std::int64_t> to_size(std::string_view text, std::optional<double> number, double factor,
                             const char* hint) {
  if (!number || factor == 0 || !(*number * factor < 0x1p62)) {
    return usage_error(fmt::format("\"{}\" is not a size", text), hint);
  }
  return static_cast<std::int64_t>(std::llround(*number * factor));
}

}  // namespace

Result<std::int64_t> parse_size(std::string_view text) {
  const auto [number, unit] = split_measure(text);
  return to_size(text, number, unit.empty() ? 1 : unit_factor(unit, Decimal::thousands),
                 "Write it like 24G, 30724MiB, 13.3GiB (powers of 1024) or 14.3GB (of 1000).");
}

Result<std::int64_t> parse_memory_size(std::string_view text) {
  constexpr const char* kHint = "Write it as on the box, 24 or 24GB, or exactly, 24564MiB.";
  const auto [number, unit] = split_measure(text);
  if (!number || !unit.empty()) {
    return to_size(text, number, unit_factor(unit, Decimal::binary), kHint);
  }
  if (*number < kBareGibBelow) return to_size(text, number, 0x1p30, kHint);
  if (*number >= kBareBytesFrom) return to_size(text, number, 1, kHint);
  return usage_error(fmt::format("\"{}\" may be MiB, GiB or bytes", text),
                     fmt::format("Write its unit, such as {}MiB.", trim(text)));
}

std::string format_count(std::int64_t count) {
  std::string digits = fmt::format("{}", count < 0 ? -count : count);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return count < 0 ? "-" + digits : digits;
}

double WrittenSize::bytes(int base) const { return number * std::pow(base, power); }

std::string format_mib(std::int64_t bytes) {
  return format_count(std::llround(static_cast<double>(bytes) / (1 << 20)));
}

std::string gib_digits(std::int64_t bytes) {
  const double gib = static_cast<double>(bytes) / static_cast<double>(1_GiB);
  return bytes > 0 && gib < 0.05 ? "<0.1" : fmt::format("{:.1f}", gib);
}

std::string format_gib(std::int64_t bytes) { return gib_digits(bytes) + " GiB"; }

const char* to_string(NumberKind kind) {
  return name_in<NumberKind::probed>(
      {"unknown", "computed", "measured", "assumed", "given", "probed"}, kind);
}

}  // namespace ebb
