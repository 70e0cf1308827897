// SPDX-License-Identifier: Apache-2.0
#include "pass/own_nodes.h"

#include <algorithm>

#include "base/text.h"
#include "workflow/own_nodes.h"

namespace ebb {
namespace {

bool has(const std::vector<WeightsIndex>& list, WeightsIndex value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

/// A widget's text without its quotes; empty if it is linked or absent.
std::string_view value_of(const PromptNode& node, std::string_view name) {
  const PromptInput* input = node.input(name);
  std::string_view text = input ? std::string_view(input->value) : std::string_view();
  if (text.size() >= 2 && text.front() == '"') text = text.substr(1, text.size() - 2);
  return text;
}

class OwnNodes {
 public:
  OwnNodes(const Prompt& prompt, const Passes& passes) : prompt_(prompt), passes_(passes) {}

  Levers run() {
    index_steps();
    for (const StepIndex s : passes_.steps.indices()) {
      const std::string& type = step(s).class_type;
      if (type == kUnloadModels) {
        add_drop(every_but({}), s);
        add({}, CutAction::unload_all, s);
      }
      if (type == kEbbCut) add_cut(s);
      if (step(s).kind == StepKind::sample && !step(s).uses.empty()) add_budget(s);
    }
    return std::move(levers_);
  }

 private:
  void index_steps() {
    const std::size_t nodes = prompt_.nodes.size(), weights = passes_.weights.size();
    step_of_.assign(nodes, {});
    seen_.assign(nodes, 0);
    first_read_.assign(weights, passes_.steps.end_index());
    last_read_.assign(weights, {});
    last_use_.assign(weights, {});
    for (const StepIndex s : passes_.steps.indices()) {
      step_of_[step(s).node] = s;
      for (const WeightsIndex w : step(s).reads) {
        first_read_[w] = std::min(first_read_[w], s);
        last_read_[w] = s;
      }
      for (const auto* list : {&step(s).uses, &step(s).loras}) {
        for (const WeightsIndex w : *list) last_use_[w] = s;
      }
    }
  }

  const Step& step(StepIndex s) const { return passes_.steps[s]; }
  const PromptNode& node(const Step& step) const { return prompt_.nodes[step.node]; }

  void add(std::vector<WeightsIndex> weights, CutAction action, StepIndex s) {
    CutStep order{{}, action, std::move(weights), s};
    for (const Pass& pass : passes_.passes) {
      if (pass.main_step < s) ++order.after_pass;
    }
    levers_.cuts.push_back(std::move(order));
  }

  void add_cut(StepIndex s) {
    const PromptNode& cut = node(step(s));
    std::vector<WeightsIndex> weights = chosen(cut, s);
    if (value_of(cut, "action") != "park") {
      add_drop(std::move(weights), s);
    } else if (!weights.empty()) {
      add(std::move(weights), CutAction::park, s);
    }
    if (value_of(cut, "prefetch") != "next_files") return;
    std::vector<WeightsIndex> to_come;
    for (const WeightsIndex w : last_read_.indices()) {
      if (last_read_[w] > s) to_come.push_back(w);
    }
    if (!to_come.empty()) add(to_come, CutAction::prefetch, s);
  }

  void add_drop(std::vector<WeightsIndex> weights, StepIndex s) {
    std::erase_if(weights, [&](WeightsIndex w) { return last_use_[w] > s || first_read_[w] >= s; });
    if (!weights.empty()) add(std::move(weights), CutAction::drop, s);
  }

  std::vector<WeightsIndex> chosen(const PromptNode& cut, StepIndex s) {
    const std::string_view which = value_of(cut, "models");
    if (which == "connected") return connected(cut);
    if (which == "pass_before") return used_upstream(step(s).node);
    if (which != "all_but_next") return every_but({});
    for (StepIndex t = s; passes_.steps.has(t); ++t) {
      if (!step(t).uses.empty()) return every_but(step(t).uses);
    }
    return every_but({});
  }

  std::vector<WeightsIndex> every_but(const std::vector<WeightsIndex>& spared) const {
    std::vector<WeightsIndex> weights;
    for (const WeightsIndex w : passes_.weights.indices()) {
      if (!has(spared, w)) weights.push_back(w);
    }
    return weights;
  }

  /// Nodes that these get something from and that `seen_` does not have in this round.
  std::vector<NodeIndex> origins_of(const std::vector<NodeIndex>& nodes) {
    std::vector<NodeIndex> origins;
    for (const NodeIndex at : nodes) {
      for (const PromptInput& input : prompt_.nodes[at].inputs) {
        const NodeIndex origin = input.link ? prompt_.position(input.link->node) : NodeIndex();
        if (!origin.exists() || seen_[origin] == round_) continue;
        seen_[origin] = round_;
        origins.push_back(origin);
      }
    }
    return origins;
  }

  void add_new(const std::vector<WeightsIndex>& more, std::vector<WeightsIndex>& weights) const {
    for (const WeightsIndex w : more) {
      if (!has(weights, w)) weights.push_back(w);
    }
  }

  /// What the closest nodes before a node use, one level of links at a time.
  std::vector<WeightsIndex> used_upstream(NodeIndex node) {
    seen_[node] = ++round_;
    std::vector<NodeIndex> level{node};
    std::vector<WeightsIndex> used;
    while (!level.empty() && used.empty()) {
      level = origins_of(level);
      for (const NodeIndex at : level) {
        const StepIndex s = step_of_[at];
        if (s.exists()) add_new(step(s).uses, used);
      }
    }
    return used;
  }

  /// What the nodes behind `model_1` to `model_4` read.
  std::vector<WeightsIndex> connected(const PromptNode& cut) {
    ++round_;
    std::vector<NodeIndex> level;
    std::vector<WeightsIndex> weights;
    for (const PromptInput& input : cut.inputs) {
      const NodeIndex at = input.link && input.name.starts_with("model_")
                               ? prompt_.position(input.link->node)
                               : NodeIndex();
      if (!at.exists() || seen_[at] == round_) continue;
      seen_[at] = round_;
      level.push_back(at);
    }
    for (; !level.empty(); level = origins_of(level)) {
      for (const NodeIndex at : level) {
        const StepIndex s = step_of_[at];
        if (s.exists()) add_new(step(s).reads, weights);
      }
    }
    return weights;
  }

  /// The budget nearest to the sampler on the way that its model takes.
  void add_budget(StepIndex s) {
    const Step& sampler = step(s);
    NodeIndex at = sampler.node;
    for (std::size_t hops = 0; at.exists() && hops <= prompt_.nodes.size(); ++hops) {
      const PromptNode& each = prompt_.nodes[at];
      if (each.class_type == kEbbBudget) {
        if (const auto bytes = budget_bytes(each, sampler.demand)) {
          levers_.budgets.push_back({sampler.uses.front(), *bytes, s});
        }
        return;
      }
      NodeIndex next;
      for (const char* name : {"model", "guider"}) {
        const PromptInput* input = each.input(name);
        if (!next.exists() && input && input->link) next = prompt_.position(input->link->node);
      }
      at = next;
    }
  }

  /// As comfyui/budget.py decides: never below live; 0 stands for Ebb's own figure.
  static std::optional<std::int64_t> budget_bytes(const PromptNode& node, const Demand& demand) {
    const double gib = parse_double(value_of(node, "budget_gib")).value_or(0);
    const auto given = static_cast<std::int64_t>(std::clamp(gib, 0.0, 1024.0) * (1LL << 30));
    const std::int64_t asked = demand.subtracted().known() ? demand.subtracted().bytes : 0;
    if (!demand.live.known()) return given > asked ? std::optional(given) : std::nullopt;
    if (given > 0) return std::max(given, demand.live.bytes);
    const auto high =
        static_cast<std::int64_t>(static_cast<double>(demand.live.bytes) * demand.high);
    const std::int64_t wanted = std::max(demand.reserved.bytes, high);
    return wanted < asked ? std::optional(wanted) : std::nullopt;
  }

  const Prompt& prompt_;
  const Passes& passes_;
  List<StepIndex, NodeIndex> step_of_;  // the last step that runs it
  List<int, NodeIndex> seen_;           // the round of the walk that came by
  int round_ = 0;
  List<StepIndex, WeightsIndex> first_read_, last_read_, last_use_;
  Levers levers_;
};

}  // namespace

bool makes_cut(std::string_view class_type) {
  const OwnNode* own = own_node(class_type);
  return own && own->ends_pass;
}

Levers levers_of_nodes(const Prompt& prompt, const Passes& passes) {
  return OwnNodes(prompt, passes).run();
}

}  // namespace ebb
