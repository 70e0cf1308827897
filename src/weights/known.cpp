// SPDX-License-Identifier: Apache-2.0
#include "weights/known.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "weights/module_table.h"

namespace ebb {
namespace {

using enum WeightsRole;

#include "weights/known_files.inc"
#include "weights/known_models.inc"

/// Marks of an element type in a normalised name, most specific first.
struct TypeMark {
  std::string_view mark;
  std::string_view type;
  double bits = 0;  ///< per value; 0 where the mix differs too much to say
};

// For GGUF mixes: what public files of Flux, Wan and Qwen-Image come to, which differ by up to 8%.
constexpr TypeMark kTypeMarks[] = {
    {"q2-k", "Q2_K", 2.75},
    {"q3-k-s", "Q3_K_S", 3.5},
    {"q3-k-m", "Q3_K_M", 3.95},
    {"q3-k-l", "Q3_K_L", 4.2},
    {"q4-k-s", "Q4_K_S", 4.75},
    {"q4-k-m", "Q4_K_M", 5.2},
    {"q4-k-xl", "Q4_K_XL", 5.2},
    {"q4-k", "Q4_K", 4.75},
    {"q4-0", "Q4_0", 4.56},
    {"q4-1", "Q4_1", 5.06},
    {"q5-k-s", "Q5_K_S", 5.6},
    {"q5-k-m", "Q5_K_M", 5.85},
    {"q5-0", "Q5_0", 5.56},
    {"q5-1", "Q5_1", 6.06},
    {"q6-k", "Q6_K", 6.6},
    {"q8-0", "Q8_0", 8.55},
    {"-q8", "Q8_0", 8.55},
    {"iq4-xs", "IQ4_XS", 4.4},
    {"iq4-nl", "IQ4_NL", 4.6},
    {"svdq", "svdq", 0},
    {"nvfp4", "nvfp4", 0},
    {"fp4", "fp4", 0},
    {"nf4", "nf4", 0},
    {"int4", "int4", 0},
    {"int8", "int8", 8.1},
    {"fp8mixed", "fp8_mixed", 0},
    {"fp8-mixed", "fp8_mixed", 0},
    {"fp8-e4m3fn-scaled", "fp8_e4m3fn_scaled", 8},
    {"fp8-scaled", "fp8_e4m3fn_scaled", 8},
    {"fp8-e5m2-scaled", "fp8_e5m2_scaled", 8},
    {"fp8-e5m2", "fp8_e5m2", 8},
    {"fp8", "fp8_e4m3fn", 8},
    {"bf16", "bf16", 16},
    {"fp16", "fp16", 16},
    {"-f16", "fp16", 16},
    {"fp32", "fp32", 32},
};

/// Words that a normalised name must hold; `a|b` means either, `!a` forbids, `^a` begins the name.
struct NameFamily {
  std::array<std::string_view, 4> words;
  std::string_view versions;  ///< numbers that may stand in the name: `2-1|2-2`; others: a sibling
  WeightsRole role;
  std::string_view architecture;
  std::int64_t parameters = 0;
  std::string_view structure = {};
  int gguf_within_percent = 8;  ///< how far the files of different publishers differ
  std::int64_t kept = 0;        ///< values that quantised files keep in 16 bits, beyond the others'
};

#include "weights/known_names.inc"

/// LoRAs of a family hold, for each unit of rank, one value per input and output of the layers that
/// they change: here all linear layers of the blocks (Qwen's but for the modulation), which is what
/// those of known size hold. Some change fewer.
struct LoraFamily {
  std::array<std::string_view, 4> words;
  std::int64_t values_per_rank = 0;
};
constexpr LoraFamily kLoraFamilies[] = {
    {{"wan|lightx2v|causvid", "1-3b"}, 1367040},
    {{"wan|lightx2v|causvid", "14b", "i2v", "!a14b|wan2-2|wan-2-2|wan22"}, 5611520},
    {{"wan|lightx2v|causvid", "14b"}, 4792320},
    {{"qwen", "image|edit"}, 6635520},
    {{"ltx-2|ltx2"}, 9910272},
};
constexpr int kLoraWithinPercent = 25;
constexpr int kLargestRank = 4096;

/// The parts that checkpoints of a family hold beside the diffusion model.
struct FamilyParts {
  std::string_view architecture;
  std::string_view clip;
  std::string_view vae;
};
constexpr FamilyParts kParts[] = {
    {"sdxl", "sdxl_clip", "sdxl_vae"}, {"sdxl-refiner", "clip_g", "sdxl_vae"},
    {"sd15", "clip_l", "sdxl_vae"},    {"sd21", "clip_h", "sdxl_vae"},
    {"ltxv-2b", "", "ltxv_vae"},       {"ltxv-13b", "", "ltxv_vae"},
};

std::string normalise(std::string_view name) {
  std::string text = "-" + lower(name) + "-";
  for (char& c : text) {
    if (c == '_' || c == '.' || c == ' ' || c == '/' || c == '\\') c = '-';
  }
  return text;
}

bool holds_any(std::string_view text, std::string_view words) {
  for (const std::string_view word : split(words, '|')) {
    const bool first = word.starts_with('^');
    if (first ? text.substr(1).starts_with(word.substr(1)) : contains(text, word)) return true;
  }
  return false;
}

bool fits(std::string_view text, const std::array<std::string_view, 4>& all_words) {
  for (const std::string_view words : all_words) {
    if (words.empty()) break;
    const bool forbidden = words.starts_with('!');
    if (holds_any(text, forbidden ? words.substr(1) : words) == forbidden) return false;
  }
  return true;
}

bool all_digits(std::string_view token) {
  return !token.empty() && token.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Whether `versions` lists all numbers of a name but those of a size (`14b`), a type (`q4-0`) or
/// a training (`v29-5`): a number that a family does not have is that of a sibling.
bool knows_numbers(std::string_view text, std::string_view versions) {
  if (versions == kAny) return true;
  std::string plain(text);
  for (const TypeMark& mark : kTypeMarks) {
    if (const auto at = plain.find(mark.mark); at != std::string::npos) {
      plain.replace(at, mark.mark.size(), "-");
    }
  }
  // `flux1`, `video15`: a word of a family with its version.
  for (std::size_t i = 3; i < plain.size(); ++i) {
    const auto letter = [&](std::size_t at) { return plain[at] >= 'a' && plain[at] <= 'z'; };
    const std::size_t end = plain.find('-', i);
    const std::string_view rest = std::string_view(plain).substr(i, end - i);
    if (letter(i - 1) && letter(i - 2) && letter(i - 3) && all_digits(rest)) plain.insert(i, "-");
  }
  const std::vector<std::string_view> tokens = split(plain, '-');
  std::string group;
  const auto listed = [&] {
    const auto known = split(versions, '|');
    return group.empty() || std::find(known.begin(), known.end(), group) != known.end();
  };
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool sized = i + 1 < tokens.size() && tokens[i + 1].size() > 1 &&
                       tokens[i + 1].ends_with('b') &&
                       all_digits(tokens[i + 1].substr(0, tokens[i + 1].size() - 1));
    const bool half = sized && tokens[i + 1].size() == 2 && tokens[i] == "1";  // `1-3b`
    const bool trained = i > 0 && tokens[i - 1].starts_with('v') && group.empty() &&
                         all_digits(tokens[i - 1].substr(1));
    if (all_digits(tokens[i]) && !half && !trained) {
      group += (group.empty() ? "" : "-") + std::string(tokens[i]);
      continue;
    }
    if (!listed()) return false;
    group.clear();
  }
  return listed();
}

/// A name without what publishers put before a model's own: `svdq-int4_r32-flux.1-dev`.
std::string_view without_publisher(std::string_view text) {
  for (bool more = true; more;) {
    more = false;
    for (const std::string_view word : {"-svdq", "-int4", "-fp4", "-r32", "-r128", "-nunchaku",
                                        "-comfyui", "-comfy", "-fast", "-skyreels", "-nvidia"}) {
      if (!text.starts_with(std::string(word) + "-")) continue;
      text.remove_prefix(word.size());
      more = true;
    }
  }
  return text;
}

bool is_of(std::string_view text, const NameFamily& family) {
  return fits(text, family.words) && knows_numbers(text, family.versions);
}

/// The number after `rank`; 0 without one.
int rank_in(std::string_view text) {
  const auto at = text.find("rank");
  if (at == std::string_view::npos) return 0;
  std::string_view rest = text.substr(at + 4);
  if (rest.starts_with('-')) rest.remove_prefix(1);
  int rank = 0;
  std::from_chars(rest.data(), rest.data() + rest.size(), rank);
  return rank > 0 && rank <= kLargestRank ? rank : 0;
}

std::optional<NameGuess> guess_lora(std::string_view text) {
  const int rank = rank_in(text);
  if (rank == 0) return std::nullopt;
  for (const LoraFamily& family : kLoraFamilies) {
    if (!fits(text, family.words)) continue;
    NameGuess guess;
    guess.role = lora;
    guess.architecture = "lora";
    guess.parameters = rank * family.values_per_rank;
    guess.stored_type = contains(text, "fp16") ? "fp16" : "bf16";
    guess.bits = 16;
    guess.within_percent = kLoraWithinPercent;
    guess.lora_rank = rank;
    return guess;
  }
  return std::nullopt;
}

/// A name as it was before a browser or a user made it unlike another in the same folder.
std::string without_copy_mark(std::string name) {
  const auto dot = name.rfind('.');
  if (dot == std::string::npos) return name;
  std::string stem = name.substr(0, dot);
  if (const auto open = stem.rfind(" ("); open != std::string::npos && stem.ends_with(')')) {
    const std::string_view inside = std::string_view(stem).substr(open + 2);
    if (inside.size() > 1 && inside.find_first_not_of("0123456789") == inside.size() - 1) {
      stem.resize(open);
    }
  }
  while (stem.ends_with('_')) stem.pop_back();
  return stem + name.substr(dot);
}

NameGuess to_guess(const NameFamily& family) {
  NameGuess guess;
  guess.role = family.role;
  guess.architecture = family.architecture;
  guess.parameters = family.parameters;
  guess.structure = family.structure;
  guess.kept_values = family.kept;
  return guess;
}

std::optional<NameGuess> part_guess(std::string_view key) {
  const KnownModel* model = find_known_model(key);
  if (!model) return std::nullopt;
  NameGuess guess;
  guess.role = model->role;
  guess.architecture = model->architecture;
  guess.parameters = model->parameters;
  guess.structure = model->structure;
  guess.stored_type = "fp16";
  guess.bits = 16;
  return guess;
}

}  // namespace

std::span<const KnownModel> known_models() { return kModels; }
std::span<const KnownFile> known_files() { return kFiles; }

const KnownModel* find_known_model(std::string_view key) {
  const auto at = std::find_if(std::begin(kModels), std::end(kModels),
                               [&](const KnownModel& model) { return model.key == key; });
  return at != std::end(kModels) && !key.empty() ? at : nullptr;
}

const KnownFile* find_known_file(std::string_view name) {
  const std::string given = lower(base_name(name));
  for (const std::string& wanted : {given, without_copy_mark(given)}) {
    const auto at = std::find_if(std::begin(kFiles), std::end(kFiles),
                                 [&](const KnownFile& file) { return file.name == wanted; });
    if (at != std::end(kFiles)) return at;
  }
  return nullptr;
}

std::string_view type_in_name(std::string_view name) {
  const std::string text = normalise(base_name(name));
  for (const TypeMark& mark : kTypeMarks) {
    if (contains(text, mark.mark)) return mark.type;
  }
  return {};
}

double bits_per_value(std::string_view stored_type) {
  for (const TypeMark& mark : kTypeMarks) {
    if (mark.type == stored_type) return mark.bits;
  }
  return 0;
}

std::optional<NameGuess> guess_from_name(std::string_view name, WeightsRole role, bool checkpoint,
                                         std::string_view part) {
  const std::string path = normalise(name);
  if (role == lora) return guess_lora(path);
  const std::string base = normalise(base_name(name));
  const std::string_view text = without_publisher(base);
  std::optional<NameGuess> guess;
  int gguf_within_percent = 0;
  if (checkpoint) {
    for (const NameFamily& family : kCheckpointFamilies) {
      // Users sort checkpoints into folders that say their family.
      if (!is_of(text, family) && !is_of(path, family)) continue;
      guess = to_guess(family);
      break;
    }
  }
  if (!guess && (!checkpoint || part.empty())) {
    for (const NameFamily& family : kFamilies) {
      if (family.role != role || !is_of(text, family)) continue;
      guess = to_guess(family);
      gguf_within_percent = family.gguf_within_percent;
      break;
    }
  }
  if (!guess) return std::nullopt;
  if (checkpoint && !part.empty()) {
    for (const FamilyParts& parts : kParts) {
      if (parts.architecture != guess->architecture) continue;
      return part_guess(part == ".clip" ? parts.clip : parts.vae);
    }
    return std::nullopt;
  }
  guess->stored_type = type_in_name(name);
  guess->bits = bits_per_value(guess->stored_type);
  // Mixes of types, whose share publishers choose.
  const std::string_view type = guess->stored_type;
  if (type.starts_with('Q') || type.starts_with("IQ")) guess->within_percent = gguf_within_percent;
  return guess;
}

}  // namespace ebb
