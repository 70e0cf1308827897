// SPDX-License-Identifier: Apache-2.0
// The proof of a patch: its prompt with our nodes contracted is the prompt before.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "patch/edit.h"
#include "workflow/own_nodes.h"

namespace ebb {
namespace {

class Contraction {
 public:
  Contraction(const Converted& before, const Converted& after, const Placement& placement)
      : before_(before.prompt), after_(after.prompt), placement_(placement) {
    for (const auto& [path, id] : after.id_of_path) {
      const auto was = before.id_of_path.find(path);
      if (was != before.id_of_path.end()) old_id_[id] = was->second;
    }
    for (const PromptNode& node : after_.nodes) {
      if (own_node(node.class_type) && !before_.find(old(node.id))) passed_[node.id] = &node;
    }
  }

  std::vector<std::string> run() {
    const std::size_t rest = after_.nodes.size() - passed_.size();
    if (rest != before_.nodes.size()) {
      say(fmt::format("{} nodes without ours, {} before", rest, before_.nodes.size()));
    }
    for (const PromptNode& node : after_.nodes) {
      if (passed_.contains(node.id)) continue;
      const PromptNode* was = before_.find(old(node.id));
      if (!was) {
        say(node.label() + " was not there before");
      } else {
        compare(*was, node);
      }
    }
    return std::move(findings_);
  }

 private:
  const std::string& old(const std::string& id) const {
    const auto at = old_id_.find(id);
    return at == old_id_.end() ? id : at->second;
  }

  void say(std::string what) {
    if (findings_.size() < 10) findings_.push_back(std::move(what));
  }

  /// Where a link leads without our nodes.
  std::optional<Link> through(std::optional<Link> link) const {
    for (std::size_t hops = 0; link && hops <= passed_.size(); ++hops) {
      const auto at = passed_.find(link->node);
      if (at == passed_.end()) return Link{old(link->node), link->slot};
      const PromptInput* input = at->second->input(handed_on(at->second->class_type));
      link = input ? input->link : std::nullopt;
    }
    return std::nullopt;
  }

  void compare(const PromptNode& was, const PromptNode& is) {
    const bool tiled = was.class_type == "VAEDecode" && is.class_type == "VAEDecodeTiled";
    if (was.class_type != is.class_type && !tiled) say(is.label() + " had another class");
    if (was.title != is.title && !tiled) say(is.label() + " had another title");
    const bool moved = std::ranges::any_of(placement_.reorders,
                                           [&](const Reorder& r) { return r.node == was.id; });
    if (!tiled && was.inputs.size() != is.inputs.size()) say(is.label() + " has other inputs");
    for (std::size_t i = 0; i < was.inputs.size(); ++i) {
      const PromptInput& old_input = was.inputs[i];
      const PromptInput* input = moved || tiled ? is.input(old_input.name)
                                                : (i < is.inputs.size() ? &is.inputs[i] : nullptr);
      if (!input || input->name != old_input.name) {
        say(fmt::format("{} lost its input {}", is.label(), old_input.name));
      } else if (old_input.link ? through(input->link) != old_input.link
                                : input->link || differs(was, old_input, *input)) {
        say(fmt::format("{} gets something else for {}", is.label(), input->name));
      }
    }
  }

  bool differs(const PromptNode& node, const PromptInput& a, const PromptInput& b) const {
    if (a.value == b.value) return false;
    // The time of the conversion differs between two conversions.
    return std::ranges::none_of(before_.uncertain, [&](const Uncertain& entry) {
      return entry.node == node.id && entry.input == a.name && entry.why == kDoubtTime;
    });
  }

  const Prompt& before_;
  const Prompt& after_;
  const Placement& placement_;
  std::unordered_map<std::string, std::string> old_id_;
  std::unordered_map<std::string, const PromptNode*> passed_;
  std::vector<std::string> findings_;
};

}  // namespace

Result<Converted> convert(const Workflow& workflow, const PromptOptions& options) {
  Converted result;
  const auto& state = workflow.state();
  if (state.format == WorkflowFormat::api_prompt) {
    auto prompt = to_prompt(workflow, options);
    if (!prompt) return std::move(prompt).error();
    result.prompt = *std::move(prompt);
    return result;
  }
  const ConvertOptions wanted{.version = options.version,
                              .definitions = options.definitions,
                              .repair = options.repair,
                              .version_assumed = options.version_assumed,
                              .input_bytes = state.input_bytes};
  auto set = read_ui_graph(state.root, state.file, wanted);
  if (!set) return std::move(set).error();
  const auto placed = place_nodes(*set);
  if (!placed) return placed.error();
  std::vector<std::string> paths(placed->places.size());
  for (std::size_t i = 0; i < placed->places.size(); ++i) {
    const PlacedNode& place = placed->places[i];
    if (place.parent >= 0) paths[i] = paths[std::size_t(place.parent)] + "/";
    paths[i] += std::to_string(place.node);
    result.id_of_path[paths[i]] = place.id;
  }
  auto prompt = convert_set(*set, wanted);
  if (!prompt) return std::move(prompt).error();
  result.prompt = *std::move(prompt);
  return result;
}

std::vector<std::string> contract(const Converted& before, const Converted& after,
                                  const Placement& placement) {
  return Contraction(before, after, placement).run();
}

}  // namespace ebb
