// SPDX-License-Identifier: Apache-2.0
// What the header of a model file says: names, types and shapes of its tensors. All formats are
// read into this; tensor data is never touched.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/message.h"
#include "ebb/result.h"
#include "weights/dtype.h"

namespace ebb {

struct TensorInfo {
  std::string name;
  const Dtype* dtype = nullptr;  ///< never null once read
  std::vector<std::int64_t> shape;
  std::int64_t elements = 0;
  std::int64_t bytes = 0;  ///< as stored
};

enum class HeaderFormat { safetensors, gguf, torch };

/// Tensors sorted by name, each name once.
struct Header {
  std::string file;  ///< path that was read
  HeaderFormat format = HeaderFormat::safetensors;
  std::int64_t file_bytes = 0;
  std::string architecture;  ///< GGUF's general.architecture; empty otherwise
  Message note;              ///< why no tensors are listed, of a file that is not broken
  std::vector<TensorInfo> tensors;

  const TensorInfo* find(std::string_view name) const {
    const auto at = std::lower_bound(
        tensors.begin(), tensors.end(), name,
        [](const TensorInfo& tensor, std::string_view wanted) { return tensor.name < wanted; });
    return at != tensors.end() && at->name == name ? &*at : nullptr;
  }
  /// Whether any tensor's name starts with `prefix`.
  bool has_prefix(std::string_view prefix) const {
    const auto at = std::lower_bound(
        tensors.begin(), tensors.end(), prefix,
        [](const TensorInfo& tensor, std::string_view wanted) { return tensor.name < wanted; });
    return at != tensors.end() && std::string_view(at->name).starts_with(prefix);
  }
};

/// The first bytes of a file and its size: enough for the header of most files in one read.
struct FileStart {
  std::string path;
  std::int64_t file_bytes = 0;
  std::string text;
};

/// Errors: not there, not a regular file, unreadable, larger than 2^50 bytes.
Result<FileStart> read_start(const std::string& path);

/// Product of a shape's dimensions; nothing if one is negative or the product overflows.
inline std::optional<std::int64_t> shape_elements(const std::vector<std::int64_t>& shape) {
  std::int64_t product = 1;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(product, dimension, &product)) return std::nullopt;
  }
  return product;
}

/// Reads the header of a .safetensors, .sft, .gguf, .safetensors.index.json or torch file; which
/// one it is shows in its first bytes and its name. Files that list no tensors (.onnx) give an
/// empty header with a note. Errors: anything broken, with file and place.
Result<Header> read_header(const std::string& path);

}  // namespace ebb
