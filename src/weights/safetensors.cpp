// SPDX-License-Identifier: Apache-2.0
#include "weights/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "ebb/file.h"
#include "json/document.h"

namespace ebb {
namespace {

constexpr std::int64_t kHeaderLimitBytes = 100'000'000;
constexpr std::int64_t kShardLimit = 10'000;
constexpr const char* kBroken = "Download or copy the file again.";

Error broken(std::string message, const std::string& path, std::string place = {}) {
  return input_error(std::move(message), path, std::move(place), kBroken);
}

std::uint64_t little_endian_64(std::string_view bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  }
  return value;
}

/// A tensor with its place in the data, for the check that nothing overlaps.
struct Placed {
  TensorInfo tensor;
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

Result<Done> read_shape(const JsonValue& value, TensorInfo& tensor, const std::string& path) {
  if (!value.is_array()) return broken("has a tensor without a shape", path, tensor.name);
  for (const JsonValue dimension : value) {
    const auto size = dimension.integer();
    if (!size || *size < 0) {
      return broken(fmt::format("has a tensor with the dimension {}", dimension.raw()), path,
                    tensor.name);
    }
    tensor.shape.push_back(*size);
  }
  const auto elements = shape_elements(tensor.shape);
  if (!elements) return broken("has a tensor of more than 2^63 values", path, tensor.name);
  tensor.elements = *elements;
  return Done{};
}

Result<Placed> read_tensor(const JsonValue& entry, std::int64_t data_bytes,
                           const std::string& path) {
  Placed placed;
  TensorInfo& tensor = placed.tensor;
  tensor.name = entry.key();
  const JsonValue type = entry.find("dtype");
  const JsonValue shape = entry.find("shape");
  const JsonValue offsets = entry.find("data_offsets");
  tensor.dtype = safetensors_dtype(type.string());
  if (!tensor.dtype) {
    return broken(fmt::format("has a tensor of the unknown type {}",
                              type.exists() ? std::string(type.raw()) : "(none)"),
                  path, tensor.name);
  }
  if (auto done = read_shape(shape, tensor, path); !done) return done.error();
  const auto begin = offsets.at(0).integer();
  const auto end = offsets.at(1).integer();
  if (!begin || !end || offsets.size() != 2) {
    return broken("has a tensor without a pair of data offsets", path, tensor.name);
  }
  if (*begin < 0 || *end < *begin || *end > data_bytes) {
    return broken(fmt::format("has a tensor at {}..{}, outside its {} bytes of data", *begin, *end,
                              data_bytes),
                  path, tensor.name);
  }
  const auto bytes = dtype_bytes(*tensor.dtype, tensor.elements);
  if (!bytes || *bytes != *end - *begin) {
    return broken(fmt::format("has a tensor whose shape does not fit its {} bytes", *end - *begin),
                  path, tensor.name);
  }
  tensor.bytes = *bytes;
  placed.begin = *begin;
  placed.end = *end;
  return placed;
}

/// The format wants data without holes up to the end of the file, and ComfyUI's reader insists.
Result<Done> check_layout(std::vector<Placed>& placed, std::int64_t data_bytes,
                          const std::string& path) {
  const auto before = [](const Placed& a, const Placed& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  };
  // Most files list their tensors as they lie.
  if (!std::is_sorted(placed.begin(), placed.end(), before)) {
    std::sort(placed.begin(), placed.end(), before);
  }
  std::int64_t end = 0;
  for (const Placed& one : placed) {
    if (one.begin < end) return broken("has tensors that overlap", path, one.tensor.name);
    if (one.begin > end) {
      return broken(fmt::format("has {} bytes that belong to no tensor", one.begin - end), path,
                    one.tensor.name);
    }
    end = one.end;
  }
  if (end != data_bytes) {
    return broken(fmt::format("has {} bytes after its last tensor", data_bytes - end), path);
  }
  return Done{};
}

Result<Done> sort_tensors(Header& header) {
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  const auto twice =
      std::adjacent_find(header.tensors.begin(), header.tensors.end(),
                         [](const TensorInfo& a, const TensorInfo& b) { return a.name == b.name; });
  if (twice != header.tensors.end()) {
    return broken("names a tensor twice", header.file, twice->name);
  }
  return Done{};
}

/// The JSON text, after the checks on its length.
Result<std::string> read_header_text(const FileStart& start) {
  const std::string& path = start.path;
  const std::int64_t file_bytes = start.file_bytes;
  if (start.text.size() < 8) {
    return broken(fmt::format("has {} bytes; a safetensors file has at least 8", start.text.size()),
                  path);
  }
  const std::uint64_t length = little_endian_64(start.text);
  if (length > static_cast<std::uint64_t>(file_bytes - 8)) {
    return broken(fmt::format("says that its header has {} bytes, but only {} follow", length,
                              file_bytes - 8),
                  path);
  }
  if (length > static_cast<std::uint64_t>(kHeaderLimitBytes)) {
    return broken(fmt::format("says that its header has {} bytes; at most {} are read", length,
                              kHeaderLimitBytes),
                  path);
  }
  const auto count = static_cast<std::size_t>(length);
  if (start.text.size() >= 8 + count) return start.text.substr(8, count);
  auto text = read_range(path, 8, static_cast<std::int64_t>(count));
  if (text && text->size() != count) return broken("ends inside its header", path);
  return text;
}

}  // namespace

Result<Header> read_safetensors(const std::string& path) {
  auto start = read_start(path);
  if (!start) return start.error();
  return read_safetensors(std::move(*start));
}

Result<Header> read_safetensors(FileStart start) {
  const std::string& path = start.path;
  auto text = read_header_text(start);
  if (!text) return text.error();
  const std::int64_t data_bytes = start.file_bytes - 8 - static_cast<std::int64_t>(text->size());

  auto document = JsonDocument::parse(std::move(*text), path);
  if (!document) return document.error();
  if (!document->root().is_object()) return broken("has a header that is not a JSON object", path);

  std::vector<Placed> placed;
  placed.reserve(document->root().size());
  for (const JsonValue entry : document->root()) {
    if (entry.key() == "__metadata__") continue;
    auto one = read_tensor(entry, data_bytes, path);
    if (!one) return one.error();
    placed.push_back(std::move(*one));
  }
  if (auto done = check_layout(placed, data_bytes, path); !done) return done.error();

  Header header;
  header.file = path;
  header.file_bytes = start.file_bytes;
  header.tensors.reserve(placed.size());
  for (Placed& one : placed) header.tensors.push_back(std::move(one.tensor));
  if (auto done = sort_tensors(header); !done) return done.error();
  return header;
}

Result<Header> read_safetensors_index(const std::string& path) {
  auto text = read_file(path, kHeaderLimitBytes);
  if (!text) return text.error();
  auto document = JsonDocument::parse(std::move(*text), path);
  if (!document) return document.error();
  const JsonValue map = document->root().find("weight_map");
  if (!map.is_object()) return broken("has no weight_map", path);

  std::set<std::string> shards;
  for (const JsonValue entry : map) {
    const std::string shard = entry.string();
    if (shard.empty() || base_name(shard) != shard || shard == "..") {
      return broken(fmt::format("names the shard {}; shards lie beside the index", entry.raw()),
                    path, entry.pointer());
    }
    shards.insert(shard);
    if (static_cast<std::int64_t>(shards.size()) > kShardLimit) {
      return broken(fmt::format("names more than {} shards", kShardLimit), path);
    }
  }
  Header header;
  header.file = path;
  const std::string folder = path.substr(0, path.size() - base_name(path).size());
  for (const std::string& shard : shards) {
    auto part = read_safetensors(folder + shard);
    if (!part) return part.error();
    header.file_bytes += part->file_bytes;
    std::move(part->tensors.begin(), part->tensors.end(), std::back_inserter(header.tensors));
  }
  if (auto done = sort_tensors(header); !done) return done.error();
  for (const JsonValue entry : map) {
    if (!header.find(entry.key())) {
      return broken(fmt::format("puts a tensor into {}, which lacks it", entry.string()), path,
                    entry.key());
    }
  }
  return header;
}

}  // namespace ebb
