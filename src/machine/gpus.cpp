// SPDX-License-Identifier: Apache-2.0
// The table of graphics cards, and finding a card by any usual spelling of its name.
//
// VRAM: kSeen is the driver's total as published nvidia-smi listings show it; kSize is the maker's
// size times 1024, where no listing was at hand (the driver reports up to 150 MiB less, data centre
// cards with error correction up to 7 % less).
// TFLOPS are the maker's: dense fp16 on tensor cores with fp32 accumulation (NVIDIA's architecture
// white papers of Turing, Ampere, Ada, Hopper and Blackwell; data sheets of professional cards).
// Where NVIDIA gives only "AI TOPS" it is that number by the constant ratio of the generation (Ada
// 8, Blackwell 16 on GeForce, 8 on PRO). kPlain marks cards without tensor cores, which ComfyUI
// runs in fp32: fp32 TFLOPS.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "base/text.h"
#include "ebb/machine.h"
#include "machine/vendor.h"

namespace ebb {
namespace {

enum VramFrom { kSeen, kSize };
enum RateFrom { kTensor, kTops, kPlain };

struct Row {
  const char* id;
  const char* name;
  int vram_mib;
  VramFrom vram_from;
  int pcie_generation;
  int pcie_lanes;
  double half_tflops;
  RateFrom rate_from = kTensor;
};

constexpr Row kRows[] = {
    // Pascal and Turing without tensor cores
    {"gtx1050ti", "GTX 1050 Ti", 4096, kSize, 3, 16, 2.1, kPlain},
    {"gtx1060", "GTX 1060 6GB", 6144, kSeen, 3, 16, 4.4, kPlain},
    {"gtx1070", "GTX 1070", 8192, kSize, 3, 16, 6.5, kPlain},
    {"gtx1070ti", "GTX 1070 Ti", 8192, kSize, 3, 16, 8.2, kPlain},
    {"gtx1080", "GTX 1080", 8192, kSize, 3, 16, 8.9, kPlain},
    {"gtx1080ti", "GTX 1080 Ti", 11264, kSeen, 3, 16, 11.3, kPlain},
    {"gtx1650", "GTX 1650", 4096, kSize, 3, 16, 3.0, kPlain},
    {"gtx1650super", "GTX 1650 SUPER", 4096, kSize, 3, 16, 4.4, kPlain},
    {"gtx1660", "GTX 1660", 6144, kSize, 3, 16, 5.0, kPlain},
    {"gtx1660super", "GTX 1660 SUPER", 6144, kSize, 3, 16, 5.0, kPlain},
    {"gtx1660ti", "GTX 1660 Ti", 6144, kSeen, 3, 16, 5.4, kPlain},
    // Turing
    {"rtx2060", "RTX 2060", 6144, kSize, 3, 16, 25.8},
    {"rtx2060-12gb", "RTX 2060 12GB", 12288, kSize, 3, 16, 28.7},
    {"rtx2060super", "RTX 2060 SUPER", 8192, kSize, 3, 16, 28.7},
    {"rtx2070", "RTX 2070", 8192, kSize, 3, 16, 29.9},
    {"rtx2070super", "RTX 2070 SUPER", 8192, kSize, 3, 16, 36.3},
    {"rtx2080", "RTX 2080", 8192, kSize, 3, 16, 40.3},
    {"rtx2080super", "RTX 2080 SUPER", 8192, kSeen, 3, 16, 44.6},
    {"rtx2080ti", "RTX 2080 Ti", 11264, kSeen, 3, 16, 53.8},
    {"titanrtx", "TITAN RTX", 24576, kSize, 3, 16, 130.5},
    // Ampere
    {"rtx3050", "RTX 3050", 8192, kSize, 4, 8, 18.2},
    {"rtx3050-6gb", "RTX 3050 6GB", 6144, kSize, 4, 8, 13.5},
    {"rtx3060", "RTX 3060", 12288, kSeen, 4, 16, 25.5},
    {"rtx3060-8gb", "RTX 3060 8GB", 8192, kSize, 4, 16, 25.5},
    {"rtx3060ti", "RTX 3060 Ti", 8192, kSize, 4, 16, 32.4},
    {"rtx3070", "RTX 3070", 8192, kSeen, 4, 16, 40.6},
    {"rtx3070ti", "RTX 3070 Ti", 8192, kSize, 4, 16, 43.5},
    {"rtx3080", "RTX 3080", 10240, kSeen, 4, 16, 59.5},
    {"rtx3080-12gb", "RTX 3080 12GB", 12288, kSize, 4, 16, 61.3},
    {"rtx3080ti", "RTX 3080 Ti", 12288, kSeen, 4, 16, 68.2},
    {"rtx3090", "RTX 3090", 24576, kSeen, 4, 16, 71.2},
    {"rtx3090ti", "RTX 3090 Ti", 24564, kSeen, 4, 16, 80.0},
    {"rtx3050laptop", "RTX 3050 Laptop", 4096, kSeen, 4, 8, 14.2},
    {"rtx3050tilaptop", "RTX 3050 Ti Laptop", 4096, kSize, 4, 8, 17.3},
    {"rtx3060laptop", "RTX 3060 Laptop", 6144, kSize, 4, 16, 26.2},
    {"rtx3070laptop", "RTX 3070 Laptop", 8192, kSize, 4, 16, 33.2},
    {"rtx3070tilaptop", "RTX 3070 Ti Laptop", 8192, kSize, 4, 16, 35.0},
    {"rtx3080laptop", "RTX 3080 Laptop", 16384, kSize, 4, 16, 42.0},
    {"rtx3080laptop-8gb", "RTX 3080 Laptop 8GB", 8192, kSize, 4, 16, 42.0},
    {"rtx3080tilaptop", "RTX 3080 Ti Laptop", 16384, kSize, 4, 16, 47.2},
    // Ada
    {"rtx4060", "RTX 4060", 8188, kSeen, 4, 8, 30.2},
    {"rtx4060ti", "RTX 4060 Ti", 8188, kSeen, 4, 8, 44.1},
    {"rtx4060ti-16gb", "RTX 4060 Ti 16GB", 16380, kSeen, 4, 8, 44.1},
    {"rtx4070", "RTX 4070", 12282, kSeen, 4, 16, 58.3},
    {"rtx4070super", "RTX 4070 SUPER", 12282, kSeen, 4, 16, 70.9},
    {"rtx4070ti", "RTX 4070 Ti", 12282, kSeen, 4, 16, 80.2},
    {"rtx4070tisuper", "RTX 4070 Ti SUPER", 16376, kSeen, 4, 16, 88.2},
    {"rtx4080", "RTX 4080", 16376, kSeen, 4, 16, 97.5},
    {"rtx4080super", "RTX 4080 SUPER", 16376, kSeen, 4, 16, 104.4},
    {"rtx4090", "RTX 4090", 24564, kSeen, 4, 16, 165.2},
    {"rtx4050laptop", "RTX 4050 Laptop", 6141, kSeen, 4, 8, 24.3, kTops},
    {"rtx4060laptop", "RTX 4060 Laptop", 8188, kSeen, 4, 8, 29.1, kTops},
    {"rtx4070laptop", "RTX 4070 Laptop", 8188, kSeen, 4, 8, 40.1, kTops},
    {"rtx4080laptop", "RTX 4080 Laptop", 12282, kSeen, 4, 16, 67.8, kTops},
    {"rtx4090laptop", "RTX 4090 Laptop", 16376, kSeen, 4, 16, 85.8, kTops},
    // Blackwell
    {"rtx5050", "RTX 5050", 8151, kSeen, 5, 8, 26.3},
    {"rtx5060", "RTX 5060", 8151, kSeen, 5, 8, 38.4},
    {"rtx5060ti", "RTX 5060 Ti 8GB", 8151, kSeen, 5, 8, 47.4},
    {"rtx5060ti-16gb", "RTX 5060 Ti 16GB", 16311, kSeen, 5, 8, 47.4},
    {"rtx5070", "RTX 5070", 12227, kSeen, 5, 16, 61.7},
    {"rtx5070ti", "RTX 5070 Ti", 16303, kSeen, 5, 16, 87.9},
    {"rtx5080", "RTX 5080", 16303, kSeen, 5, 16, 112.6},
    {"rtx5090", "RTX 5090", 32607, kSeen, 5, 16, 209.5},
    {"rtx5050laptop", "RTX 5050 Laptop", 8151, kSeen, 5, 8, 27.5, kTops},
    {"rtx5060laptop", "RTX 5060 Laptop", 8151, kSeen, 5, 8, 35.8, kTops},
    {"rtx5070laptop", "RTX 5070 Laptop", 8151, kSeen, 5, 8, 49.9, kTops},
    {"rtx5070tilaptop", "RTX 5070 Ti Laptop", 12227, kSeen, 5, 16, 62.0, kTops},
    {"rtx5080laptop", "RTX 5080 Laptop", 16303, kSeen, 5, 16, 83.4, kTops},
    {"rtx5090laptop", "RTX 5090 Laptop", 24463, kSeen, 5, 16, 114.0, kTops},
    // Professional cards
    {"rtx6000", "Quadro RTX 6000", 24576, kSeen, 3, 16, 130.5},
    {"rtx8000", "Quadro RTX 8000", 49152, kSize, 3, 16, 130.5},
    {"rtxa2000", "RTX A2000", 6144, kSize, 4, 16, 31.9},
    {"rtxa2000-12gb", "RTX A2000 12GB", 12288, kSize, 4, 16, 31.9},
    {"rtxa4000", "RTX A4000", 16376, kSeen, 4, 16, 76.7},
    {"rtxa4500", "RTX A4500", 20470, kSeen, 4, 16, 94.6},
    {"rtxa5000", "RTX A5000", 24564, kSeen, 4, 16, 111.1},
    {"rtxa5500", "RTX A5500", 24576, kSize, 4, 16, 136.4},
    {"rtxa6000", "RTX A6000", 49140, kSeen, 4, 16, 154.8},
    {"rtx2000ada", "RTX 2000 Ada", 16380, kSeen, 4, 8, 48.0},
    {"rtx4000ada", "RTX 4000 Ada", 20475, kSeen, 4, 16, 106.9},
    {"rtx4500ada", "RTX 4500 Ada", 24576, kSize, 4, 16, 158.5},
    {"rtx5000ada", "RTX 5000 Ada", 32760, kSeen, 4, 16, 261.1},
    {"rtx6000ada", "RTX 6000 Ada", 49140, kSeen, 4, 16, 364.2},
    {"rtxpro6000", "RTX PRO 6000 Blackwell", 97887, kSeen, 5, 16, 500.0, kTops},
    // Data centre
    {"t4", "T4", 15360, kSeen, 3, 16, 65.0},
    {"v100-16gb", "V100 16GB", 16384, kSize, 3, 16, 125.0},
    {"v100-32gb", "V100 32GB", 32768, kSize, 3, 16, 125.0},
    {"a10", "A10", 23028, kSeen, 4, 16, 125.0},
    {"a10g", "A10G", 23028, kSeen, 4, 16, 70.0},
    {"a40", "A40", 46068, kSeen, 4, 16, 149.7},
    {"a100-40gb", "A100 40GB", 40960, kSeen, 4, 16, 312.0},
    {"a100-80gb", "A100 80GB", 81920, kSize, 4, 16, 312.0},
    {"l4", "L4", 23034, kSeen, 4, 16, 121.0},
    {"l40s", "L40S", 46068, kSeen, 4, 16, 362.0},
    {"h100", "H100", 81559, kSeen, 5, 16, 989.4},
    {"h100pcie", "H100 PCIe", 81559, kSeen, 5, 16, 756.0},
    {"h200", "H200", 143771, kSeen, 5, 16, 989.4},
};

Gpu from_row(const Row& row) {
  Gpu gpu{row.id, row.name, row.vram_mib, row.pcie_generation, row.pcie_lanes, row.half_tflops, {}};
  gpu.source = row.vram_from == kSeen ? "driver's total from nvidia-smi listings"
                                      : "the maker's size, not the driver's total";
  switch (row.rate_from) {
    case kTensor: gpu.source += "; dense fp16 tensor rate from NVIDIA's papers"; break;
    case kTops: gpu.source += "; dense fp16 tensor rate from NVIDIA's AI TOPS"; break;
    case kPlain: gpu.source += "; fp32 rate, as the card has no tensor cores"; break;
  }
  return gpu;
}

// Words that say nothing about which card it is.
bool is_noise(std::string_view word) {
  static constexpr std::string_view kNoise[] = {
      "nvidia", "geforce", "quadro",      "tesla",  "gpu",  "generation", "graphics", "blackwell",
      "card",   "edition", "workstation", "server", "sxm2", "sxm4",       "sxm5",     "hbm3",
      "hbm3e",  "hbm2",    "max",         "q",      "tm",   "r",          "desktop"};
  return std::find(std::begin(kNoise), std::end(kNoise), word) != std::end(kNoise);
}

// `NVIDIA GeForce RTX 4060 Ti (16 GB)` -> words rtx 4060 ti 16 gb -> rtx4060ti16gb.
std::string plain_name(std::string_view name) {
  std::string result, word;
  const auto finish = [&] {
    if (word == "mobile" || word == "notebook") word = "laptop";
    if (!is_noise(word)) result += word;
    word.clear();
  };
  for (char c : lower(name)) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      word += c;
    } else {
      finish();
    }
  }
  finish();
  return result;
}

// Splits `rtx309024gb` or `rtx409024g` into the card and its gigabytes; 0 if there are none.
std::pair<std::string, int> split_size(const std::string& name) {
  for (const char* unit : {"gib", "gb", "g"}) {
    if (!name.ends_with(unit)) continue;
    const std::string rest = name.substr(0, name.size() - std::string_view(unit).size());
    for (std::size_t digits : {3u, 2u, 1u}) {
      if (rest.size() <= digits + 1) continue;
      const auto size = parse_int(rest.substr(rest.size() - digits));
      if (!size || *size <= 0 || *size > 288 || rest[rest.size() - digits] == '0') continue;
      const std::string card = rest.substr(0, rest.size() - digits);
      for (const Gpu& gpu : gpus()) {
        if (plain_name(gpu.id).starts_with(card)) return {card, static_cast<int>(*size)};
      }
    }
  }
  return {name, 0};
}

const Gpu* exact(const std::string& plain) {
  for (const Gpu& gpu : gpus()) {
    if (plain == plain_name(gpu.id) || plain == plain_name(gpu.name)) return &gpu;
  }
  return nullptr;
}

bool has_size(const Gpu& gpu, int gigabytes) {
  return std::llabs((gpu.vram_mib + 512) / 1024 - gigabytes) <= (gigabytes >= 16 ? 2 : 0);
}

/// Whether two names differ only in the order of their letters, as a slip of the fingers makes it.
bool same_letters(std::string a, std::string b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

/// Cards whose names are so near that one of them may be meant; three at most.
std::vector<const Gpu*> near_ones(const std::string& plain) {
  constexpr std::size_t kMost = 3;
  if (plain.size() < 2) return {};
  std::vector<std::pair<int, const Gpu*>> near;
  for (const Gpu& gpu : gpus()) {
    const std::string id = plain_name(gpu.id);
    // What was typed may be the beginning of several; of short names one letter says too much.
    const bool longer = id.starts_with(plain) && plain.size() >= 3;
    const int edits = edit_distance(plain, id);
    const bool same_kind = plain.substr(0, 2) == id.substr(0, 2);
    const bool typo = edits == 1 || (edits == 2 && same_letters(plain, id));
    if (longer || (same_kind && plain.size() >= 5 && typo)) {
      near.emplace_back(longer ? 0 : edits, &gpu);
    }
  }
  std::stable_sort(near.begin(), near.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<const Gpu*> result;
  for (std::size_t i = 0; i < near.size() && i < kMost; ++i) result.push_back(near[i].second);
  return result;
}

Error unknown_gpu(std::string_view name, const std::string& plain) {
  const auto card = card_by_name(name);
  if (card && card->vendor != GpuVendor::nvidia) {
    const std::string whose = card->vendor == GpuVendor::other
                                  ? "no card of NVIDIA's"
                                  : fmt::format("a card of {}'s", to_string(card->vendor));
    return usage_error(
               fmt::format("\"{}\" is {}, and the table has NVIDIA's only", name, whose),
               fmt::format("Say how much memory it has, such as --gpu \"{}\" --vram 16GB.", name))
        .because(ErrorReason::no_such_card);
  }
  std::string hint;
  for (const Gpu* gpu : near_ones(plain)) {
    hint += (hint.empty() ? "Near ones are " : ", ") + gpu->id;
  }
  return usage_error(fmt::format("no card called \"{}\" is known", name),
                     hint + (hint.empty() ? "Say" : "; for any other say") +
                         " how much memory it has, such as --vram 16GB.")
      .because(ErrorReason::no_such_card);
}

}  // namespace

const std::vector<Gpu>& gpus() {
  static const std::vector<Gpu> table = [] {
    std::vector<Gpu> result;
    for (const Row& row : kRows) result.push_back(from_row(row));
    std::sort(result.begin(), result.end(), [](const Gpu& a, const Gpu& b) { return a.id < b.id; });
    return result;
  }();
  return table;
}

Result<Gpu> find_gpu(std::string_view name) {
  if (name.size() > 200) return unknown_gpu(name.substr(0, 40), {});
  std::string plain = plain_name(name);
  // `4090` alone is an RTX 4090, `1080 Ti` a GTX.
  const auto card = card_by_name(name);
  if (card && card->vendor != GpuVendor::nvidia) return unknown_gpu(name, plain);
  if (!plain.empty() && plain[0] >= '0' && plain[0] <= '9') {
    plain = (plain.starts_with("10") || plain.starts_with("16") ? "gtx" : "rtx") + plain;
  }
  if (const Gpu* gpu = exact(plain)) return *gpu;
  const auto [stem, gigabytes] = split_size(plain);
  if (gigabytes > 0) {
    for (const Gpu& gpu : gpus()) {
      const std::string id = plain_name(gpu.id);
      if ((id == stem || split_size(id).first == stem) && has_size(gpu, gigabytes)) return gpu;
    }
  }
  return unknown_gpu(name, plain);
}

}  // namespace ebb
