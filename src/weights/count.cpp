// SPDX-License-Identifier: Apache-2.0
#include "weights/count.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

#include "base/text.h"
#include "machine/versions.h"

namespace ebb {
namespace {

constexpr std::int64_t kQuantisationNoteBytes = 63;  // JSON kept per quantised layer since 0.8.0
constexpr std::int64_t kEncoderNoteBytes = 27;       // the same in text encoders
constexpr std::int64_t kScaleBytes = 4;
constexpr std::int64_t kLogitScaleBytes = 4;
constexpr std::int64_t kUniformModuleBytes = 25_MiB;

/// How the file as a whole is stored, which decides what ComfyUI makes of each tensor.
struct Storage {
  bool scaled = false;      ///< has quantisation scales
  bool mostly_fp8 = false;  ///< plain fp8: everything becomes one byte
  std::string type;
};

bool is_scale(std::string_view name) {
  for (const std::string_view end : {"scale_weight", "scale_input", "weight_scale", "input_scale",
                                     "weight_scale_2", "comfy_quant"}) {
    if (name.ends_with(end)) return true;
  }
  return false;
}

/// Tensors that ComfyUI does not keep as part of the model.
bool is_ignored(std::string_view name, const TensorInfo& tensor, WeightsRole role) {
  if (name == "scaled_fp8" || name.ends_with("position_ids") || name.ends_with("logit_scale")) {
    return true;
  }
  const bool top_level = !contains(name, ".");
  if (top_level && tensor.dtype->kind == DtypeClass::integer) return true;  // tokenizer files
  if (role == WeightsRole::text_encoder) {
    return name.starts_with("lm_head.") || contains(name, ".lm_head.");
  }
  return role == WeightsRole::vae && (name.starts_with("loss.") || name.starts_with("model_ema."));
}

Storage classify(const TensorSet& part) {
  Storage storage;
  std::map<std::string_view, std::int64_t> elements;
  std::int64_t fp8_elements = 0;
  std::int64_t all_elements = 0;
  for (const NamedTensor& one : part.tensors()) {
    if (is_scale(one.name) || one.name == "scaled_fp8") {
      storage.scaled = true;
      continue;
    }
    elements[one.tensor->dtype->name] += one.tensor->elements;
    all_elements += one.tensor->elements;
    if (one.tensor->dtype->kind == DtypeClass::fp8) fp8_elements += one.tensor->elements;
  }
  const auto most = std::max_element(elements.begin(), elements.end(),
                                     [](auto& a, auto& b) { return a.second < b.second; });
  if (most != elements.end()) storage.type = most->first;
  storage.mostly_fp8 = fp8_elements > all_elements / 2;
  if (storage.scaled && storage.mostly_fp8) storage.type += "_scaled";
  return storage;
}

bool is_embedding(std::string_view module) {
  for (const std::string_view part : {"embed_tokens", "shared", "token_embedding",
                                      "position_embedding", "relative_attention_bias"}) {
    if (contains(module, part)) return true;
  }
  return false;
}

std::string_view module_of(std::string_view name) {
  const auto dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(0, dot);
}

struct Module {
  std::string_view name;
  std::int64_t bytes = 0;
  std::int64_t extra_offload_bytes = 0;
  bool castable = true;
};

class Counter {
 public:
  explicit Counter(const CountRules& rules) : rules_(rules) {}

  void take(const TensorSet& part) {
    storage_ = classify(part);
    tensors_.reserve(part.tensors().size());
    for (const NamedTensor& one : part.tensors()) {
      if (!is_ignored(one.name, *one.tensor, rules_.role)) tensors_.push_back(one);
    }
    std::vector<std::pair<std::string_view, std::size_t>> order;  // module, place
    order.reserve(tensors_.size());
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      order.emplace_back(module_of(tensors_[i].name), i);
    }
    std::sort(order.begin(), order.end());  // the part is sorted by name already
    std::vector<NamedTensor> sorted;
    sorted.reserve(order.size());
    for (const auto& [module, place] : order) sorted.push_back(tensors_[place]);
    tensors_ = std::move(sorted);
  }

  Count run() {
    Count count;
    count.stored_type = storage_.type;
    std::vector<Module> modules;
    for (std::size_t first = 0; first < tensors_.size();) {
      std::size_t last = first + 1;
      const std::string_view name = module_of(tensors_[first].name);
      while (last < tensors_.size() && module_of(tensors_[last].name) == name) ++last;
      const Module module = count_module(first, last, count.parameters);
      count.bytes += module.bytes;
      if (!has_children(name, last)) modules.push_back(module);
      first = last;
    }
    list_modules(modules, count);
    if (rules_.role == WeightsRole::diffusion) {
      count.bytes += sampling_table_bytes(rules_.architecture);
    }
    if (rules_.role == WeightsRole::text_encoder) count.bytes += kLogitScaleBytes;
    return count;
  }

 private:
  bool since_offload_counted() const { return rules_for(rules_.comfyui).looks_ahead; }
  bool one_byte_everywhere() const {
    return rules_.cast_to_fp8 || (storage_.mostly_fp8 && !storage_.scaled);
  }

  /// Modules whose parametrised children follow are not leaves: their own tensors are not listed.
  bool has_children(std::string_view name, std::size_t from) const {
    if (name.empty()) return true;
    const std::string prefix = std::string(name) + ".";
    const auto at =
        std::lower_bound(tensors_.begin() + static_cast<std::ptrdiff_t>(from), tensors_.end(),
                         prefix, [](const NamedTensor& one, const std::string& wanted) {
                           return module_of(one.name) < wanted;
                         });
    return at != tensors_.end() && module_of(at->name).starts_with(prefix);
  }

  /// ComfyUI builds Wan's patch embedding in fp32, whatever the file or the type asked for.
  bool stays_fp32(const NamedTensor& one) const {
    return rules_.architecture.starts_with("wan-") && contains(one.name, "patch_embedding.");
  }

  /// ComfyUI-GGUF makes fp16 of the token embeddings of encoders with large vocabularies.
  bool dequantised_embedding(const NamedTensor& one) const {
    const TensorInfo& tensor = *one.tensor;
    return rules_.role == WeightsRole::text_encoder && one.name == "token_embd.weight" &&
           tensor.dtype->kind == DtypeClass::quantised && !tensor.shape.empty() &&
           tensor.shape[0] >= kLargeVocabulary;
  }

  std::int64_t element_bytes(const NamedTensor& one, bool linear, bool in_linear) const {
    const TensorInfo& tensor = *one.tensor;
    const std::int64_t stored =
        tensor.elements > 0 ? std::max<std::int64_t>(1, tensor.bytes / tensor.elements) : 0;
    if (rules_.fp32) return 4;
    if (rules_.role == WeightsRole::vae) return 2;
    if (stays_fp32(one)) return 4;
    if (one_byte_everywhere()) return 1;
    if (!storage_.scaled) return tensor.dtype->kind == DtypeClass::fp8 ? 2 : std::min(stored, 2L);
    if (!since_offload_counted()) return linear && in_linear ? 1 : 2;
    return tensor.dtype->kind == DtypeClass::fp8 ? 1 : 2;
  }

  std::int64_t counted_bytes(const NamedTensor& one, bool linear) const {
    const TensorInfo& tensor = *one.tensor;
    const DtypeClass kind = tensor.dtype->kind;
    const bool value = kind == DtypeClass::floating || kind == DtypeClass::fp8;
    if (rules_.format == HeaderFormat::gguf) {
      return dequantised_embedding(one) ? 2 * tensor.elements : tensor.bytes;
    }
    if (!value || is_scale(one.name)) return tensor.bytes;
    const bool in_linear = one.name.ends_with(".weight") || one.name.ends_with(".bias");
    return tensor.elements * element_bytes(one, linear, in_linear);
  }

  /// Room that streaming the module needs, from 0.8.0 on: its values in the type it computes in,
  /// where that is not the stored type.
  std::int64_t offload_bytes(const NamedTensor& one, std::int64_t counted) const {
    if (!since_offload_counted() || is_scale(one.name)) return 0;
    if (!one.name.ends_with(".weight") && !one.name.ends_with(".bias") &&
        !one.name.ends_with(".scale")) {
      return 0;
    }
    const std::int64_t elements = one.tensor->elements;
    if (rules_.role == WeightsRole::text_encoder) return 4 * elements;
    if (rules_.role != WeightsRole::diffusion) return 0;
    if (stays_fp32(one)) return storage_.scaled || one_byte_everywhere() ? 2 * elements : 0;
    return counted < 2 * elements ? 2 * elements : 0;
  }

  bool is_castable(const TensorInfo* weight, bool has_bias) const {
    const bool diffusion = rules_.role == WeightsRole::diffusion;
    if (!weight) return diffusion && rules_for(rules_.comfyui).norms_castable;
    if (weight->shape.size() >= 2 || has_bias) return true;
    return rules_.role != WeightsRole::text_encoder;  // T5's and Llama's RMS norms are not
  }

  Module count_module(std::size_t first, std::size_t last, std::int64_t& parameters) const {
    Module module{.name = module_of(tensors_[first].name)};
    const TensorInfo* weight = nullptr;
    bool has_bias = false;
    bool has_scale = false;
    bool has_note = false;
    for (std::size_t i = first; i < last; ++i) {
      const std::string_view name = tensors_[i].name;
      if (name.ends_with(".weight")) weight = tensors_[i].tensor;
      if (name.ends_with(".bias")) has_bias = true;
      if (name.ends_with("scale_weight") || name.ends_with("weight_scale")) has_scale = true;
      if (name.ends_with("comfy_quant")) has_note = true;
    }
    const bool linear = weight && weight->shape.size() == 2 && !is_embedding(module.name);
    module.castable = is_castable(weight, has_bias);
    for (std::size_t i = first; i < last; ++i) {
      const std::int64_t counted = counted_bytes(tensors_[i], linear);
      module.bytes += counted;
      if (module.castable) module.extra_offload_bytes += offload_bytes(tensors_[i], counted);
      if (!is_scale(tensors_[i].name)) parameters += tensors_[i].tensor->elements;
    }
    if (linear && storage_.scaled && storage_.mostly_fp8 && !rules_.cast_to_fp8) {
      if (!since_offload_counted() && !has_scale) module.bytes += kScaleBytes;
      if (since_offload_counted() && has_scale && !has_note) {
        module.bytes +=
            rules_.role == WeightsRole::text_encoder ? kEncoderNoteBytes : kQuantisationNoteBytes;
      }
    }
    return module;
  }

  void list_modules(std::vector<Module>& modules, Count& count) const {
    std::sort(modules.begin(), modules.end(), [](const Module& a, const Module& b) {
      const auto left = a.bytes + a.extra_offload_bytes;
      const auto right = b.bytes + b.extra_offload_bytes;
      if (left != right) return left > right;
      return a.bytes != b.bytes ? a.bytes > b.bytes : a.name > b.name;
    });
    for (const Module& module : modules) {
      count.listed_bytes += module.bytes;
      const ModuleGroup run{module.bytes, module.extra_offload_bytes, 1, module.castable};
      ModuleGroup* end = count.modules.empty() ? nullptr : &count.modules.back();
      if (end && end->bytes == run.bytes && end->castable == run.castable &&
          end->extra_offload_bytes == run.extra_offload_bytes) {
        ++end->count;
      } else {
        count.modules.push_back(run);
      }
    }
  }

  const CountRules& rules_;
  Storage storage_;
  std::vector<NamedTensor> tensors_;  // by module, then name
};

}  // namespace

Count count_tensors(const TensorSet& part, const CountRules& rules) {
  Counter counter(rules);
  counter.take(part);
  return counter.run();
}

std::vector<ModuleGroup> uniform_modules(std::int64_t bytes, double offload_ratio) {
  if (bytes <= 0) return {};
  const std::int64_t count = std::clamp<std::int64_t>(
      (bytes + kUniformModuleBytes / 2) / kUniformModuleBytes, 1, 1'000'000);
  const std::int64_t size = bytes / count;
  const auto rest = static_cast<int>(bytes % count);
  const auto extra = [&](std::int64_t of) {
    return static_cast<std::int64_t>(std::llround(static_cast<double>(of) * offload_ratio));
  };
  std::vector<ModuleGroup> runs;
  if (rest > 0) runs.push_back({size + 1, extra(size + 1), rest, true});
  runs.push_back({size, extra(size), static_cast<int>(count) - rest, true});
  return runs;
}

std::vector<ModuleGroup> scaled_modules(const std::vector<ModuleGroup>& runs, std::int64_t bytes) {
  const std::int64_t total = sum_of(runs);
  if (total <= 0 || bytes <= 0) return uniform_modules(bytes, 0);
  std::vector<ModuleGroup> result = runs;
  const double ratio = static_cast<double>(bytes) / static_cast<double>(total);
  for (ModuleGroup& run : result) {
    run.bytes = static_cast<std::int64_t>(std::floor(static_cast<double>(run.bytes) * ratio));
  }
  // What rounding lost goes to the largest module, so that the sum is what was asked for.
  const std::int64_t lost = bytes - sum_of(result);
  ModuleGroup largest = result.front();
  largest.count = 1;
  largest.bytes += lost;
  if (--result.front().count == 0) result.erase(result.begin());
  result.insert(result.begin(), largest);
  return result;
}

std::int64_t sum_of(const std::vector<ModuleGroup>& runs) {
  std::int64_t sum = 0;
  for (const ModuleGroup& run : runs) sum += run.bytes * run.count;
  return sum;
}

std::vector<ModuleGroup> merge_modules(std::vector<ModuleGroup> a,
                                       const std::vector<ModuleGroup>& b) {
  const auto middle = static_cast<std::ptrdiff_t>(a.size());
  a.insert(a.end(), b.begin(), b.end());
  std::inplace_merge(a.begin(), a.begin() + middle, a.end(),
                     [](const ModuleGroup& left, const ModuleGroup& right) {
                       const auto x = left.bytes + left.extra_offload_bytes;
                       const auto y = right.bytes + right.extra_offload_bytes;
                       return x != y ? x > y : left.bytes > right.bytes;
                     });
  return a;
}

std::int64_t sampling_table_bytes(std::string_view architecture) {
  for (const std::string_view name : {"wan-", "hunyuan-video", "sd3", "lumina2", "z-image"}) {
    if (architecture.starts_with(name)) return 4'000;
  }
  for (const std::string_view name :
       {"flux", "sd15", "sd21", "sdxl", "qwen-image", "ltx", "chroma", "svd"}) {
    if (architecture.starts_with(name)) return 40'000;
  }
  return 0;
}

void hold_vae_in_fp32(Weights& weights) {
  // working_dtypes in comfy/sd.py.
  static constexpr std::string_view kNames[] = {"kl-vae", "flux2-vae", "cascade-vae", "ltxv-vae",
                                                "cosmos-vae"};
  const bool may =
      weights.role == WeightsRole::vae && weights.known() &&
      weights.bytes_from != BytesFrom::given && weights.compute_type_bytes != 4 &&
      std::find(std::begin(kNames), std::end(kNames), weights.architecture) != std::end(kNames);
  if (!may) return;
  weights.bytes *= 2;
  weights.listed_bytes *= 2;
  for (ModuleGroup& run : weights.modules) run.bytes *= 2;
  weights.compute_type_bytes = 4;
  weights.source += Say::held_in_fp32;
}

}  // namespace ebb
