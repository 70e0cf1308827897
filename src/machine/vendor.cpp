// SPDX-License-Identifier: Apache-2.0
// Whose card a name means, which generation it is, and what ComfyUI does otherwise on it.
//
// From comfy/model_management.py: MIN_WEIGHT_MEMORY_RATIO, ENABLE_PYTORCH_ATTENTION, vae_dtype,
// NUM_STREAMS, MAX_PINNED_MEMORY; comfy/sd.py: VAE_KL_MEM_RATIO; main.py: who gets dynamic VRAM.
#include "machine/vendor.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/names.h"
#include "base/text.h"

namespace ebb {
namespace {

constexpr double kWeightShare = 0.4;  // of free VRAM, at least, on all cards but NVIDIA's
constexpr double kKlVaeTimes = 2.73;  // of the KL autoencoder's estimate, on AMD's
constexpr ComfyVersion kKlVaeSince = {0, 3, 65};
constexpr ComfyVersion kRdna4AttentionSince = {0, 9, 0};

/// Generations of AMD's cards as drivers call them, by how the names of cards begin.
struct AmdRow {
  std::string_view begins;  ///< in plain letters and digits
  std::string_view generation;
};
constexpr AmdRow kAmd[] = {
    {"rx9070", "gfx1201"},   {"rx9060", "gfx1200"}, {"rx90", "gfx1201"},   {"r9700", "gfx1201"},
    {"rx7900", "gfx1100"},   {"rx7800", "gfx1101"}, {"rx7700", "gfx1101"}, {"rx7600", "gfx1102"},
    {"w7900", "gfx1100"},    {"w7800", "gfx1100"},  {"w7700", "gfx1101"},  {"rx68", "gfx1030"},
    {"rx69", "gfx1030"},     {"rx67", "gfx1031"},   {"rx66", "gfx1032"},   {"rx65", "gfx1034"},
    {"rx64", "gfx1034"},     {"w6800", "gfx1030"},  {"rx57", "gfx1010"},   {"rx56", "gfx1010"},
    {"rx55", "gfx1012"},     {"rx53", "gfx1012"},   {"rx46", "gfx803"},    {"rx47", "gfx803"},
    {"rx48", "gfx803"},      {"rx55", "gfx803"},    {"rx56", "gfx803"},    {"rx57", "gfx803"},
    {"rx58", "gfx803"},      {"rx59", "gfx803"},    {"rxvega", "gfx900"},  {"vega", "gfx900"},
    {"radeonvii", "gfx906"}, {"vii", "gfx906"},     {"mi25", "gfx900"},    {"mi50", "gfx906"},
    {"mi60", "gfx906"},      {"mi100", "gfx908"},   {"mi210", "gfx90a"},   {"mi250", "gfx90a"},
    {"mi300", "gfx942"},     {"mi325", "gfx942"},   {"mi350", "gfx950"},   {"mi355", "gfx950"},
    {"8060s", "gfx1151"},    {"8050s", "gfx1151"},  {"890m", "gfx1150"},   {"780m", "gfx1103"},
    {"680m", "gfx1035"},
};

/// A name as lower-case words of letters and digits.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : lower(name)) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

bool is_any_of(std::string_view word, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool all_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// `letters` and then `least` to `most` digits, and nothing but letters behind them.
bool is_model(std::string_view word, std::string_view letters, std::size_t least,
              std::size_t most) {
  if (!word.starts_with(letters)) return false;
  word.remove_prefix(letters.size());
  const auto end = std::min(word.find_first_not_of("0123456789"), word.size());
  return end >= least && end <= most &&
         word.substr(end).find_first_of("0123456789") == std::string_view::npos;
}

bool is_amd(std::string_view word) {
  return is_any_of(word, {"amd",   "radeon", "rx",    "vega",  "instinct", "firepro", "rxvega",
                          "navi",  "rdna",   "rdna2", "rdna3", "rdna4",    "strix",   "8060s",
                          "8050s", "890m",   "780m",  "680m",  "rocm",     "ryzen",   "r9700"}) ||
         is_model(word, "rx", 3, 4) || is_model(word, "mi", 2, 3) || is_model(word, "gfx", 2, 4) ||
         is_model(word, "vega", 2, 2);
}

bool is_intel(std::string_view word) {
  return is_any_of(word, {"intel", "arc", "iris", "uhd", "xe", "xpu", "a310", "a380", "a580",
                          "a750", "a770", "b570", "b580", "b50", "b60", "battlemage", "alchemist"});
}

bool is_apple(std::string_view word) {
  return is_any_of(word, {"apple", "macbook", "mac", "mps", "imac"}) ||
         (word.size() >= 2 && word[0] == 'm' && word[1] >= '1' && word[1] <= '9' &&
          (word.size() == 2 || is_any_of(word.substr(2), {"pro", "max", "ultra"})));
}

bool is_other(std::string_view word) {
  return is_any_of(
      word, {"ascend", "npu", "mlu", "cambricon", "qualcomm", "snapdragon", "adreno", "iluvatar",
             "ixuca", "directml", "cpu", "tpu", "mtt", "moore", "huawei", "910b", "hygon", "dcu"});
}

bool is_nvidia(std::string_view word) {
  return is_any_of(word, {"nvidia", "geforce", "quadro", "tesla", "titan", "jetson", "gtx", "rtx",
                          "gt", "dgx", "gb10", "gb200", "gb300", "b100", "b200", "b300"}) ||
         is_model(word, "rtx", 3, 4) || is_model(word, "gtx", 3, 4);
}

/// AMD's generation; empty where the name does not say.
std::string amd_generation(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (is_model(word, "gfx", 2, 4)) return word;
  }
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool split = words[i] == "rx" && i + 1 < words.size();
    const std::string word = split ? "rx" + words[i + 1] : words[i];
    // RX 550 to 590 have three digits, RX 5500 and 5700 four.
    const std::string digits = word.starts_with("rx") ? word.substr(2) : std::string();
    const bool polaris = digits.size() >= 3 && all_digits(digits.substr(0, 3)) &&
                         (digits.size() == 3 || digits[3] < '0' || digits[3] > '9');
    for (const AmdRow& row : kAmd) {
      if (word.starts_with(row.begins) &&
          (!word.starts_with("rx5") || polaris == (row.generation == "gfx803"))) {
        return std::string(row.generation);
      }
    }
  }
  return {};
}

/// Whether ComfyUI takes PyTorch's attention by itself: it is in what ROCm for this card has.
bool amd_has_attention(std::string_view generation, const ComfyVersion& version) {
  if (is_any_of(generation, {"gfx90a", "gfx942", "gfx1100", "gfx1101", "gfx1151"})) return true;
  return version >= kRdna4AttentionSince &&
         is_any_of(generation, {"gfx950", "gfx1150", "gfx1200", "gfx1201"});
}

CardRules amd_rules(const Machine& machine) {
  CardRules rules;
  rules.weight_share = kWeightShare;
  rules.pages = false;
  rules.plain_attention = !amd_has_attention(machine.card.generation, machine.comfyui);
  // bf16 is taken from RDNA 4 on; its convolutions are slow before.
  rules.fp32_vaes = !machine.card.generation.starts_with("gfx12");
  if (machine.comfyui >= kKlVaeSince) rules.kl_vae_times = kKlVaeTimes;
  return rules;
}

CardRules intel_rules() {
  CardRules rules;
  rules.weight_share = kWeightShare;
  rules.pages = rules.streams = rules.pins = false;
  return rules;
}

}  // namespace

std::optional<Card> card_by_name(std::string_view name) {
  const auto words = words_of(name.substr(0, 200));
  const auto any = [&](bool (*is)(std::string_view)) {
    return std::any_of(words.begin(), words.end(), is);
  };
  if (any(is_nvidia)) return Card{GpuVendor::nvidia, {}, NumberKind::given};
  if (any(is_amd)) return Card{GpuVendor::amd, amd_generation(words), NumberKind::given};
  if (any(is_intel)) return Card{GpuVendor::intel, {}, NumberKind::given};
  if (any(is_apple)) return Card{GpuVendor::apple, {}, NumberKind::given};
  if (any(is_other)) return Card{GpuVendor::other, {}, NumberKind::given};
  return std::nullopt;
}

const char* to_string(GpuVendor vendor) {
  return name_in<GpuVendor::other>({"NVIDIA", "AMD", "Intel", "Apple", "other"}, vendor);
}

CardRules card_rules(const Machine& machine) {
  switch (machine.card.vendor) {
    case GpuVendor::nvidia: return {};
    case GpuVendor::amd: return amd_rules(machine);
    case GpuVendor::intel: return intel_rules();
    case GpuVendor::apple:
    case GpuVendor::other: break;
  }
  CardRules rules;
  rules.known = false;
  return rules;
}

}  // namespace ebb
