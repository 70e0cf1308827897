// SPDX-License-Identifier: Apache-2.0
// Sizes of model files that a workflow states in its notes.
#pragma once

#include <map>
#include <string>

#include "ebb/bytes.h"
#include "json/document.h"

namespace ebb {

/// By file name in lower case, without folder. `root` is a UI graph.
std::map<std::string, WrittenSize> stated_files(const JsonValue& root);

}  // namespace ebb
