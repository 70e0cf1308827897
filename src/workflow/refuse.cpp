// SPDX-License-Identifier: Apache-2.0
// What ComfyUI's server refuses of a prompt before it runs anything: links that end nowhere or at
// an output of another type, and numbers outside the limits of their class. Observed with
// execution.py (validate_inputs) and comfy_execution/validation.py of 0.3.64, 0.3.73, 0.8.0,
// 0.18.2, 0.25.0 and 0.33.0, which agree on all of this; tests/comfy/refuse_real.py asks them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <map>
#include <set>

#include "base/text.h"
#include "ebb/bytes.h"
#include "json/document.h"
#include "json/write.h"
#include "workflow/state.h"

namespace ebb {
namespace {

constexpr double kSeedMax = 18446744073709551616.0;  // 2^64 - 1 as a double
constexpr std::size_t kShownMax = 40;                // characters of a value in a message
constexpr std::size_t kOutputsShown = 8;

/// A number as Python holds it. 64 bits of a seed fit a long double.
struct Read {
  std::optional<long double> number;
  bool refused = false;  ///< Python can't make a number of it
};

Read read_string(std::string text, bool whole) {
  text = trim(text);
  const std::string_view digits =
      std::string_view(text).substr(!text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0);
  const bool plain = !digits.empty() && std::ranges::all_of(digits, [](unsigned char c) {
    return std::isdigit(c) != 0;
  });
  if (plain) return {std::strtold(text.c_str(), nullptr)};
  // Underscores, and digits beyond ASCII, are numbers for Python too: not judged, unless a letter
  // stands among them that no number has.
  const std::string_view letters = whole ? "" : "aefintyAEFINTY";  // 1e3, nan, infinity
  const bool a_text = std::ranges::any_of(digits, [&](unsigned char c) {
    return std::isalpha(c) != 0 && letters.find(static_cast<char>(c)) == std::string_view::npos;
  });
  if (a_text) return {.number = {}, .refused = true};
  if (std::ranges::any_of(digits, [](char c) { return c == '_' || (c & 0x80) != 0; })) return {};
  if (whole || digits.empty() || digits.find_first_of("xX(") != digits.npos) {
    return {.number = {}, .refused = true};
  }
  char* end = nullptr;
  const long double number = std::strtold(text.c_str(), &end);
  if (*end != '\0') return {.number = {}, .refused = true};
  return {number};
}

/// What the server makes of a value for an INT or a FLOAT.
Read read_number(const JsonValue& value, bool whole) {
  switch (value.kind()) {
    case JsonKind::boolean: return {value.boolean().value_or(false) ? 1.0L : 0.0L};
    case JsonKind::string: return read_string(value.string(), whole);
    case JsonKind::number: break;
    default: return {.number = {}, .refused = true};
  }
  const long double number = std::strtold(std::string(value.raw()).c_str(), nullptr);
  const bool finite = value.raw().find_first_of("NI") == std::string_view::npos;
  if (!whole) return finite ? Read{number} : Read{};
  if (!finite) return {.number = {}, .refused = true};
  return {std::trunc(number)};
}

std::string limit_text(double limit) {
  if (limit == kSeedMax) return "18446744073709551615";
  if (limit == std::floor(limit) && std::abs(limit) < 9e15) {
    const auto whole = static_cast<std::int64_t>(std::abs(limit));
    return (limit < 0 ? "-" : "") + format_count(whole);
  }
  return fmt::format("{}", limit);
}

/// `from 1 to 10,000`, `of 1 or more`, `up to 3`.
std::string limits_text(const InputDefinition& input) {
  if (input.min && input.max) {
    return fmt::format("from {} to {}", limit_text(*input.min), limit_text(*input.max));
  }
  return input.min ? limit_text(*input.min) + " or more" : "up to " + limit_text(*input.max);
}

std::string shown(std::string_view value) {
  std::string text(value.substr(0, kShownMax));
  return value.size() > kShownMax ? text + "..." : text;
}

std::set<std::string, std::less<>> types_of(std::string_view list) {
  std::set<std::string, std::less<>> types;
  for (const auto part : split(list, ',')) types.emplace(trim(part));
  return types;
}

/// Whether the server may link an output of one type to an input of another. Of combos only the
/// server knows whether their lists agree.
bool may_link(std::string_view given, std::string_view wanted) {
  if (given == wanted || given.empty() || wanted.empty()) return true;
  const auto outputs = types_of(given), inputs = types_of(wanted);
  for (const char* any : {"*", "COMBO"}) {
    if (inputs.contains(any) || outputs.contains(any)) return true;
  }
  return std::ranges::any_of(outputs, [&](const auto& type) { return inputs.contains(type); });
}

class Refuser {
 public:
  Refuser(const Prompt& prompt, const ConvertOptions& options, const Later& later)
      : prompt_(prompt),
        options_(options),
        later_(later),
        finder_(options.version, options.definitions) {
    for (const Uncertain& entry : prompt.uncertain) {
      if (entry.why != kDoubtRounded) guessed_.emplace(entry.node, entry.input);
    }
  }

  /// The nodes that the server looks at: from its outputs along the links that it does not refuse.
  std::vector<Refusal> run() {
    List<bool, NodeIndex> seen(prompt_.nodes.size());
    std::vector<NodeIndex> open;
    const auto visit = [&](NodeIndex i) {
      if (!seen[i]) open.push_back(i);
      seen[i] = true;
    };
    for (const NodeIndex i : prompt_.nodes.indices()) {
      if (prompt_.nodes[i].output_node) visit(i);
    }
    while (!open.empty()) {
      const PromptNode& node = prompt_.nodes[open.back()];
      open.pop_back();
      const NodeDefinition* definition = definition_of(node);
      for (const PromptInput& input : node.inputs) {
        const bool refused = definition && refuse(node, *definition, input);
        if (refused || !input.link) continue;
        const NodeIndex origin = prompt_.position(input.link->node);
        if (origin.exists()) visit(origin);
      }
    }
    std::ranges::stable_sort(
        found_, {}, [&](const Refusal& refusal) { return prompt_.position(refusal.node); });
    return std::move(found_);
  }

  /// What would be refused if it were not of a later ComfyUI; after `run`.
  std::vector<Uncertain> doubts() { return std::move(doubts_); }

 private:
  /// Only of ComfyUI's own classes is it known that nothing else decides: a class of a pack may
  /// check its inputs itself, and then the server does not.
  const NodeDefinition* definition_of(const PromptNode& node) {
    if (!node.known) return nullptr;
    const auto [at, fresh] = judged_.try_emplace(node.class_type, nullptr);
    const NodeDefinitions* server = options_.definitions;
    const bool asked = !server || find_node(node.class_type, *server);
    if (fresh && asked && find_node(node.class_type, options_.version)) {
      at->second = finder_.find(node.class_type);
    }
    return at->second;
  }

  /// The declaration of an input that the server looks at: of a dynamic combo's the chosen ones.
  static const InputDefinition* declared(const NodeDefinition& definition, const PromptNode& node,
                                         const std::string& name) {
    const std::vector<InputDefinition>* among = &definition.inputs;
    const auto whole = std::ranges::find(*among, name, &InputDefinition::name);
    if (whole != among->end()) return &*whole;
    for (std::size_t from = 0;;) {
      const auto dot = std::min(name.find('.', from), name.size());
      const auto found =
          std::ranges::find(*among, name.substr(from, dot - from), &InputDefinition::name);
      if (found == among->end()) return nullptr;
      if (dot == name.size()) return &*found;
      if (!found->dynamic_combo) return found->autogrow ? &*found : nullptr;
      const PromptInput* choice = node.input(name.substr(0, dot));
      const std::string key = choice ? choice->text().value_or("") : "";
      const auto option =
          std::ranges::find(found->options, key, [](const auto& pair) { return pair.first; });
      if (option == found->options.end()) return nullptr;
      among = &option->second;
      from = dot + 1;
    }
  }

  bool refuse(const PromptNode& node, const NodeDefinition& definition, const PromptInput& input) {
    const InputDefinition* wanted = declared(definition, node, input.name);
    if (!wanted) return false;  // the server does not look at it
    if (input.link) return refuse_link(node, *wanted, input);
    if (input.value.starts_with('[')) {
      return add(
          node, input,
          fmt::format("is {}; ComfyUI takes every list for a link, which is [\"node id\", output]",
                      shown(input.value)),
          "Write the id as a text and the output as a number, such as [\"4\", 0].");
    }
    if (wanted->type != "INT" && wanted->type != "FLOAT") return false;
    return !guessed_.contains({node.id, input.name}) && refuse_number(node, *wanted, input);
  }

  bool refuse_link(const PromptNode& node, const InputDefinition& wanted,
                   const PromptInput& input) {
    const PromptNode* origin = prompt_.origin(input);
    if (!origin) return false;  // what comes after reading says it
    const NodeDefinition* giver = definition_of(*origin);
    if (!giver) return false;
    const int count = static_cast<int>(giver->outputs.size());
    const int slot = input.link->slot < 0 ? input.link->slot + count : input.link->slot;
    const bool later = is_later(node) || is_later(*origin);
    if (slot < 0 || slot >= count) {
      return add(
          node, input,
          fmt::format("is linked to output {} of {}, which has {}", input.link->slot,
                      origin->label(), count == 0 ? "none" : std::to_string(count)),
          count == 0 ? "Link it to another node." : "Link it to one of " + outputs_text(*giver),
          later);
    }
    if (!wanted.match.empty() || giver->match_output) return false;
    const std::string type = input_type(wanted);
    const std::string& given = giver->outputs[std::size_t(slot)];
    if (may_link(given, type)) return false;
    return add(
        node, input,
        fmt::format("wants {}, but output {} of {} gives {}", type, slot, origin->label(), given),
        "Link it to an output of that type.", later);
  }

  static std::string outputs_text(const NodeDefinition& giver) {
    std::string text;
    for (std::size_t i = 0; i < std::min(giver.outputs.size(), kOutputsShown); ++i) {
      text += fmt::format("{}{} ({})", i ? ", " : "", i, giver.outputs[i]);
    }
    return text + (giver.outputs.size() > kOutputsShown ? ", ..." : ".");
  }

  bool refuse_number(const PromptNode& node, const InputDefinition& wanted,
                     const PromptInput& input) {
    const auto document = JsonDocument::parse(input.value);
    if (!document) return false;
    JsonValue value = document->root();
    if (value.is_object() && value.find("__value__").exists()) value = value.find("__value__");
    const Read read = read_number(value, wanted.type == "INT");
    if (read.refused) {
      return add(node, input,
                 fmt::format("is {}, of which ComfyUI makes no {}", shown(input.value),
                             wanted.type == "INT" ? "whole number" : "number"),
                 wanted.min || wanted.max ? "Set it to a number " + limits_text(wanted) + "."
                                          : "Set it to a number.",
                 is_later(node));
    }
    if (!read.number) return false;
    const long double seed = kSeedMax - 1.0L;
    // A typed 0.1 is the limit 0.1, which more digits than Python's would tell apart.
    const long double number =
        wanted.type == "INT" ? *read.number : static_cast<double>(*read.number);
    const bool below = wanted.min && number < static_cast<long double>(*wanted.min);
    const bool above =
        wanted.max &&
        number > (*wanted.max == kSeedMax ? seed : static_cast<long double>(*wanted.max));
    if (!below && !above) return false;
    return add(node, input,
               fmt::format("is {}; ComfyUI refuses {} than {}", shown(input.value),
                           below ? "less" : "more", limit_text(below ? *wanted.min : *wanted.max)),
               "Set it to a number " + limits_text(wanted) + ".", is_later(node));
  }

  bool is_later(const PromptNode& node) const {
    return later_.all || later_.nodes.contains(node.id);
  }

  /// Whether the input is refused: what is later than the definitions may be right.
  bool add(const PromptNode& node, const PromptInput& input, const std::string& why,
           std::string hint, bool later = false) {
    if (later) {
      doubts_.push_back({node.id, input.name,
                         fmt::format("it {}, as far as Ebb's definitions go; the file is of a "
                                     "later ComfyUI",
                                     why)});
    } else {
      found_.push_back({node.id, input.name,
                        fmt::format("its input \"{}\" {}", cut_text(input.name), why),
                        std::move(hint)});
    }
    return !later;
  }

  const Prompt& prompt_;
  const ConvertOptions& options_;
  const Later& later_;
  NodeFinder finder_;
  std::map<std::string, const NodeDefinition*, std::less<>> judged_;
  std::set<std::pair<std::string, std::string>> guessed_;
  std::vector<Refusal> found_;
  std::vector<Uncertain> doubts_;
};

}  // namespace

void find_refusals(Prompt& prompt, const ConvertOptions& options, const Later& later) {
  Refuser refuser(prompt, options, later);
  prompt.refused = refuser.run();
  std::ranges::move(refuser.doubts(), std::back_inserter(prompt.uncertain));
  if (options.definitions || prompt.refused.empty()) return;
  // Between two tables only what both refuse is refused.
  ConvertOptions after = options;
  const auto next = definitions_not_before(options.version);
  after.version = options.version_assumed ? newest_definitions() : next.value_or(options.version);
  if (after.version == options.version) return;
  const auto others = Refuser(prompt, after, later).run();
  std::set<std::pair<std::string_view, std::string_view>> still;
  for (const Refusal& refusal : others) still.emplace(refusal.node, refusal.input);
  std::erase_if(prompt.refused, [&](const Refusal& refusal) {
    return !still.contains({refusal.node, refusal.input});
  });
}

}  // namespace ebb
