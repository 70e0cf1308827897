// SPDX-License-Identifier: Apache-2.0
// What a pickle describes, read as data: its opcodes build values of the kinds below, and nothing
// is ever imported or called. A few names from torch are understood as descriptions of tensors;
// every other object is opaque. Protocols 0 to 5.
// Bounded here: 2,000,000 values at most, as many on the stack.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/result.h"

namespace ebb {

enum class PickleKind {
  opaque,  ///< an object that is not understood, a float, None
  integer,
  text,
  tuple,
  list,
  dict,     ///< items: key, value, key, value, ...
  global,   ///< text: `FloatStorage`; items: its module's name, a text
  storage,  ///< text: its key; items: its type; number: how many values (or bytes) it holds
  tensor,   ///< items: storage, shape, strides, and its type if it has one of its own; number:
            ///< offset
};

struct PickleValue {
  PickleKind kind = PickleKind::opaque;
  std::int64_t number = 0;
  std::string_view text;             ///< into the pickle's bytes
  std::vector<std::uint32_t> items;  ///< positions in PickleTree::values
};

struct PickleTree {
  std::vector<PickleValue> values;  ///< may hold circles
  std::uint32_t root = 0;
  std::size_t end = 0;  ///< bytes read, the final STOP included
};

/// REQUIRES: `bytes` outlives the tree. Errors: cut short, an opcode that does not exist, a stack
/// that does not fit, over a limit; the message names the byte.
Result<PickleTree> read_pickle(std::string_view bytes, const std::string& path,
                               const std::string& place, std::size_t values_max = 2'000'000);

}  // namespace ebb
