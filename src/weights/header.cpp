// SPDX-License-Identifier: Apache-2.0
#include "weights/header.h"

#include "base/file.h"
#include "base/text.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"

namespace ebb {

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
  auto magic = read_range(path, 0, 4);
  if (!magic) return magic.error();
  if (*magic == "GGUF" || name.ends_with(".gguf")) return read_gguf(path);
  return read_safetensors(path);
}

}  // namespace ebb
