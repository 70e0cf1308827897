// SPDX-License-Identifier: Apache-2.0
// Ebb's answer to a line that tools/comfy_order.py understands.
#pragma once

#include <string>

#include "json/document.h"

namespace ebb::test {

/// Members of a JSON object: order, served (and depends_on_outputs), or runs with these and kept,
/// or error. A queue also names `version` and ComfyUI's `flags`.
std::string order_answer(JsonValue job);

}  // namespace ebb::test
