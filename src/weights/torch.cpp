// SPDX-License-Identifier: Apache-2.0
#include "weights/torch.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "ebb/file.h"
#include "weights/pickle.h"
#include "weights/zip.h"

namespace ebb {
namespace {

using namespace std::string_view_literals;

constexpr std::int64_t kPickleLimitBytes = 32 << 20;
constexpr std::size_t kDimensionsMax = 8;  // more than any weights have
constexpr std::size_t kTensorLimit = 1'000'000;
constexpr std::int64_t kTotalLimit = std::int64_t{1} << 56;  // so that no sum of sizes overflows
// The number that legacy files begin with, as a pickle without its protocol.
constexpr auto kLegacyMagic = "\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."sv;
constexpr int kLegacyPicklesBefore = 3;  // magic number, protocol, system

struct TorchType {
  std::string_view name;    ///< of a storage class or a dtype
  std::string_view stored;  ///< as safetensors spells it
};

constexpr TorchType kTypes[] = {
    {"FloatStorage", "F32"},
    {"HalfStorage", "F16"},
    {"BFloat16Storage", "BF16"},
    {"DoubleStorage", "F64"},
    {"LongStorage", "I64"},
    {"IntStorage", "I32"},
    {"ShortStorage", "I16"},
    {"CharStorage", "I8"},
    {"ByteStorage", "U8"},
    {"BoolStorage", "BOOL"},
    {"ComplexFloatStorage", "C64"},
    {"UntypedStorage", "U8"},
    {"float32", "F32"},
    {"float16", "F16"},
    {"bfloat16", "BF16"},
    {"float64", "F64"},
    {"int64", "I64"},
    {"int32", "I32"},
    {"int16", "I16"},
    {"int8", "I8"},
    {"uint8", "U8"},
    {"uint16", "U16"},
    {"uint32", "U32"},
    {"uint64", "U64"},
    {"bool", "BOOL"},
    {"complex64", "C64"},
    {"float8_e4m3fn", "F8_E4M3"},
    {"float8_e5m2", "F8_E5M2"},
    {"float8_e4m3fnuz", "F8_E4M3FNUZ"},
    {"float8_e5m2fnuz", "F8_E5M2FNUZ"},
    {"float8_e8m0fnu", "F8_E8M0"},
};

const Dtype* dtype_of(const PickleValue& type) {
  if (type.kind != PickleKind::global) return nullptr;
  for (const TorchType& one : kTypes) {
    if (one.name == type.text) return safetensors_dtype(one.stored);
  }
  return nullptr;
}

Error broken(std::string message, const std::string& path, std::string_view place) {
  return input_error(std::move(message), path, std::string(place),
                     "Download or copy the file again.");
}

/// Where storages lie: size by key. Absent for legacy files, whose storages are not listed.
using Storages = std::map<std::string_view, std::int64_t>;

class StateReader {
 public:
  StateReader(const PickleTree& tree, const std::optional<Storages>& storages, Header& header)
      : tree_(tree), storages_(storages), header_(header) {}

  Result<Done> run() {
    const PickleValue* state = find_state();
    if (!state) {
      header_.note = Say::python_objects;
      return Done{};
    }
    for (std::size_t i = 0; i + 1 < state->items.size(); i += 2) {
      const PickleValue& key = at(state->items[i]);
      const PickleValue& value = at(state->items[i + 1]);
      if (key.kind != PickleKind::text || value.kind != PickleKind::tensor) continue;
      if (auto done = add(key.text, value); !done) return done;
    }
    if (header_.tensors.empty()) header_.note = Say::dictionary_without_tensors;
    return sort();
  }

 private:
  const PickleValue& at(std::uint32_t index) const { return tree_.values[index]; }

  const PickleValue* member(const PickleValue& dict, std::string_view name) const {
    for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const PickleValue& value = at(dict.items[i + 1]);
      if (at(dict.items[i]).text == name && value.kind == PickleKind::dict) return &value;
    }
    return nullptr;
  }

  bool has_tensor(const PickleValue& dict) const {
    for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      if (at(dict.items[i + 1]).kind == PickleKind::tensor) return true;
    }
    return false;
  }

  const PickleValue* find_state() const {
    const PickleValue* root = &at(tree_.root);
    if (root->kind != PickleKind::dict) return nullptr;
    if (const PickleValue* state = member(*root, "state_dict")) return state;
    if (root->items.size() == 2 && at(root->items[1]).kind == PickleKind::dict) {
      return &at(root->items[1]);
    }
    if (has_tensor(*root)) return root;
    // Upscalers keep their tensors one level down, under one of these names.
    for (const std::string_view name : {"params_ema", "params", "model", "net", "module"}) {
      const PickleValue* state = member(*root, name);
      if (state && has_tensor(*state)) return state;
    }
    return root;
  }

  /// The last value a tensor reaches in its storage, plus one; nothing on overflow.
  std::optional<std::int64_t> reach(const TensorInfo& tensor, const PickleValue& value) const {
    const PickleValue& strides = at(value.items[2]);
    if (value.number < 0 || strides.items.size() != tensor.shape.size()) return std::nullopt;
    if (tensor.elements == 0) return 0;
    std::int64_t last = value.number;
    for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
      const PickleValue& stride = at(strides.items[i]);
      std::int64_t step = 0;
      if (stride.kind != PickleKind::integer || stride.number < 0 ||
          __builtin_mul_overflow(stride.number, tensor.shape[i] - 1, &step) ||
          __builtin_add_overflow(last, step, &last)) {
        return std::nullopt;
      }
    }
    return last < kTotalLimit ? std::optional(last + 1) : std::nullopt;
  }

  Result<Done> check_storage(const PickleValue& storage, std::int64_t bytes,
                             std::string_view name) const {
    if (!storages_) return Done{};
    const auto found = storages_->find(storage.text);
    if (found == storages_->end()) {
      return broken(fmt::format("has its values in data/{}, which is not in the archive",
                                storage.text.substr(0, 40)),
                    header_.file, name);
    }
    if (found->second >= bytes) return Done{};
    return broken(fmt::format("needs {} bytes of data/{}, which has {}", bytes,
                              storage.text.substr(0, 40), found->second),
                  header_.file, name);
  }

  Result<Done> add(std::string_view name, const PickleValue& value) {
    TensorInfo tensor;
    tensor.name = name;
    const PickleValue& storage = at(value.items[0]);
    tensor.dtype = dtype_of(at(value.items.size() > 3 ? value.items[3] : storage.items[0]));
    if (!tensor.dtype) return broken("is a tensor of an unknown type", header_.file, name);
    if (at(value.items[1]).items.size() > kDimensionsMax) {
      return broken("is a tensor of more dimensions than any weights have", header_.file, name);
    }
    for (const std::uint32_t item : at(value.items[1]).items) {
      if (at(item).kind != PickleKind::integer) {
        return broken("is a tensor with a dimension that is no number", header_.file, name);
      }
      tensor.shape.push_back(at(item).number);
    }
    const auto elements = shape_elements(tensor.shape);
    const auto bytes = elements ? dtype_bytes(*tensor.dtype, *elements) : std::nullopt;
    if (!bytes || *bytes > kTotalLimit) {
      return broken("is a tensor of an absurd shape", header_.file, name);
    }
    tensor.elements = *elements;
    tensor.bytes = *bytes;
    const auto end = reach(tensor, value);
    const auto end_bytes = end ? dtype_bytes(*tensor.dtype, *end) : std::nullopt;
    const bool in_bytes = at(storage.items[0]).text == "UntypedStorage";
    const std::int64_t needed_bytes = end_bytes.value_or(-1);
    if (needed_bytes < 0 || (in_bytes ? needed_bytes : *end) > storage.number) {
      return broken("is a tensor that does not fit its storage", header_.file, name);
    }
    if (auto done = check_storage(storage, needed_bytes, name); !done) return done;
    total_ += tensor.bytes;
    if (total_ > kTotalLimit || header_.tensors.size() >= kTensorLimit) {
      return broken("has more tensors than any model", header_.file, name);
    }
    header_.tensors.push_back(std::move(tensor));
    return Done{};
  }

  /// By name; of equal names the last counts, as in a dictionary.
  Result<Done> sort() {
    auto& tensors = header_.tensors;
    std::stable_sort(tensors.begin(), tensors.end(),
                     [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
    const auto last =
        std::unique(tensors.rbegin(), tensors.rend(),
                    [](const TensorInfo& a, const TensorInfo& b) { return a.name == b.name; });
    tensors.erase(tensors.begin(), last.base());
    return Done{};
  }

  const PickleTree& tree_;
  const std::optional<Storages>& storages_;
  Header& header_;
  std::int64_t total_ = 0;
};

constexpr std::int64_t kUnpackedBytes = 1 << 20, kUnpackedPerByte = 16;

/// Values of a pickle that a file of this size may have.
std::size_t values_max(const FileStart& start) {
  return 300'000 + static_cast<std::size_t>(start.file_bytes) / 4;
}

Result<Header> read_zip(const FileStart& start, Header header) {
  const auto entries = read_zip_directory(start.path, start.file_bytes);
  if (!entries) return entries.error();
  const ZipEntry* pickle = nullptr;
  for (const ZipEntry& entry : *entries) {
    if (entry.name.ends_with("/constants.pkl")) {
      header.note = Say::torchscript;
      return header;
    }
    if (entry.name == "data.pkl" || entry.name.ends_with("/data.pkl")) pickle = &entry;
  }
  if (!pickle) {
    header.note = Say::foreign_zip;
    return header;
  }
  const std::string folder =
      pickle->name.substr(0, pickle->name.size() - "data.pkl"sv.size()) + "data/";
  Storages storages;
  for (const ZipEntry& entry : *entries) {
    if (entry.name.starts_with(folder)) {
      storages[std::string_view(entry.name).substr(folder.size())] = entry.bytes;
    }
  }
  // What is packed tighter than any pickle of torch's is there to fill memory.
  const std::int64_t limit =
      std::min(kPickleLimitBytes, kUnpackedBytes + kUnpackedPerByte * pickle->stored_bytes);
  const auto text = read_zip_entry(start.path, *pickle, limit);
  if (!text) return text.error();
  const auto tree = read_pickle(*text, start.path, pickle->name, values_max(start));
  if (!tree) return tree.error();
  const std::optional<Storages> listed = std::move(storages);
  if (auto done = StateReader(*tree, listed, header).run(); !done) return done.error();
  return header;
}

Result<Header> read_legacy(const FileStart& start, Header header) {
  const auto text =
      read_range(start.path, 0, std::min<std::int64_t>(start.file_bytes, kPickleLimitBytes));
  if (!text) return text.error();
  std::string_view rest = *text;
  for (int i = 0; i < kLegacyPicklesBefore; ++i) {
    const auto before = read_pickle(rest, start.path, "start", values_max(start));
    if (!before) return before.error();
    rest.remove_prefix(before->end);
  }
  const auto tree = read_pickle(rest, start.path, "object", values_max(start));
  if (!tree) return tree.error();
  if (auto done = StateReader(*tree, std::nullopt, header).run(); !done) return done.error();
  std::int64_t bytes = 0;
  for (const TensorInfo& tensor : header.tensors) bytes = std::max(bytes, tensor.bytes);
  if (bytes > start.file_bytes) {
    return broken(fmt::format("has a tensor of {} bytes in a file of {}", bytes, start.file_bytes),
                  start.path, {});
  }
  return header;
}

}  // namespace

bool is_torch_start(std::string_view first_bytes) {
  if (first_bytes.starts_with("PK\3\4")) return true;
  if (first_bytes.size() < 2 || first_bytes[0] != '\x80') return false;
  const int protocol = first_bytes[1];
  if (protocol < 2 || protocol > 5) return false;
  first_bytes.remove_prefix(2);
  if (first_bytes.starts_with('\x95') && first_bytes.size() >= 9) first_bytes.remove_prefix(9);
  return first_bytes.starts_with(kLegacyMagic);  // from protocol 4 on in a frame
}

Result<Header> read_torch(FileStart start) {
  Header header;
  header.file = start.path;
  header.file_bytes = start.file_bytes;
  header.format = HeaderFormat::torch;
  const bool zip = start.text.starts_with("PK");
  return zip ? read_zip(start, std::move(header)) : read_legacy(start, std::move(header));
}

}  // namespace ebb
