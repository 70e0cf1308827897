// SPDX-License-Identifier: Apache-2.0
#include "weights/dtype.h"

#include <array>
#include <limits>

namespace ebb {
namespace {

using enum DtypeClass;

// Names and sizes from the safetensors format description; the 4- and 6-bit types are packed.
constexpr Dtype kSafetensors[] = {
    {"F32", "fp32", floating, 1, 4},
    {"F16", "fp16", floating, 1, 2},
    {"BF16", "bf16", floating, 1, 2},
    {"F8_E4M3", "fp8_e4m3fn", fp8, 1, 1},
    {"F8_E5M2", "fp8_e5m2", fp8, 1, 1},
    {"F8_E4M3FNUZ", "fp8_e4m3fnuz", fp8, 1, 1},
    {"F8_E5M2FNUZ", "fp8_e5m2fnuz", fp8, 1, 1},
    {"F8_E8M0", "fp8_e8m0", fp8, 1, 1},
    {"F64", "fp64", floating, 1, 8},
    {"I64", "int64", integer, 1, 8},
    {"U64", "uint64", integer, 1, 8},
    {"I32", "int32", integer, 1, 4},
    {"U32", "uint32", integer, 1, 4},
    {"I16", "int16", integer, 1, 2},
    {"U16", "uint16", integer, 1, 2},
    {"I8", "int8", integer, 1, 1},
    {"U8", "uint8", integer, 1, 1},
    {"BOOL", "bool", integer, 1, 1},
    {"C64", "complex64", integer, 1, 8},
    {"F4", "fp4", integer, 2, 1},
    {"F6_E2M3", "fp6_e2m3", integer, 4, 3},
    {"F6_E3M2", "fp6_e3m2", integer, 4, 3},
};

struct GgmlType {
  std::uint32_t number;
  Dtype dtype;
};

// Numbers, block lengths and block sizes from ggml's table of types. Numbers that are missing
// were withdrawn.
constexpr GgmlType kGgml[] = {
    {0, {"F32", "fp32", floating, 1, 4}},
    {1, {"F16", "fp16", floating, 1, 2}},
    {2, {"Q4_0", "Q4_0", quantised, 32, 18}},
    {3, {"Q4_1", "Q4_1", quantised, 32, 20}},
    {6, {"Q5_0", "Q5_0", quantised, 32, 22}},
    {7, {"Q5_1", "Q5_1", quantised, 32, 24}},
    {8, {"Q8_0", "Q8_0", quantised, 32, 34}},
    {9, {"Q8_1", "Q8_1", quantised, 32, 36}},
    {10, {"Q2_K", "Q2_K", quantised, 256, 84}},
    {11, {"Q3_K", "Q3_K", quantised, 256, 110}},
    {12, {"Q4_K", "Q4_K", quantised, 256, 144}},
    {13, {"Q5_K", "Q5_K", quantised, 256, 176}},
    {14, {"Q6_K", "Q6_K", quantised, 256, 210}},
    {15, {"Q8_K", "Q8_K", quantised, 256, 292}},
    {16, {"IQ2_XXS", "IQ2_XXS", quantised, 256, 66}},
    {17, {"IQ2_XS", "IQ2_XS", quantised, 256, 74}},
    {18, {"IQ3_XXS", "IQ3_XXS", quantised, 256, 98}},
    {19, {"IQ1_S", "IQ1_S", quantised, 256, 50}},
    {20, {"IQ4_NL", "IQ4_NL", quantised, 32, 18}},
    {21, {"IQ3_S", "IQ3_S", quantised, 256, 110}},
    {22, {"IQ2_S", "IQ2_S", quantised, 256, 82}},
    {23, {"IQ4_XS", "IQ4_XS", quantised, 256, 136}},
    {24, {"I8", "int8", integer, 1, 1}},
    {25, {"I16", "int16", integer, 1, 2}},
    {26, {"I32", "int32", integer, 1, 4}},
    {27, {"I64", "int64", integer, 1, 8}},
    {28, {"F64", "fp64", floating, 1, 8}},
    {29, {"IQ1_M", "IQ1_M", quantised, 256, 56}},
    {30, {"BF16", "bf16", floating, 1, 2}},
    {34, {"TQ1_0", "TQ1_0", quantised, 256, 54}},
    {35, {"TQ2_0", "TQ2_0", quantised, 256, 66}},
    {39, {"MXFP4", "MXFP4", quantised, 32, 17}},
};

}  // namespace

const Dtype* safetensors_dtype(std::string_view stored_name) {
  for (const Dtype& dtype : kSafetensors) {
    if (dtype.stored_name == stored_name) return &dtype;
  }
  return nullptr;
}

const Dtype* ggml_dtype(std::uint32_t number) {
  for (const GgmlType& type : kGgml) {
    if (type.number == number) return &type.dtype;
  }
  return nullptr;
}

std::optional<std::int64_t> dtype_bytes(const Dtype& dtype, std::int64_t elements) {
  if (elements < 0 || elements % dtype.block_elements != 0) return std::nullopt;
  const std::int64_t blocks = elements / dtype.block_elements;
  if (blocks > std::numeric_limits<std::int64_t>::max() / dtype.block_bytes) return std::nullopt;
  return blocks * dtype.block_bytes;
}

}  // namespace ebb
