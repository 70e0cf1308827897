// SPDX-License-Identifier: Apache-2.0
// ComfyUI's command line. The table names every flag of comfy/cli_args.py in 0.3.64, 0.3.73, 0.8.0,
// 0.18.2, 0.25.0 and 0.33.0 and some of later releases.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>

#include "base/command_line.h"
#include "base/text.h"
#include "ebb/machine.h"
#include "machine/flag_words.h"

namespace ebb {
namespace {

constexpr double kMostGib = 1024;   // of --reserve-vram: no card has more
constexpr int kDefaultStreams = 2;  // of --async-offload without a number

enum class Values { none, one, maybe_one, some, any };
enum class ValueType { text, whole, real };

struct Flag {
  std::string_view name;
  Values values = Values::none;
  ValueType type = ValueType::text;
  std::string_view group = {};  // of flags in the same group only one may be given
};

constexpr Flag kFlags[] = {
#include "machine/flags.inc"
};

struct Given {
  const Flag* flag;
  std::vector<std::string> values;
};

// ---- words ---------------------------------------------------------------------------------

// Quotes group as in a shell. A backslash escapes only quotes, spaces, line ends and, before a
// double quote, itself: paths on Windows keep theirs.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {}

  Result<std::vector<std::string>> split() {
    for (at_ = 0; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (quote_ == 0 && is_space(c)) {
        finish();
      } else if (continues_line()) {
        finish();
        at_ += text_[at_ + 1] == '\r' ? 2 : 1;
      } else if (escapes()) {
        take(text_[++at_]);
      } else if (quote_ != 0 ? c == quote_ : (c == '"' || c == '\'')) {
        quote_ = quote_ != 0 ? '\0' : c;
        in_word_ = true;
      } else {
        take(c);
      }
    }
    if (quote_ != 0) {
      return usage_error(std::string("ComfyUI's flags end inside a quotation (") + quote_ + ")",
                         "Close the quotation mark.");
    }
    finish();
    return std::move(words_);
  }

 private:
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

  bool continues_line() const {
    if (quote_ != 0 || (text_[at_] != '\\' && text_[at_] != '^')) return false;
    const std::string_view rest = text_.substr(at_ + 1);
    return rest.starts_with('\n') || rest.starts_with("\r\n");
  }

  bool escapes() const {
    if (text_[at_] != '\\' || quote_ == '\'' || at_ + 1 >= text_.size()) return false;
    const char next = text_[at_ + 1];
    if (next == '\\') {
      const auto end = text_.find_first_not_of('\\', at_);
      return end != std::string_view::npos && text_[end] == '"';
    }
    return quote_ != 0 ? next == '"' : next == '"' || next == '\'' || next == ' ';
  }

  void take(char c) {
    word_ += c;
    in_word_ = true;
  }

  void finish() {
    if (in_word_) words_.push_back(std::move(word_));
    word_.clear();
    in_word_ = false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  char quote_ = 0;
  bool in_word_ = false;
  std::string word_;
  std::vector<std::string> words_;
};

// ---- argparse's rules ----------------------------------------------------------------------

bool is_flag(const std::string& word) {
  if (word.size() < 2 || word[0] != '-') return false;
  return !parse_double(word);  // a negative number is a value
}

Error unknown_flag(const std::string& name) {
  const Flag* nearest = nullptr;
  int distance = static_cast<int>(name.size()) / 3 + 1;
  for (const Flag& flag : kFlags) {
    const int edits = edit_distance(name, flag.name);
    if (edits >= distance) continue;
    distance = edits;
    nearest = &flag;
  }
  std::string hint = nearest ? "Did you mean " + std::string(nearest->name) + "?"
                             : "`python main.py --help` in ComfyUI's folder lists them.";
  return usage_error("ComfyUI has no flag " + name, std::move(hint));
}

// A flag may be shortened as long as it stays unambiguous, as argparse allows.
Result<const Flag*> find_flag(const std::string& name) {
  std::vector<const Flag*> matches;
  for (const Flag& flag : kFlags) {
    if (flag.name == name) return &flag;
    if (name.size() > 2 && flag.name.starts_with(name)) matches.push_back(&flag);
  }
  if (matches.size() == 1) return matches.front();
  if (matches.empty()) return unknown_flag(name);
  return usage_error(name + " is short for several of ComfyUI's flags",
                     "Write it out: " + std::string(matches[0]->name) + " or " +
                         std::string(matches[1]->name) + ".");
}

std::size_t values_min(Values values) {
  return values == Values::one || values == Values::some ? 1 : 0;
}

std::size_t values_max(Values values) {
  switch (values) {
    case Values::none: return 0;
    case Values::one:
    case Values::maybe_one: return 1;
    case Values::some:
    case Values::any: return SIZE_MAX;
  }
  return 0;
}

std::optional<Error> check_values(const Given& given) {
  const std::string name(given.flag->name);
  if (given.values.size() < values_min(given.flag->values)) {
    return usage_error(name + " needs a value", "Write it after the flag: \"" + name + " VALUE\".");
  }
  for (const std::string& value : given.values) {
    const auto number = parse_double(value);
    if (given.flag->type == ValueType::real && (!number || !std::isfinite(*number))) {
      return usage_error(name + " needs a number, not \"" + value + "\"",
                         "Such as " + name + " 4.");
    }
    if (given.flag->type == ValueType::whole && !parse_int(value)) {
      return usage_error(name + " needs a whole number, not \"" + value + "\"",
                         "Such as " + name + " 4.");
    }
  }
  return std::nullopt;
}

// Everything up to the script's name is how it is started: `python -s main.py`.
std::size_t after_script(const std::vector<std::string>& words) {
  for (std::size_t i = words.size(); i > 0; --i) {
    if (lower(base_name(words[i - 1])) == "main.py") return i;
  }
  return 0;
}

Result<std::vector<Given>> read_flags(const std::vector<std::string>& words) {
  std::vector<Given> result;
  std::map<std::string_view, const Flag*> groups;
  for (std::size_t i = after_script(words); i < words.size();) {
    const std::string& word = words[i++];
    if (!is_flag(word)) {
      return usage_error("\"" + word + "\" is neither one of ComfyUI's flags nor the value of one",
                         "Give the flags as on ComfyUI's command line: \"--reserve-vram 4\".");
    }
    const auto equals = word.find('=');
    const auto flag = find_flag(word.substr(0, equals));
    if (!flag) return flag.error();
    Given given{*flag, {}};
    const std::size_t most = values_max(given.flag->values);
    if (equals != std::string::npos) {
      if (most == 0) {
        return usage_error(std::string(given.flag->name) + " takes no value",
                           "Give it without \"=\" and what follows.");
      }
      given.values.push_back(word.substr(equals + 1));
    } else {
      while (given.values.size() < most && i < words.size() && !is_flag(words[i])) {
        given.values.push_back(words[i++]);
      }
    }
    if (const auto error = check_values(given)) return *error;
    if (!given.flag->group.empty()) {
      const Flag*& other = groups[given.flag->group];
      if (other && other != given.flag) {
        return usage_error(std::string(other->name) + " and " + std::string(given.flag->name) +
                               " exclude each other",
                           "ComfyUI accepts only one of them.");
      }
      other = given.flag;
    }
    result.push_back(std::move(given));
  }
  return result;
}

// ---- meaning -------------------------------------------------------------------------------

using Meaning = std::function<void(ComfyFlags&)>;

// Flags that only set a field; what takes a value is in `apply`.
const std::map<std::string_view, Meaning>& meanings() {
  static const std::map<std::string_view, Meaning> table = {
      {"--gpu-only", [](ComfyFlags& f) { f.gpu_only = true, f.vram_state = VramState::high; }},
      {"--highvram", [](ComfyFlags& f) { f.vram_state = VramState::high; }},
      {"--normalvram", [](ComfyFlags& f) { f.vram_state = VramState::normal; }},
      {"--lowvram", [](ComfyFlags& f) { f.vram_state = VramState::low; }},
      {"--novram", [](ComfyFlags& f) { f.vram_state = VramState::none; }},
      {"--cpu", [](ComfyFlags& f) { f.cpu = true; }},
      {"--cpu-vae", [](ComfyFlags& f) { f.cpu_vae = true; }},
      {"--cache-classic", [](ComfyFlags& f) { f.cache = CacheKind::classic; }},
      {"--cache-none", [](ComfyFlags& f) { f.cache = CacheKind::none; }},
      {"--disable-smart-memory", [](ComfyFlags& f) { f.disable_smart_memory = true; }},
      {"--disable-dynamic-vram", [](ComfyFlags& f) { f.disable_dynamic_vram = true; }},
      {"--disable-async-offload", [](ComfyFlags& f) { f.disable_async_offload = true; }},
      {"--disable-pinned-memory", [](ComfyFlags& f) { f.disable_pinned_memory = true; }},
      {"--disable-cuda-malloc", [](ComfyFlags& f) { f.disable_cuda_malloc = true; }},
  };
  return table;
}

void keep(ComfyFlags& flags, const Given& given) {
  flags.other.emplace_back(given.flag->name);
  for (const std::string& value : given.values) flags.other.push_back(value);
}

std::optional<Error> apply(ComfyFlags& flags, const Given& given) {
  const std::string_view name = given.flag->name;
  const double number = given.values.empty() ? 0 : parse_double(given.values[0]).value_or(0);
  if (const auto meaning = meanings().find(name); meaning != meanings().end()) {
    meaning->second(flags);
    if (name == "--normalvram") keep(flags, given);
  } else if (name == "--reserve-vram") {
    if (number < 0) {
      return usage_error("--reserve-vram can't be negative",
                         "It is in GiB: --reserve-vram 0 reserves none.");
    }
    if (number > kMostGib) {
      return usage_error(fmt::format("--reserve-vram {} reserves more GiB than any card has",
                                     given.values.empty() ? "" : given.values[0]),
                         "It is in GiB: --reserve-vram 4.");
    }
    flags.reserve_vram_gib = number;
  } else if (name == "--vram-headroom") {
    flags.vram_headroom_gib = number;
  } else if (name == "--async-offload") {
    if (number < 0 || number > 64) {
      return usage_error("--async-offload needs a count of streams", "Such as --async-offload 2.");
    }
    flags.async_offload = given.values.empty() ? kDefaultStreams : static_cast<int>(number);
  } else if (name == "--cache-lru") {
    if (number < 0 || number > 1e9) {
      return usage_error("--cache-lru needs a count of results", "Such as --cache-lru 10.");
    }
    flags.cache_lru_entries = static_cast<int>(number);
    flags.cache = number > 0 ? CacheKind::lru : CacheKind::standard;
  } else if (name == "--cache-ram") {
    flags.cache = CacheKind::ram;
    flags.cache_ram_gib = number;
    flags.cache_ram_idle_gib =
        given.values.size() > 1 ? parse_double(given.values[1]).value_or(0) : 0;
  } else {
    // The attention of these two needs more memory, and ComfyUI's estimate says so.
    flags.disable_xformers_and_pytorch_attention |=
        name == "--use-split-cross-attention" || name == "--use-quad-cross-attention";
    keep(flags, given);
  }
  return std::nullopt;
}

std::string quoted(const std::string& word) {
  const bool bare = !word.empty() && word.find_first_of(" \t\n\r\"'\\^") == std::string::npos;
  return bare ? word : quote_for_c_runtime(word);
}

std::string vram_flag(const ComfyFlags& flags) {
  if (flags.gpu_only) return "--gpu-only";
  switch (flags.vram_state) {
    case VramState::normal: return "";
    case VramState::low: return "--lowvram";
    case VramState::none: return "--novram";
    case VramState::high: return "--highvram";
  }
  return "";
}

FlagWords cache_flag(const ComfyFlags& flags) {
  switch (flags.cache) {
    case CacheKind::standard: return {};
    case CacheKind::classic: return {"--cache-classic"};
    case CacheKind::lru: return {"--cache-lru", std::to_string(flags.cache_lru_entries)};
    case CacheKind::none: return {"--cache-none"};
    case CacheKind::ram:
      if (flags.cache_ram_idle_gib != 0) {
        return {"--cache-ram", fmt::format("{}", flags.cache_ram_gib),
                fmt::format("{}", flags.cache_ram_idle_gib)};
      }
      if (flags.cache_ram_gib == 0) return {"--cache-ram"};
      return {"--cache-ram", fmt::format("{}", flags.cache_ram_gib)};
  }
  return {};
}

}  // namespace

Result<ComfyFlags> parse_comfy_flags(std::string_view text) {
  const auto words = Words(text).split();
  return words ? parse_comfy_flags(*words) : words.error();
}

Result<ComfyFlags> parse_comfy_flags(const std::vector<std::string>& words) {
  const auto given = read_flags(words);
  if (!given) return given.error();
  ComfyFlags flags;
  for (const Given& one : *given) {
    if (const auto error = apply(flags, one)) return *error;
  }
  return flags;
}

std::vector<FlagWords> to_words(const ComfyFlags& flags) {
  std::vector<FlagWords> words;
  if (const std::string flag = vram_flag(flags); !flag.empty()) words.push_back({flag});
  if (FlagWords flag = cache_flag(flags); !flag.empty()) words.push_back(std::move(flag));
  if (flags.reserve_vram_gib) {
    words.push_back({"--reserve-vram", fmt::format("{}", *flags.reserve_vram_gib)});
  }
  if (flags.vram_headroom_gib) {
    words.push_back({"--vram-headroom", fmt::format("{}", *flags.vram_headroom_gib)});
  }
  const std::pair<bool, const char*> switches[] = {
      {flags.cpu, "--cpu"},
      {flags.cpu_vae, "--cpu-vae"},
      {flags.disable_smart_memory, "--disable-smart-memory"},
      {flags.disable_dynamic_vram, "--disable-dynamic-vram"},
      {flags.disable_async_offload, "--disable-async-offload"},
      {flags.disable_pinned_memory, "--disable-pinned-memory"},
      {flags.disable_cuda_malloc, "--disable-cuda-malloc"}};
  for (const auto& [on, name] : switches) {
    if (on) words.push_back({name});
  }
  if (flags.async_offload == kDefaultStreams) {
    words.push_back({"--async-offload"});
  } else if (flags.async_offload) {
    words.push_back({"--async-offload", std::to_string(*flags.async_offload)});
  }
  for (const std::string& word : flags.other) {
    if (is_flag(word) || words.empty()) words.emplace_back();
    words.back().push_back(word);
  }
  return words;
}

std::string join_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + quoted(word);
  return text;
}

std::string to_string(const ComfyFlags& flags) {
  std::string text;
  for (const FlagWords& flag : to_words(flags)) {
    text += (text.empty() ? "" : " ") + join_words(flag);
  }
  return text;
}

}  // namespace ebb
