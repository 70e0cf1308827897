// SPDX-License-Identifier: Apache-2.0
// The formulas again, as sums that a person can redo: the same rows and cases as formulas.h.
#pragma once

#include <string>
#include <string_view>

#include "demand/formulas.h"
#include "ebb/demand.h"

namespace ebb {

/// A product as it is written: every factor counts with the digits it shows.
class Product {
 public:
  Product& times(double factor, std::string_view unit = {});
  Product& over(double divisor, std::string_view unit = {});
  /// A count that is left out when it is one.
  Product& count(double factor, std::string_view unit) {
    return factor == 1 ? *this : times(factor, unit);
  }
  Term term(std::string what, NumberKind kind, Message source) const;

 private:
  double add(const char* sign, double factor, std::string_view unit);

  double value_ = 1;
  int factors_ = 0;  // a single one is a plain number
  std::string text_;
};

/// A plain number of bytes in hundredths of MiB.
Term bytes_term(std::int64_t bytes, std::string what, NumberKind kind, Message source);

DemandTerms sample_terms(const SampleCase& c);
DemandTerms decode_terms(const VaeCase& c);
DemandTerms encode_terms(const VaeCase& c);
DemandTerms text_terms(const Demand& demand);
DemandTerms upscale_terms(const UpscaleCase& c);
/// Of a step that does two things one after the other.
DemandTerms larger(DemandTerms a, DemandTerms b);

}  // namespace ebb
