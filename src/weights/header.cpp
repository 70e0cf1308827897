// SPDX-License-Identifier: Apache-2.0
#include "weights/header.h"

#include <fmt/format.h>

#include "base/text.h"
#include "ebb/file.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"
#include "weights/torch.h"

namespace ebb {
namespace {

constexpr std::int64_t kStartBytes = 64 << 10;
constexpr std::int64_t kSizeLimitBytes = 1LL << 50;  // so that no sum of sizes overflows

/// Files of another kind that keep a model's name: what git or a browser left instead of it.
Result<Done> check_no_stand_in(const FileStart& start) {
  if (start.text.starts_with("version https://git-lfs")) {
    return input_error("is a Git LFS pointer, not the model itself", start.path, {},
                       "Fetch it with git lfs pull, or download the file.");
  }
  const std::string text = lower(start.text.substr(0, 32));
  if (text.starts_with("<!doctype") || text.starts_with("<html")) {
    return input_error("is a web page, not a model", start.path, {},
                       "Download the file again; the site may want you to log in first.");
  }
  if (start.text.empty()) {
    return input_error("is empty", start.path, {}, "Download or copy the file again.");
  }
  return Done{};
}

/// Pickles that torch did not write, and formats of other frameworks.
bool lists_no_tensors(std::string_view name) {
  for (const char* end : {".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl", ".onnx", ".engine"}) {
    if (name.ends_with(end)) return true;
  }
  return false;
}

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

Result<Header> read_header(const std::string& path) {
  const std::string name = lower(base_name(path));
  if (name.ends_with(".safetensors.index.json")) return read_safetensors_index(path);
  auto start = read_start(path);
  if (!start) return start.error();
  if (auto done = check_no_stand_in(*start); !done) return done.error();
  const bool safetensors = name.ends_with(".safetensors") || name.ends_with(".sft");
  if (start->text.starts_with("GGUF") || name.ends_with(".gguf")) {
    return read_gguf(std::move(*start));
  }
  if (!safetensors && is_torch_start(start->text)) return read_torch(std::move(*start));
  if (!safetensors && lists_no_tensors(name)) {
    Header header;
    header.file = path;
    header.file_bytes = start->file_bytes;
    header.format = HeaderFormat::torch;
    header.note = Say::format_lists_no_tensors;
    return header;
  }
  return read_safetensors(std::move(*start));
}

}  // namespace ebb
