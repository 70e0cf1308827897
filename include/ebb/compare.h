// SPDX-License-Identifier: Apache-2.0
// One workflow predicted under several circumstances, side by side: what changes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ebb/report.h"

namespace ebb {

struct ComparedRun {
  std::vector<std::string> values;  ///< as given, one for each of Comparison::options
  Trial trial;
  Policy policy;
  Outcome outcome;
  /// Of the sampling pass that offloads most; of the last pass where nothing is sampled.
  std::optional<std::int64_t> loaded_bytes;
  std::optional<std::int64_t> offloaded_bytes;
};

struct Comparison {
  std::string file;
  std::string subject;               ///< `832x1216, 81 frames`; empty where it varies
  std::vector<std::string> options;  ///< `--gpu`: those with several values
  std::vector<ComparedRun> runs;
  std::vector<std::string> notes;
};

/// Takes from a report what is compared.
ComparedRun compared_run(const Report& report, std::vector<std::string> values);
/// What the workflow makes, in a phrase.
std::string compared_subject(const Report& report);

/// One table in at most 100 columns; what is the same in all runs stands above it.
std::string to_text(const Comparison& comparison);
/// The object documented in docs/json.md, schema ebb.compare/1.
std::string to_json(const Comparison& comparison);

}  // namespace ebb
