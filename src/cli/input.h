// SPDX-License-Identifier: Apache-2.0
// What plan, convert and show share: a workflow from a file or stdin, and how it becomes a prompt.
#pragma once

#include <optional>
#include <string>

#include "ebb/machine.h"
#include "ebb/workflow.h"

namespace ebb::cli {

/// `-` reads stdin, at most 512 MiB.
Result<Workflow> open_workflow(const std::string& file, WorkflowPart part = WorkflowPart::any);

/// The definitions of --object-info: a file, or the address of a server, whose answer is kept in
/// the user's cache folder; nothing if `file_or_url` is empty.
Result<std::optional<NodeDefinitions>> open_definitions(const std::string& file_or_url);

/// Options from --comfyui (empty: assumed; what a folder says is told on stderr) and definitions,
/// which must outlive them.
Result<PromptOptions> prompt_options(const std::string& version,
                                     const std::optional<NodeDefinitions>& definitions);

/// The prompt for a machine; the file is let go as soon as the prompt is there.
Result<Prompt> read_prompt(const std::string& file, const std::string& object_info,
                           const Machine& machine);

/// `stdin` for `-`.
std::string shown_name(const std::string& file);

}  // namespace ebb::cli
