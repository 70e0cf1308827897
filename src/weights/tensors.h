// SPDX-License-Identifier: Apache-2.0
// One model's share of a header: all tensors of a plain file, or those of the diffusion model, the
// text encoders or the VAE inside a checkpoint, with the checkpoint's prefix taken off.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ebb/weights.h"
#include "weights/header.h"

namespace ebb {

struct NamedTensor {
  std::string_view name;  ///< without the prefix
  const TensorInfo* tensor = nullptr;
};

/// Sorted by name. REQUIRES: the header outlives it.
class TensorSet {
 public:
  TensorSet() = default;
  /// Tensors under any of `prefixes`; all tensors if there is only the prefix "".
  TensorSet(const Header& header, const std::vector<std::string_view>& prefixes);

  bool empty() const { return tensors_.empty(); }
  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  const TensorInfo* find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  bool has_prefix(std::string_view prefix) const;
  /// A dimension of a tensor; 0 if there is no such tensor or dimension.
  std::int64_t dimension(std::string_view name, std::size_t axis) const;
  std::size_t dimensions(std::string_view name) const;

 private:
  std::vector<NamedTensor> tensors_;
};

/// What a request wants of a file. `audio`: the audio VAE of a checkpoint that has two VAEs.
TensorSet select_tensors(const Header& header, WeightsRole role, bool checkpoint, bool audio);

}  // namespace ebb
