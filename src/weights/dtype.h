// SPDX-License-Identifier: Apache-2.0
// Element types of model files: what safetensors and GGUF call them and how many bytes a block of
// elements takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ebb {

enum class DtypeClass {
  floating,   ///< 2 bytes or more a value
  fp8,        ///< one-byte floats
  integer,    ///< indices, masks, and packed or integer-quantised values
  quantised,  ///< GGUF blocks
};

/// `block_bytes` bytes hold `block_elements` values.
struct Dtype {
  std::string_view stored_name;  ///< as the format spells it: `F8_E4M3`, `Q4_K`
  std::string_view name;         ///< as ComfyUI's users know it: `fp8_e4m3fn`, `Q4_K`
  DtypeClass kind = DtypeClass::floating;
  int block_elements = 1;
  int block_bytes = 1;
};

/// Null for a type that the format does not define.
const Dtype* safetensors_dtype(std::string_view stored_name);
const Dtype* ggml_dtype(std::uint32_t number);

/// Bytes of `elements` values. Nothing on overflow, or if the values do not fill whole blocks.
std::optional<std::int64_t> dtype_bytes(const Dtype& dtype, std::int64_t elements);

}  // namespace ebb
