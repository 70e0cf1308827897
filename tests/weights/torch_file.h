// SPDX-License-Identifier: Apache-2.0
// Builds files as torch.save writes them: pickles, and zip archives of stored parts.
#pragma once

#include <fmt/format.h>
#include <zlib.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/weights/build_file.h"

namespace ebb::test {

struct ZipPart {
  std::string name;
  std::string data;
  std::string packed = {};  ///< the deflated data, if it is to be stored so
};

/// `zip64` writes the sizes and the end record as archives beyond 4 GiB have them.
inline std::string zip_file(const std::vector<ZipPart>& parts, bool zip64 = false) {
  std::string text;
  std::string directory;
  for (const ZipPart& part : parts) {
    const std::string& stored = part.packed.empty() ? part.data : part.packed;
    const std::string method = little_endian(part.packed.empty() ? 0 : 8, 2);
    const std::string sizes = little_endian(stored.size(), 4) + little_endian(part.data.size(), 4);
    const std::string in64 = little_endian(0xffffffff, 4);
    std::string extra;
    if (zip64) {
      extra = little_endian(1, 2) + little_endian(24, 2) + little_endian(part.data.size(), 8) +
              little_endian(stored.size(), 8) + little_endian(text.size(), 8);
    }
    directory += "PK\1\2" + little_endian(45, 2) + little_endian(45, 2) + little_endian(0, 2) +
                 method + little_endian(0, 8) + (zip64 ? in64 + in64 : sizes) +
                 little_endian(part.name.size(), 2) + little_endian(extra.size(), 2) +
                 little_endian(0, 10) + (zip64 ? in64 : little_endian(text.size(), 4)) + part.name +
                 extra;
    // torch pads the extra field of local headers so that data is aligned.
    text += "PK\3\4" + little_endian(45, 2) + little_endian(0, 2) + method + little_endian(0, 8) +
            sizes + little_endian(part.name.size(), 2) + little_endian(5, 2) + part.name + "FB\1" +
            std::string(2, '\0') + stored;
  }
  const std::size_t at = text.size();
  text += directory;
  if (zip64) {
    const std::size_t end64 = text.size();
    text += "PK\6\6" + little_endian(44, 8) + little_endian(45, 4) + little_endian(0, 8) +
            little_endian(parts.size(), 8) + little_endian(parts.size(), 8) +
            little_endian(directory.size(), 8) + little_endian(at, 8);
    text += "PK\6\7" + little_endian(0, 4) + little_endian(end64, 8) + little_endian(1, 4);
  }
  const std::string count = zip64 ? little_endian(0xffff, 2) : little_endian(parts.size(), 2);
  return text + "PK\5\6" + little_endian(0, 4) + count + count +
         little_endian(directory.size(), 4) +
         (zip64 ? little_endian(0xffffffff, 4) : little_endian(at, 4)) + little_endian(0, 2);
}

inline std::string pickle_text(const std::string& text) {
  return "X" + little_endian(text.size(), 4) + text;
}

inline std::string pickle_number(std::int64_t value) {
  return "\x8a\x08" + little_endian(static_cast<std::uint64_t>(value), 8);
}

inline std::string pickle_shape(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (const auto size : shape) text += pickle_number(size);
  return text + "t";
}

struct TorchTensor {
  std::string name;
  std::string storage;  ///< `FloatStorage`
  std::vector<std::int64_t> shape;
  std::string key;
  std::int64_t storage_values = 0;
  std::int64_t offset = 0;
  std::vector<std::int64_t> strides = {};  ///< empty: contiguous
};

inline std::string pickle_tensor(const TorchTensor& tensor) {
  std::vector<std::int64_t> strides = tensor.strides;
  if (strides.empty()) {
    std::int64_t step = 1;
    for (std::size_t i = tensor.shape.size(); i-- > 0; step *= tensor.shape[i]) {
      strides.insert(strides.begin(), step);
    }
  }
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + pickle_text("storage") + "ctorch\n" +
         tensor.storage + "\n" + pickle_text(tensor.key) + pickle_text("cpu") +
         pickle_number(tensor.storage_values) + "tQ" + pickle_number(tensor.offset) +
         pickle_shape(tensor.shape) + pickle_shape(strides) +
         "\x89"
         "ccollections\nOrderedDict\n)RtR";
}

/// A dictionary as torch pickles a state: an OrderedDict with all tensors.
inline std::string pickle_state(const std::vector<TorchTensor>& tensors) {
  std::string text = "ccollections\nOrderedDict\n)Rq\1(";
  for (const TorchTensor& tensor : tensors) {
    text += pickle_text(tensor.name) + pickle_tensor(tensor);
  }
  return text + "u";
}

inline std::string pickle(const std::string& object) { return "\x80\2" + object + "."; }

/// An archive of this pickle and its storages: key and bytes.
inline std::string torch_file(const std::string& pickled,
                              const std::vector<std::pair<std::string, std::size_t>>& storages,
                              bool zip64 = false) {
  std::vector<ZipPart> parts = {{"archive/data.pkl", pickled}};
  for (const auto& [key, bytes] : storages) {
    parts.push_back({"archive/data/" + key, std::string(bytes, '\0')});
  }
  parts.push_back({"archive/version", "3\n"});
  return zip_file(parts, zip64);
}

inline std::string legacy_torch_file(const std::string& object, std::size_t data_bytes) {
  const std::string magic("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.");
  return magic + pickle("M\xe9\x03") + pickle("}(" + pickle_text("little_endian") + "\x88u") +
         object + pickle("](" + pickle_text("0") + "e") + std::string(data_bytes, '\0');
}

}  // namespace ebb::test
