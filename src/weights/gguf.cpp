// SPDX-License-Identifier: Apache-2.0
#include "weights/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "ebb/file.h"

namespace ebb {
namespace {

constexpr std::int64_t kHeaderLimitBytes = 256 << 20;
constexpr std::int64_t kFirstReadBytes = 1 << 20;
constexpr std::uint64_t kCountLimit = 1'000'000;
constexpr std::uint64_t kNameLimitBytes = 64 << 10;
constexpr int kArrayDepthLimit = 4;
constexpr std::uint32_t kTypeString = 8;
constexpr std::uint32_t kTypeArray = 9;

Error broken(std::string message, const std::string& path, std::string place = {}) {
  return input_error(std::move(message), path, std::move(place),
                     "Download or copy the file again.");
}

/// Bytes of a metadata value of fixed size; 0 for strings, arrays and unknown types.
int fixed_bytes(std::uint32_t type) {
  constexpr int kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < std::size(kBytes) ? kBytes[type] : 0;
}

/// Reads the header front to back, fetching more of the file as it goes. After the first failure
/// every read gives zero, so that callers check once, at the end of a group.
class Reader {
 public:
  explicit Reader(FileStart start) : start_(std::move(start)), buffer_(start_.text) {}

  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }
  std::string text(std::uint64_t limit_bytes) {
    const std::uint64_t length = u64();
    if (length > limit_bytes) {
      fail(fmt::format("has a text of {} bytes where at most {} are read", length, limit_bytes));
    }
    return need(length) ? std::string(take(length)) : std::string();
  }
  void skip(std::uint64_t count) {
    if (need(count)) position_ += static_cast<std::int64_t>(count);
  }
  std::int64_t position() const { return position_; }
  bool failed() const { return error_.has_value(); }
  const Error& error() const { return *error_; }
  void fail(std::string message, std::string place = {}) {
    if (!error_) error_ = broken(std::move(message), start_.path, std::move(place));
  }

 private:
  template <class T>
  T number() {
    T value = 0;
    if (need(sizeof(T))) std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  /// Makes `count` bytes at the position available.
  bool need(std::uint64_t count) {
    if (error_) return false;
    if (count > static_cast<std::uint64_t>(start_.file_bytes - position_)) {
      fail(fmt::format("ends inside its header, at byte {}", start_.file_bytes));
      return false;
    }
    const std::int64_t end = position_ + static_cast<std::int64_t>(count);
    if (end > kHeaderLimitBytes) {
      fail(fmt::format("has a header of more than {} bytes", kHeaderLimitBytes));
      return false;
    }
    if (end <= static_cast<std::int64_t>(buffer_.size())) return true;
    const auto have = static_cast<std::int64_t>(buffer_.size());
    const std::int64_t wanted = std::max({end, kFirstReadBytes, 2 * have});
    auto more = read_range(start_.path, have, std::min(wanted, start_.file_bytes) - have);
    if (!more) {
      error_ = more.error();
      return false;
    }
    buffer_ += *more;
    if (static_cast<std::int64_t>(buffer_.size()) < end) fail("ends inside its header");
    return !error_;
  }
  std::string_view take(std::uint64_t count) {
    const std::string_view bytes(buffer_.data() + position_, static_cast<std::size_t>(count));
    position_ += static_cast<std::int64_t>(count);
    return bytes;
  }

  FileStart start_;
  std::string buffer_;
  std::int64_t position_ = 0;
  std::optional<Error> error_;
};

void skip_value(Reader& reader, std::uint32_t type, int depth) {
  if (const int bytes = fixed_bytes(type)) {
    reader.skip(static_cast<std::uint64_t>(bytes));
  } else if (type == kTypeString) {
    reader.skip(reader.u64());
  } else if (type == kTypeArray) {
    const std::uint32_t element = reader.u32();
    const std::uint64_t count = reader.u64();
    if (const int element_bytes = fixed_bytes(element)) {
      if (count > static_cast<std::uint64_t>(kHeaderLimitBytes)) {
        return reader.fail(fmt::format("has an array of {} elements", count));
      }
      return reader.skip(count * static_cast<std::uint64_t>(element_bytes));
    }
    if (depth >= kArrayDepthLimit) return reader.fail("has arrays in arrays in arrays");
    // Every element takes at least 8 bytes, so a count beyond the file ends the loop early.
    for (std::uint64_t i = 0; i < count && !reader.failed(); ++i) {
      skip_value(reader, element, depth + 1);
    }
  } else {
    reader.fail(fmt::format("has a metadata value of the unknown type {}", type));
  }
}

std::uint64_t read_metadata(Reader& reader, std::uint64_t count, Header& header) {
  std::uint64_t alignment = 32;
  for (std::uint64_t i = 0; i < count && !reader.failed(); ++i) {
    const std::string key = reader.text(kNameLimitBytes);
    const std::uint32_t type = reader.u32();
    if (key == "general.architecture" && type == kTypeString) {
      header.architecture = reader.text(kNameLimitBytes);
    } else if (key == "general.alignment" && fixed_bytes(type) == 4) {
      alignment = reader.u32();
      if (alignment == 0 || alignment > (1u << 20)) {
        reader.fail(fmt::format("has data aligned to {} bytes", alignment));
      }
    } else {
      skip_value(reader, type, 0);
    }
  }
  return alignment;
}

struct Placed {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::size_t tensor = 0;
};

Placed read_tensor(Reader& reader, Header& header) {
  TensorInfo tensor;
  tensor.name = reader.text(kNameLimitBytes);
  const std::uint32_t dimensions = reader.u32();
  if (dimensions > 8) reader.fail(fmt::format("has a tensor of {} dimensions", dimensions));
  for (std::uint32_t i = 0; i < dimensions && !reader.failed(); ++i) {
    const std::uint64_t size = reader.u64();
    // A dimension beyond 2^63 turns negative, which shape_elements refuses.
    tensor.shape.insert(tensor.shape.begin(), static_cast<std::int64_t>(size));
  }
  const std::uint32_t type = reader.u32();
  Placed placed{.begin = reader.u64(), .end = 0, .tensor = header.tensors.size()};
  if (reader.failed()) return placed;
  tensor.dtype = ggml_dtype(type);
  const auto elements = shape_elements(tensor.shape);
  if (!tensor.dtype) {
    reader.fail(fmt::format("has a tensor of the unknown type {}", type), tensor.name);
  } else if (!elements) {
    reader.fail("has a tensor of more than 2^63 values", tensor.name);
  } else if (const auto bytes = dtype_bytes(*tensor.dtype, *elements); !bytes) {
    reader.fail(fmt::format("has a tensor of {} values, which is no whole number of {} blocks",
                            *elements, tensor.dtype->stored_name),
                tensor.name);
  } else {
    tensor.elements = *elements;
    tensor.bytes = *bytes;
    placed.end = placed.begin + static_cast<std::uint64_t>(*bytes);
    if (placed.end < placed.begin) reader.fail("has a tensor beyond 2^64", tensor.name);
  }
  header.tensors.push_back(std::move(tensor));
  return placed;
}

Result<Done> check_layout(std::vector<Placed>& placed, std::uint64_t data_bytes,
                          const Header& header) {
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::uint64_t end = 0;
  for (const Placed& one : placed) {
    const std::string& name = header.tensors[one.tensor].name;
    if (one.end > data_bytes) {
      return broken(fmt::format("has a tensor at {}..{}, outside its {} bytes of data", one.begin,
                                one.end, data_bytes),
                    header.file, name);
    }
    if (one.begin < end) return broken("has tensors that overlap", header.file, name);
    end = one.end;
  }
  return Done{};
}

/// What stands before the metadata: magic, version, counts.
struct Counts {
  std::uint64_t tensors = 0;
  std::uint64_t entries = 0;
};

Counts read_counts(Reader& reader) {
  const std::uint32_t magic = reader.u32();
  const std::uint32_t version = reader.u32();
  if (!reader.failed() && magic != 0x46554747) reader.fail("is no GGUF file");
  if (!reader.failed() && version != 2 && version != 3) {
    reader.fail(fmt::format("is GGUF version {}; versions 2 and 3 are read", version));
  }
  Counts counts;
  counts.tensors = reader.u64();
  counts.entries = reader.u64();
  if (counts.tensors > kCountLimit || counts.entries > kCountLimit) {
    reader.fail(fmt::format("says that it has {} tensors and {} metadata entries", counts.tensors,
                            counts.entries));
  }
  return counts;
}

}  // namespace

Result<Header> read_gguf(const std::string& path) {
  auto start = read_start(path);
  if (!start) return start.error();
  return read_gguf(std::move(*start));
}

Result<Header> read_gguf(FileStart start) {
  const std::string path = start.path;
  const std::int64_t file_bytes = start.file_bytes;
  Reader reader(std::move(start));
  const Counts counts = read_counts(reader);
  if (reader.failed()) return reader.error();

  Header header;
  header.file = path;
  header.format = HeaderFormat::gguf;
  header.file_bytes = file_bytes;
  const std::uint64_t alignment = read_metadata(reader, counts.entries, header);
  std::vector<Placed> placed;
  for (std::uint64_t i = 0; i < counts.tensors && !reader.failed(); ++i) {
    placed.push_back(read_tensor(reader, header));
  }
  if (reader.failed()) return reader.error();

  const auto position = static_cast<std::uint64_t>(reader.position());
  const std::uint64_t data = (position + alignment - 1) / alignment * alignment;
  const auto size = static_cast<std::uint64_t>(file_bytes);
  if (auto done = check_layout(placed, size > data ? size - data : 0, header); !done) {
    return done.error();
  }
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < header.tensors.size(); ++i) {
    if (header.tensors[i].name == header.tensors[i - 1].name) {
      return broken("names a tensor twice", path, header.tensors[i].name);
    }
  }
  return header;
}

}  // namespace ebb
