// SPDX-License-Identifier: Apache-2.0
#include "weights/layers.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <string>

#include "base/text.h"

namespace ebb {
namespace {

struct LayerRow {
  std::string_view architecture;
  std::string_view layers;  ///< `img_in 3072;double_blocks.#.img_attn.qkv 9216;...`
};
struct ShapeRow {
  std::string_view architecture;
  std::string_view runs;  ///< `339738624x48;...`: values of a module, and how many have them
};
#include "weights/layer_table.inc"
#include "weights/shape_table.inc"

/// Of a model's values, what may be in layers that its class does not have: an added embedding,
/// say.
constexpr double kForeignShare = 0.02;

using Lengths = std::string_view;
using Layers = std::map<std::string_view, Lengths, std::less<>>;

Layers parse(std::string_view text) {
  Layers layers;
  for (const std::string_view one : split(text, ';')) {
    if (one.empty()) continue;
    const auto space = one.find(' ');
    const bool lengths = space != std::string_view::npos;
    layers.emplace(one.substr(0, space), lengths ? one.substr(space + 1) : Lengths());
  }
  return layers;
}

/// `double_blocks.#.img_attn.qkv` for `double_blocks.7.img_attn.qkv.weight`.
std::string layer_of(std::string_view tensor) {
  const auto dot = tensor.rfind('.');
  std::string layer;
  for (const char c : tensor.substr(0, dot == std::string_view::npos ? 0 : dot)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) {
      layer += c;
    } else if (layer.empty() || layer.back() != '#') {
      layer += '#';
    }
  }
  return layer;
}

bool among(Lengths lengths, std::int64_t wanted) {
  for (const std::string_view one : split(lengths, ' ')) {
    std::int64_t length = 0;
    std::from_chars(one.data(), one.data() + one.size(), length);
    if (length == wanted) return true;
  }
  return false;
}

/// A bias or a norm: what no quantisation changes the length of.
bool is_vector(const NamedTensor& one) {
  const TensorInfo& tensor = *one.tensor;
  return tensor.shape.size() == 1 && tensor.dtype->kind == DtypeClass::floating &&
         (one.name.ends_with(".weight") || one.name.ends_with(".bias") ||
          one.name.ends_with(".scale"));
}

}  // namespace

bool has_layers_of(const TensorSet& part, std::string_view architecture) {
  const auto row = std::find_if(std::begin(kLayers), std::end(kLayers), [&](const LayerRow& one) {
    return one.architecture == architecture;
  });
  if (row == std::end(kLayers)) return true;
  const Layers layers = parse(row->layers);
  double all = 0;
  double foreign = 0;
  for (const NamedTensor& one : part.tensors()) {
    const std::string name = layer_of(one.name);
    if (name.empty()) continue;  // of the model itself: positions, marks of a variant
    const auto layer = layers.find(name);
    const auto values = static_cast<double>(one.tensor->elements);
    all += values;
    if (layer == layers.end()) {
      foreign += values;
    } else if (!layer->second.empty() && is_vector(one) &&
               !among(layer->second, one.tensor->elements)) {
      return false;
    }
  }
  return foreign <= kForeignShare * all;
}

std::vector<ModuleGroup> class_modules(std::string_view architecture) {
  std::vector<ModuleGroup> modules;
  for (const ShapeRow& row : kShapes) {
    if (row.architecture != architecture) continue;
    for (const std::string_view one : split(row.runs, ';')) {
      const auto times = one.find('x');
      if (times == std::string_view::npos) continue;
      ModuleGroup run;
      std::from_chars(one.data(), one.data() + times, run.bytes);
      std::from_chars(one.data() + times + 1, one.data() + one.size(), run.count);
      modules.push_back(run);
    }
  }
  return modules;
}

}  // namespace ebb
