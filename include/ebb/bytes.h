// SPDX-License-Identifier: Apache-2.0
// Sizes are signed 64-bit bytes. MiB = 2^20 and GiB = 2^30, in code, in messages, and where
// ComfyUI's log says "MB". A Quantity is a size that knows where it comes from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ebb/message.h"
#include "ebb/result.h"

namespace ebb {

constexpr std::int64_t operator""_KiB(unsigned long long n) {
  return static_cast<std::int64_t>(n) << 10;
}
constexpr std::int64_t operator""_MiB(unsigned long long n) {
  return static_cast<std::int64_t>(n) << 20;
}
constexpr std::int64_t operator""_GiB(unsigned long long n) {
  return static_cast<std::int64_t>(n) << 30;
}

/// Reads `24G`, `30724MiB`, `13.3GiB`, `14.3GB`, `1234567`. A bare letter and -iB mean powers of
/// 1024, -B powers of 1000. Errors: not a size, negative, beyond 2^62.
Result<std::int64_t> parse_size(std::string_view text);

/// A size of a card's memory or a machine's, as it stands on a box: `24`, `24GB`, `24GiB` and
/// `24576MiB` are the same, as every unit is a power of 1024. A bare number below 1,024 is GiB, one
/// from 2^26 on is bytes. Errors: what is between, for nobody knows what it means; as parse_size.
Result<std::int64_t> parse_memory_size(std::string_view text);
/// A size as people write it, `19.53 GB`, who mean powers of 1024 as often as powers of 1000.
struct WrittenSize {
  double number = 0;
  double step = 1;               ///< of the last digit
  int power = 0;                 ///< 1: kilo, 2: mega, 3: giga
  bool binary = false;           ///< spelled `GiB`
  bool bare = false;             ///< not in brackets
  double bytes(int base) const;  ///< base 1000 or 1024
};

/// `11,329` for a number of bytes in whole MiB, rounded to nearest.
std::string format_mib(std::int64_t bytes);

/// `13.3 GiB`, one decimal; `0.0 GiB` is never printed for a size above zero (`<0.1 GiB`).
std::string format_gib(std::int64_t bytes);
/// The same without its unit, for tables.
std::string gib_digits(std::int64_t bytes);

/// `12,345` with thousands separators.
std::string format_count(std::int64_t count);

/// How a number was obtained. Printed wherever the number is.
enum class NumberKind {
  unknown,   ///< no value; the source says why
  computed,  ///< by ComfyUI's own formula or from the file itself
  measured,  ///< by a traced or recorded run, see the source
  assumed,   ///< stated, not checked
  given,     ///< by the user
  probed,    ///< read from this machine
};

const char* to_string(NumberKind kind);

/// A size in bytes, how it was obtained, and the table row or formula it comes from.
struct Quantity {
  std::int64_t bytes = 0;  ///< meaningless while kind is unknown
  NumberKind kind = NumberKind::unknown;
  Message source;  ///< the row or formula it comes from, or why it is unknown

  bool known() const { return kind != NumberKind::unknown; }
  std::optional<std::int64_t> value() const {
    return known() ? std::optional(bytes) : std::nullopt;
  }
};

/// A rate or another plain number with the same manners.
struct Figure {
  double value = 0;
  NumberKind kind = NumberKind::unknown;
  Message source;

  bool known() const { return kind != NumberKind::unknown; }
};

}  // namespace ebb
