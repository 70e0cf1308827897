// SPDX-License-Identifier: Apache-2.0
// What ComfyUI's scheduler and node cache ask of a node class, beside its inputs and outputs.
#pragma once

#include <string_view>

namespace ebb {

struct ClassTraits {
  bool async = false;   ///< its function is a coroutine: started early, waited for later
  bool unique = false;  ///< its cache key holds the node's id: never served from another node
};

/// Traits of ComfyUI's own classes; all false for classes nobody knows.
ClassTraits class_traits(std::string_view class_type);

}  // namespace ebb
