// SPDX-License-Identifier: Apache-2.0
// The arithmetic of one pass, term by term: each number with its kind and where it comes from, in
// sums that can be redone from what is printed.
#pragma once

#include <string>
#include <vector>

#include "ebb/report.h"
#include "ebb/sum.h"

namespace ebb {

struct Explanation {
  std::string file;
  PassIndex pass = 0;
  int passes = 0;
  std::string work;                ///< `sample high_noise_14B`
  std::vector<std::string> nodes;  ///< `node 57 KSamplerAdvanced`; that of the sums first
  std::string machine;
  Verdict verdict = Verdict::unknown;
  std::string cause;
  std::vector<Sum> sums;           ///< in the order in which they need each other
  std::vector<std::string> notes;  ///< what is unknown, or not in the sums; whole sentences
};

/// The pass whose verdict is the worst that is known; of equal ones that which offloads more; -1
/// if there is no pass.
PassIndex worst_pass(const Outcome& outcome);

/// REQUIRES: the pass exists.
Explanation explain_pass(const Report& report, PassIndex pass);

/// At most 100 columns.
std::string to_text(const Explanation& explanation);
/// The object documented in docs/json.md, schema ebb.explain/1.
std::string to_json(const Explanation& explanation);

}  // namespace ebb
