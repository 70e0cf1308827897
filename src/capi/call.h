// SPDX-License-Identifier: Apache-2.0
// One call of the C library, as values: its options understood, its answer or error as text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ebb/run.h"

namespace ebb::capi {

/// The options of a call. Definitions are owned here and referred to by `run`.
struct Call {
  RunArguments arguments;
  RunOptions run;
  FixChoice choice;
  std::optional<NodeDefinitions> definitions;
  std::string file;  ///< to read, or what messages call the workflow
  WorkflowPart part = WorkflowPart::any;
  bool repair = false;
};

/// Fills `call`, which must not move afterwards. Errors: no JSON object, a key or value of another
/// kind than docs/c.md says.
Result<Done> read_options(std::string_view json, Call& call);

/// Errors: as parse_workflow and read_workflow.
Result<Workflow> open(std::string_view workflow, const Call& call);

Result<std::string> plan(std::string_view workflow, const Call& call);
Result<std::string> svg(std::string_view workflow, const Call& call);
Result<std::string> apply(std::string_view workflow, const Call& call);
Result<std::string> undo(std::string_view workflow, const Call& call);
Result<std::string> convert(std::string_view workflow, const Call& call);

/// Schema ebb.error/1.
std::string to_json(const Error& error);

}  // namespace ebb::capi
