// SPDX-License-Identifier: Apache-2.0
// How a number came about, recorded where it is computed: factors, terms, parts. Nothing here is
// rounded or worded; explain/ does both.
#pragma once

#include <vector>

#include "ebb/bytes.h"
#include "ebb/index.h"
#include "ebb/message.h"

namespace ebb {

struct Factor {
  double value = 1;
  const char* unit = "";  ///< `frames`; a literal
  bool divides = false;
  bool result = false;  ///< of a sum that is printed above, with two decimals
};

/// A number and the factors that it was multiplied of, from left to right.
class Product {
 public:
  Product& times(double factor, const char* unit = "") { return add({factor, unit}); }
  Product& over(double divisor, const char* unit = "") { return add({divisor, unit, true}); }
  /// A count that is left out when it is one.
  Product& count(double factor, const char* unit) {
    return factor == 1 ? *this : times(factor, unit);
  }
  Product& result(double value, const char* name) { return add({value, name, false, true}); }

  double value() const { return value_; }
  const std::vector<Factor>& factors() const { return factors_; }

 private:
  Product& add(Factor factor) {
    value_ = factor.divides ? value_ / factor.value : value_ * factor.value;
    factors_.push_back(factor);
    return *this;
  }

  double value_ = 1;
  std::vector<Factor> factors_;
};

struct Term {
  Product product;
  Message what;
  NumberKind kind = NumberKind::computed;
  Message source = {};
};

/// Terms and what they come to.
struct Sum {
  const char* key = "";  ///< `asked`, `live`: a stable name
  Message title;         ///< with the ComfyUI file that has the formula
  const char* unit = "";
  std::vector<Term> terms;
  Message result = {};  ///< what the sum is called

  double total() const {
    double total = 0;
    for (const Term& term : terms) total += term.product.value();
    return total;
  }
};

/// A part of a sum of bytes that a memory manager adds up as it decides.
struct Part {
  Say what = Say::nothing;
  double bytes = 0;           ///< thresholds of ComfyUI are no whole numbers
  WeightsIndex weights = {};  ///< whose; none where it is nobody's

  bool operator==(const Part&) const = default;
};

/// Whether parts come to `bytes`, but for fractions of a byte and the last bits of absurd sizes.
bool comes_to(const std::vector<Part>& parts, double bytes);

}  // namespace ebb
