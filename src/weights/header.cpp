// SPDX-License-Identifier: Apache-2.0
#include "weights/header.h"

#include <fmt/format.h>

#include "base/text.h"
#include "ebb/file.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"

namespace ebb {
namespace {

constexpr std::int64_t kStartBytes = 64 << 10;
constexpr std::int64_t kSizeLimitBytes = 1LL << 50;  // so that no sum of sizes overflows

}  // namespace

Result<FileStart> read_start(const std::string& path) {
  const auto bytes = file_size(path);
  if (!bytes) return bytes.error();
  if (*bytes > kSizeLimitBytes) {
    return input_error(fmt::format("has {} bytes; no model is larger than 2^50", *bytes), path);
  }
  auto text = read_range(path, 0, std::min(*bytes, kStartBytes));
  if (!text) return text.error();
  return FileStart{path, *bytes, std::move(*text)};
}

bool is_pickle_name(std::string_view name) {
  const std::string text = lower(name);
  for (const char* end : {".ckpt", ".pt", ".pth", ".bin", ".pkl", ".onnx"}) {
    if (text.ends_with(end)) return true;
  }
  return false;
}

Result<Header> read_header(const std::string& path) {
  const std::string name = lower(base_name(path));
  if (name.ends_with(".safetensors.index.json")) return read_safetensors_index(path);
  auto start = read_start(path);
  if (!start) return start.error();
  const bool gguf = start->text.starts_with("GGUF") || name.ends_with(".gguf");
  return gguf ? read_gguf(std::move(*start)) : read_safetensors(std::move(*start));
}

}  // namespace ebb
