// SPDX-License-Identifier: Apache-2.0
// Builds small model files as bytes, right or wrong on purpose.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ebb::test {

inline std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) {
    text += static_cast<char>(i < 8 ? value >> (8 * i) & 0xff : 0);
  }
  return text;
}

/// A safetensors file with this header text and `data_bytes` of zeros.
inline std::string safetensors_text(const std::string& header, std::size_t data_bytes) {
  return little_endian(header.size(), 8) + header + std::string(data_bytes, '\0');
}

struct TestTensor {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::int64_t bytes = 0;
};

inline std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const auto size : shape) text += (text.empty() ? "" : ",") + std::to_string(size);
  return "[" + text + "]";
}

/// A whole safetensors file; `data` false leaves the data out (a header that promises too much).
inline std::string safetensors_file(const std::vector<TestTensor>& tensors) {
  std::string header = R"({"__metadata__":{"format":"pt"})";
  std::int64_t at = 0;
  for (const TestTensor& tensor : tensors) {
    header +=
        fmt::format(R"(,"{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", tensor.name,
                    tensor.dtype, shape_text(tensor.shape), at, at + tensor.bytes);
    at += tensor.bytes;
  }
  return safetensors_text(header + "}", static_cast<std::size_t>(at));
}

inline std::string gguf_string(const std::string& text) {
  return little_endian(text.size(), 8) + text;
}

struct GgufTensor {
  std::string name;
  std::uint32_t type = 0;
  std::vector<std::uint64_t> dimensions;  ///< innermost first, as in the file
  std::uint64_t offset = 0;
};

inline std::string gguf_file(const std::string& architecture,
                             const std::vector<GgufTensor>& tensors, std::size_t data_bytes,
                             std::uint32_t version = 3) {
  std::string text =
      "GGUF" + little_endian(version, 4) + little_endian(tensors.size(), 8) + little_endian(2, 8);
  text += gguf_string("general.architecture") + little_endian(8, 4) + gguf_string(architecture);
  text += gguf_string("tokens") + little_endian(9, 4) + little_endian(8, 4) + little_endian(2, 8) +
          gguf_string("a") + gguf_string("bc");
  for (const GgufTensor& tensor : tensors) {
    text += gguf_string(tensor.name) + little_endian(tensor.dimensions.size(), 4);
    for (const auto size : tensor.dimensions) text += little_endian(size, 8);
    text += little_endian(tensor.type, 4) + little_endian(tensor.offset, 8);
  }
  text.resize((text.size() + 31) / 32 * 32, '\0');
  return text + std::string(data_bytes, '\0');
}

}  // namespace ebb::test
