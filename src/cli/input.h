// SPDX-License-Identifier: Apache-2.0
// What plan, convert and show share: a workflow from a file or stdin, and how it becomes a prompt.
#pragma once

#include <optional>
#include <string>

#include "ebb/workflow.h"

namespace ebb::cli {

/// `-` reads stdin, at most 512 MiB.
Result<Workflow> open_workflow(const std::string& file, WorkflowPart part = WorkflowPart::any);

/// The definitions of --object-info: a file, or the address of a server, whose answer is kept in
/// the user's cache folder; nothing if `file_or_url` is empty.
Result<std::optional<NodeDefinitions>> open_definitions(const std::string& file_or_url);

/// Options from --comfyui (empty: assumed) and definitions, which must outlive them.
Result<PromptOptions> prompt_options(const std::string& version,
                                     const std::optional<NodeDefinitions>& definitions);

}  // namespace ebb::cli
