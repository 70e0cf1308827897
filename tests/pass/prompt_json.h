// SPDX-License-Identifier: Apache-2.0
// A Prompt straight from an API prompt's JSON, for tests that need no front end.
#pragma once

#include <string>

#include "ebb/workflow.h"
#include "json/document.h"

namespace ebb::test {

/// `classes` is an object_info, or only what the order needs of one: per class `output_node` and
/// `input`; a class that is not in it is unknown and no output node.
Prompt prompt_from_json(JsonValue prompt, JsonValue classes);

}  // namespace ebb::test
