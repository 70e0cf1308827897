// SPDX-License-Identifier: Apache-2.0
#include "weights/tensors.h"

#include <algorithm>

namespace ebb {
namespace {

bool before(const NamedTensor& a, std::string_view name) { return a.name < name; }

/// Prefixes under which checkpoints keep each part, the commonest first.
std::vector<std::string_view> checkpoint_prefixes(WeightsRole role, bool audio) {
  switch (role) {
    case WeightsRole::diffusion: return {"model.diffusion_model."};
    case WeightsRole::text_encoder:
      return {"text_encoders.", "conditioner.embedders.", "cond_stage_model.",
              "text_embedding_projection."};
    case WeightsRole::vae:
      if (audio) return {"audio_vae.", "vocoder."};
      return {"first_stage_model.", "vae."};
    case WeightsRole::vision_encoder: return {"conditioner.main_image_encoder.model."};
    case WeightsRole::controlnet: return {"control_model."};
    case WeightsRole::lora:
    case WeightsRole::upscaler:
    case WeightsRole::other: break;
  }
  return {};
}

}  // namespace

TensorSet::TensorSet(const Header& header, const std::vector<std::string_view>& prefixes) {
  for (const std::string_view prefix : prefixes) {
    auto at = std::lower_bound(
        header.tensors.begin(), header.tensors.end(), prefix,
        [](const TensorInfo& tensor, std::string_view name) { return tensor.name < name; });
    for (; at != header.tensors.end(); ++at) {
      const std::string_view name = at->name;
      if (!name.starts_with(prefix)) break;
      tensors_.push_back({name.substr(prefix.size()), &*at});
    }
  }
  if (prefixes.size() > 1) {
    std::sort(tensors_.begin(), tensors_.end(),
              [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  }
}

const TensorInfo* TensorSet::find(std::string_view name) const {
  const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), name, before);
  return at != tensors_.end() && at->name == name ? at->tensor : nullptr;
}

bool TensorSet::has_prefix(std::string_view prefix) const {
  const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), prefix, before);
  return at != tensors_.end() && at->name.starts_with(prefix);
}

std::int64_t TensorSet::dimension(std::string_view name, std::size_t axis) const {
  const TensorInfo* tensor = find(name);
  return tensor && axis < tensor->shape.size() ? tensor->shape[axis] : 0;
}

std::size_t TensorSet::dimensions(std::string_view name) const {
  const TensorInfo* tensor = find(name);
  return tensor ? tensor->shape.size() : 0;
}

TensorSet select_tensors(const Header& header, WeightsRole role, bool checkpoint, bool audio) {
  TensorSet part(header, checkpoint_prefixes(role, audio));
  if (!part.empty() || (checkpoint && role != WeightsRole::diffusion)) return part;
  if (role == WeightsRole::diffusion) {
    for (const std::string_view prefix : {"diffusion_model.", "model.model.", "net."}) {
      TensorSet prefixed(header, {prefix});
      if (!prefixed.empty()) return prefixed;
    }
  }
  return TensorSet(header, {""});
}

}  // namespace ebb
