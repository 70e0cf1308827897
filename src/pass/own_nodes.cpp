// SPDX-License-Identifier: Apache-2.0
#include "pass/own_nodes.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"

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
    for (int s = 0; s < static_cast<int>(passes_.steps.size()); ++s) {
      const std::string& type = step(s).class_type;
      if (type == "UnloadModels") {
        add_drop(every_but({}), s);
        add({}, CutAction::unload_all, s);
      }
      if (type == "EbbCut") add_cut(s);
      if (step(s).kind == StepKind::sample && !step(s).uses.empty()) add_budget(s);
    }
    return std::move(levers_);
  }

 private:
  const Step& step(int s) const { return passes_.steps[static_cast<std::size_t>(s)]; }
  const PromptNode& node(const Step& step) const {
    return prompt_.nodes[static_cast<std::size_t>(step.node)];
  }

  void add(std::vector<int> weights, CutAction action, int s) {
    CutOrder order{-1, action, std::move(weights), s};
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
    for (int t = s + 1; t < static_cast<int>(passes_.steps.size()); ++t) {
      to_come.insert(to_come.end(), step(t).reads.begin(), step(t).reads.end());
    }
    if (!to_come.empty()) add(to_come, CutAction::prefetch, s);
  }

  void add_drop(std::vector<int> weights, int s) {
    std::erase_if(weights, [&](int w) { return needed_after(s, w) || !read_before(s, w); });
    if (!weights.empty()) add(std::move(weights), CutAction::drop, s);
  }

  std::vector<int> chosen(const PromptNode& cut, int s) const {
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

  /// What the closest nodes before a node use, one level of links at a time.
  std::vector<int> used_upstream(int node) const {
    std::set<int> seen{node};
    std::vector<int> level{node}, used;
    while (!level.empty() && used.empty()) {
      std::vector<int> next;
      for (const int at : level) {
        for (const PromptInput& input : prompt_.nodes[static_cast<std::size_t>(at)].inputs) {
          const int origin = input.link ? prompt_.position(input.link->node) : -1;
          if (origin >= 0 && seen.insert(origin).second) next.push_back(origin);
        }
      }
      for (const Step& each : passes_.steps) {
        if (!has(next, each.node)) continue;
        for (const int w : each.uses) {
          if (!has(used, w)) used.push_back(w);
        }
      }
      level = std::move(next);
    }
    return used;
  }

  /// What the nodes behind `model_1` to `model_4` read.
  std::vector<int> connected(const PromptNode& cut) const {
    std::set<int> seen;
    std::vector<int> open;
    for (const PromptInput& input : cut.inputs) {
      if (input.link && input.name.starts_with("model_")) {
        open.push_back(prompt_.position(input.link->node));
      }
    }
    while (!open.empty()) {
      const int at = open.back();
      open.pop_back();
      if (at < 0 || !seen.insert(at).second) continue;
      for (const PromptInput& input : prompt_.nodes[static_cast<std::size_t>(at)].inputs) {
        if (input.link) open.push_back(prompt_.position(input.link->node));
      }
    }
    std::vector<int> weights;
    for (const Step& each : passes_.steps) {
      if (!seen.contains(each.node)) continue;
      for (const int w : each.reads) {
        if (!has(weights, w)) weights.push_back(w);
      }
    }
    return weights;
  }

  bool needed_after(int s, int w) const {
    for (int t = s + 1; t < static_cast<int>(passes_.steps.size()); ++t) {
      if (has(step(t).uses, w) || has(step(t).loras, w)) return true;
    }
    return false;
  }

  bool read_before(int s, int w) const {
    for (int t = 0; t < s; ++t) {
      if (has(step(t).reads, w)) return true;
    }
    return false;
  }

  /// The budget nearest to the sampler on the way that its model takes.
  void add_budget(int s) {
    const Step& sampler = step(s);
    int at = sampler.node;
    for (std::size_t hops = 0; at >= 0 && hops <= prompt_.nodes.size(); ++hops) {
      const PromptNode& each = prompt_.nodes[static_cast<std::size_t>(at)];
      if (each.class_type == "EbbBudget") {
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
  Levers levers_;
};

}  // namespace

bool makes_cut(std::string_view class_type) {
  return class_type == "UnloadModels" || class_type == "EbbCut";
}

Levers levers_of_nodes(const Prompt& prompt, const Passes& passes) {
  return OwnNodes(prompt, passes).run();
}

}  // namespace ebb
