// SPDX-License-Identifier: Apache-2.0
// Headers of real architectures, from their published dimensions: names, shapes and types as the
// public files have them, without any data.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support.h"
#include "tests/weights/build_file.h"
#include "weights/dtype.h"
#include "weights/header.h"

namespace ebb::test {

class ModelHeader {
 public:
  void add(const std::string& name, const std::string& dtype, std::vector<std::int64_t> shape) {
    std::int64_t elements = 1;
    for (const auto size : shape) elements *= size;
    const auto bytes = dtype_bytes(*safetensors_dtype(dtype), elements).value();
    tensors_.push_back({name, dtype, std::move(shape), bytes});
  }
  /// `scaled`: fp8 weight, fp16 bias and a scale, as in the *_fp8_scaled files.
  void linear(const std::string& name, std::int64_t out, std::int64_t in, const std::string& dtype,
              bool bias = true) {
    const bool scaled = dtype == "scaled";
    add(name + ".weight", scaled ? "F8_E4M3" : dtype, {out, in});
    if (bias) add(name + ".bias", scaled ? "F16" : dtype, {out});
    if (scaled) add(name + ".scale_weight", "F32", {1});
  }
  const std::vector<TestTensor>& tensors() const { return tensors_; }
  /// Writes the file with its data as a hole, so that 28 GB take a few KB of disk.
  std::string write(const TempDir& dir, const std::string& name) const {
    std::string header = "{";
    std::int64_t at = 0;
    for (const TestTensor& tensor : tensors_) {
      header += fmt::format(R"({}"{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})",
                            at == 0 ? "" : ",", tensor.name, tensor.dtype, shape_text(tensor.shape),
                            at, at + tensor.bytes);
      at += tensor.bytes;
    }
    const std::string text = safetensors_text(header + "}", 0);
    const std::string file = dir.write(name, text);
    std::filesystem::resize_file(file, text.size() + static_cast<std::uintmax_t>(at));
    return file;
  }
  Header header() const {
    Header result;
    for (const TestTensor& tensor : tensors_) {
      TensorInfo info{tensor.name, safetensors_dtype(tensor.dtype), tensor.shape, 1, tensor.bytes};
      info.elements = shape_elements(tensor.shape).value();
      result.tensors.push_back(std::move(info));
    }
    std::sort(result.tensors.begin(), result.tensors.end(),
              [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
    return result;
  }

 private:
  std::vector<TestTensor> tensors_;
};

/// Wan 2.1/2.2: `type` F16, BF16, F8_E4M3 or `scaled`.
inline ModelHeader wan_header(const std::string& type, std::int64_t width, std::int64_t ffn,
                              int layers, std::int64_t channels, const std::string& prefix = {}) {
  const std::string rest = type == "scaled" ? "F16" : type;
  ModelHeader m;
  if (type == "scaled") m.add("scaled_fp8", "F8_E4M3", {2});
  m.add(prefix + "patch_embedding.weight", rest, {width, channels, 1, 2, 2});
  m.add(prefix + "patch_embedding.bias", rest, {width});
  m.linear(prefix + "text_embedding.0", width, 4096, type);
  m.linear(prefix + "text_embedding.2", width, width, type);
  m.linear(prefix + "time_embedding.0", width, 256, type);
  m.linear(prefix + "time_embedding.2", width, width, type);
  m.linear(prefix + "time_projection.1", 6 * width, width, type);
  for (int i = 0; i < layers; ++i) {
    const std::string block = fmt::format("{}blocks.{}.", prefix, i);
    for (const std::string part : {"self_attn.", "cross_attn."}) {
      for (const char* name : {"q", "k", "v", "o"}) {
        m.linear(block + part + name, width, width, type);
      }
      m.add(block + part + "norm_q.weight", rest, {width});
      m.add(block + part + "norm_k.weight", rest, {width});
    }
    m.add(block + "norm3.weight", rest, {width});
    m.add(block + "norm3.bias", rest, {width});
    m.linear(block + "ffn.0", ffn, width, type);
    m.linear(block + "ffn.2", width, ffn, type);
    m.add(block + "modulation", rest, {1, 6, width});
  }
  m.linear(prefix + "head.head", 64, width, type);
  m.add(prefix + "head.modulation", rest, {1, 2, width});
  return m;
}

/// Flux.1 dev.
inline ModelHeader flux_header(const std::string& type) {
  constexpr std::int64_t kWidth = 3072;
  ModelHeader m;
  m.linear("img_in", kWidth, 64, type);
  m.linear("txt_in", kWidth, 4096, type);
  for (const auto& [name, in] :
       {std::pair("time_in", 256), std::pair("vector_in", 768), std::pair("guidance_in", 256)}) {
    m.linear(std::string(name) + ".in_layer", kWidth, in, type);
    m.linear(std::string(name) + ".out_layer", kWidth, kWidth, type);
  }
  for (int i = 0; i < 19; ++i) {
    for (const std::string side : {"img", "txt"}) {
      const std::string block = fmt::format("double_blocks.{}.{}_", i, side);
      m.linear(block + "mod.lin", 6 * kWidth, kWidth, type);
      m.linear(block + "attn.qkv", 3 * kWidth, kWidth, type);
      m.linear(block + "attn.proj", kWidth, kWidth, type);
      m.add(block + "attn.norm.query_norm.scale", type, {128});
      m.add(block + "attn.norm.key_norm.scale", type, {128});
      m.linear(block + "mlp.0", 4 * kWidth, kWidth, type);
      m.linear(block + "mlp.2", kWidth, 4 * kWidth, type);
    }
  }
  for (int i = 0; i < 38; ++i) {
    const std::string block = fmt::format("single_blocks.{}.", i);
    m.linear(block + "linear1", 7 * kWidth, kWidth, type);
    m.linear(block + "linear2", kWidth, 5 * kWidth, type);
    m.linear(block + "modulation.lin", 3 * kWidth, kWidth, type);
    m.add(block + "norm.query_norm.scale", type, {128});
    m.add(block + "norm.key_norm.scale", type, {128});
  }
  m.linear("final_layer.linear", 64, kWidth, type);
  m.linear("final_layer.adaLN_modulation.1", 2 * kWidth, kWidth, type);
  return m;
}

/// T5 v1.1 XXL or UMT5 XXL, encoder only. UMT5 has a position bias in every layer.
inline ModelHeader t5_header(const std::string& type, bool umt5) {
  const std::string rest = type == "scaled" ? "F16" : type;
  ModelHeader m;
  m.add("shared.weight", rest, {umt5 ? 256384 : 32128, 4096});
  if (umt5) m.add("spiece_model", "U8", {4548313});
  for (int i = 0; i < 24; ++i) {
    const std::string block = fmt::format("encoder.block.{}.layer.", i);
    for (const char* name : {"q", "k", "v", "o"}) {
      m.linear(block + "0.SelfAttention." + name, 4096, 4096, type, false);
    }
    if (umt5 || i == 0) {
      m.add(block + "0.SelfAttention.relative_attention_bias.weight", rest, {32, 64});
    }
    m.add(block + "0.layer_norm.weight", rest, {4096});
    m.linear(block + "1.DenseReluDense.wi_0", 10240, 4096, type, false);
    m.linear(block + "1.DenseReluDense.wi_1", 10240, 4096, type, false);
    m.linear(block + "1.DenseReluDense.wo", 4096, 10240, type, false);
    m.add(block + "1.layer_norm.weight", rest, {4096});
  }
  m.add("encoder.final_layer_norm.weight", rest, {4096});
  return m;
}

}  // namespace ebb::test
