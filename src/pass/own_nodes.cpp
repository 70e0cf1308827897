// SPDX-License-Identifier: Apache-2.0
#include "pass/own_nodes.h"

#include <algorithm>
#include <limits>

#include "base/text.h"
#include "workflow/own_nodes.h"

namespace ebb {
namespace {

bool has(const std::vector<int>& list, int value) {
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
    for (int s = 0; s < static_cast<int>(passes_.steps.size()); ++s) {
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
    step_of_.assign(nodes, -1);
    seen_.assign(nodes, 0);
    first_read_.assign(weights, std::numeric_limits<int>::max());
    last_read_.assign(weights, -1);
    last_use_.assign(weights, -1);
    for (int s = 0; s < static_cast<int>(passes_.steps.size()); ++s) {
      step_of_[static_cast<std::size_t>(step(s).node)] = s;
      for (const int w : step(s).reads) {
        const auto at = static_cast<std::size_t>(w);
        first_read_[at] = std::min(first_read_[at], s);
        last_read_[at] = s;
      }
      for (const auto* list : {&step(s).uses, &step(s).loras}) {
        for (const int w : *list) last_use_[static_cast<std::size_t>(w)] = s;
      }
    }
  }

  const Step& step(int s) const { return passes_.steps[static_cast<std::size_t>(s)]; }
  const PromptNode& node(const Step& step) const {
    return prompt_.nodes[static_cast<std::size_t>(step.node)];
  }

  void add(std::vector<int> weights, CutAction action, int s) {
    CutStep order{-1, action, std::move(weights), s};
    for (const Pass& pass : passes_.passes) order.after_pass += pass.main_step < s;
    levers_.cuts.push_back(std::move(order));
  }

  void add_cut(int s) {
    const PromptNode& cut = node(step(s));
    std::vector<int> weights = chosen(cut, s);
    if (value_of(cut, "action") != "park") {
      add_drop(std::move(weights), s);
    } else if (!weights.empty()) {
      add(std::move(weights), CutAction::park, s);
    }
    if (value_of(cut, "prefetch") != "next_files") return;
    std::vector<int> to_come;
    for (std::size_t w = 0; w < last_read_.size(); ++w) {
      if (last_read_[w] > s) to_come.push_back(static_cast<int>(w));
    }
    if (!to_come.empty()) add(to_come, CutAction::prefetch, s);
  }

  void add_drop(std::vector<int> weights, int s) {
    std::erase_if(weights, [&](int w) {
      const auto at = static_cast<std::size_t>(w);
      return last_use_[at] > s || first_read_[at] >= s;
    });
    if (!weights.empty()) add(std::move(weights), CutAction::drop, s);
  }

  std::vector<int> chosen(const PromptNode& cut, int s) {
    const std::string_view which = value_of(cut, "models");
    if (which == "connected") return connected(cut);
    if (which == "pass_before") return used_upstream(step(s).node);
    if (which != "all_but_next") return every_but({});
    for (int t = s; t < static_cast<int>(passes_.steps.size()); ++t) {
      if (!step(t).uses.empty()) return every_but(step(t).uses);
    }
    return every_but({});
  }

  std::vector<int> every_but(const std::vector<int>& spared) const {
    std::vector<int> weights;
    for (int w = 0; w < static_cast<int>(passes_.weights.size()); ++w) {
      if (!has(spared, w)) weights.push_back(w);
    }
    return weights;
  }

  /// Nodes that these get something from and that `seen_` does not have in this round.
  std::vector<int> origins_of(const std::vector<int>& nodes) {
    std::vector<int> origins;
    for (const int at : nodes) {
      for (const PromptInput& input : prompt_.nodes[static_cast<std::size_t>(at)].inputs) {
        const int origin = input.link ? prompt_.position(input.link->node) : -1;
        if (origin < 0 || seen_[static_cast<std::size_t>(origin)] == round_) continue;
        seen_[static_cast<std::size_t>(origin)] = round_;
        origins.push_back(origin);
      }
    }
    return origins;
  }

  void add_new(const std::vector<int>& more, std::vector<int>& weights) const {
    for (const int w : more) {
      if (!has(weights, w)) weights.push_back(w);
    }
  }

  /// What the closest nodes before a node use, one level of links at a time.
  std::vector<int> used_upstream(int node) {
    seen_[static_cast<std::size_t>(node)] = ++round_;
    std::vector<int> level{node}, used;
    while (!level.empty() && used.empty()) {
      level = origins_of(level);
      for (const int at : level) {
        const int s = step_of_[static_cast<std::size_t>(at)];
        if (s >= 0) add_new(step(s).uses, used);
      }
    }
    return used;
  }

  /// What the nodes behind `model_1` to `model_4` read.
  std::vector<int> connected(const PromptNode& cut) {
    ++round_;
    std::vector<int> level, weights;
    for (const PromptInput& input : cut.inputs) {
      const int at =
          input.link && input.name.starts_with("model_") ? prompt_.position(input.link->node) : -1;
      if (at < 0 || seen_[static_cast<std::size_t>(at)] == round_) continue;
      seen_[static_cast<std::size_t>(at)] = round_;
      level.push_back(at);
    }
    for (; !level.empty(); level = origins_of(level)) {
      for (const int at : level) {
        const int s = step_of_[static_cast<std::size_t>(at)];
        if (s >= 0) add_new(step(s).reads, weights);
      }
    }
    return weights;
  }

  /// The budget nearest to the sampler on the way that its model takes.
  void add_budget(int s) {
    const Step& sampler = step(s);
    int at = sampler.node;
    for (std::size_t hops = 0; at >= 0 && hops <= prompt_.nodes.size(); ++hops) {
      const PromptNode& each = prompt_.nodes[static_cast<std::size_t>(at)];
      if (each.class_type == kEbbBudget) {
        if (const auto bytes = budget_bytes(each, sampler.demand)) {
          levers_.budgets.push_back({sampler.uses.front(), *bytes, s});
        }
        return;
      }
      int next = -1;
      for (const char* name : {"model", "guider"}) {
        const PromptInput* input = each.input(name);
        if (next < 0 && input && input->link) next = prompt_.position(input->link->node);
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
  std::vector<int> step_of_;  // by node: the last step that runs it, or -1
  std::vector<int> seen_;     // by node: the round of the walk that came by
  int round_ = 0;
  std::vector<int> first_read_, last_read_, last_use_;  // by weights: step
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
