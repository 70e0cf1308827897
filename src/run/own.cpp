// SPDX-License-Identifier: Apache-2.0
#include "run/own.h"

#include <algorithm>
#include <map>
#include <ranges>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace ebb {
namespace {

/// Reads the nodes of Ebb's pack in a prompt as what they do at run time (docs/nodes.md).
class OwnNodes {
 public:
  OwnNodes(const Prompt& prompt, const Passes& passes) : prompt_(prompt), passes_(passes) {
    for (int p = 0; p < static_cast<int>(passes.passes.size()); ++p) {
      const Pass& pass = passes.passes[static_cast<std::size_t>(p)];
      for (int s = pass.first_step; s <= pass.last_step; ++s) {
        for (const int w : step(s).uses) {
          first_use_.emplace(w, p);
          last_use_[w] = p;
        }
      }
    }
  }

  Levers read() {
    for (int p = 0; p < static_cast<int>(passes_.passes.size()); ++p) {
      const Pass& pass = passes_.passes[static_cast<std::size_t>(p)];
      const auto uses = [&](int s) { return !step(s).uses.empty(); };
      const auto steps = std::views::iota(pass.first_step, pass.last_step + 1);
      for (const int s : steps) {
        // Steps without weights stand in the pass that they prepare; within one nothing is cut.
        const bool before = std::ranges::none_of(steps | std::views::take(s - steps.front()), uses);
        const bool after = std::ranges::none_of(steps | std::views::drop(s - steps.front()), uses);
        if (before || after) add_cut(step(s), before ? p - 1 : p);
        add_budget(step(s));
      }
    }
    return std::move(levers_);
  }

 private:
  const Step& step(int s) const { return passes_.steps[static_cast<std::size_t>(s)]; }
  const PromptNode& node(const Step& step) const {
    return prompt_.nodes[static_cast<std::size_t>(step.node)];
  }

  void add_cut(const Step& at, int after_pass) {
    const bool unload = at.class_type == "UnloadModels";
    if ((!unload && at.class_type != "EbbCut") || after_pass < 0) return;
    const PromptNode& cut = node(at);
    const bool drop = unload || text(cut, "action", "drop") == "drop";
    const std::vector<int> weights = unload ? loaded(after_pass) : chosen(cut, after_pass);
    for (const int w : weights) {
      if (drop && last_use_[w] > after_pass) continue;  // a node still to run reads it
      levers_.cuts.push_back({after_pass, drop ? CutAction::drop : CutAction::park, {w}});
    }
    if (unload) levers_.cuts.push_back({after_pass, CutAction::unload_all, {}});
    if (text(cut, "prefetch", "nothing") == "next_files") prefetch(after_pass);
  }

  /// What `models` of a cut names.
  std::vector<int> chosen(const PromptNode& cut, int after_pass) const {
    const std::string models = text(cut, "models", "pass_before");
    if (models == "all") return loaded(after_pass);
    if (models == "all_but_next") {
      std::vector<int> weights = loaded(after_pass);
      const auto next = static_cast<std::size_t>(after_pass + 1);
      if (next < passes_.passes.size()) {
        std::erase_if(weights, [&](int w) {
          return std::ranges::count(passes_.passes[next].weights, w) > 0;
        });
      }
      return weights;
    }
    std::vector<int> weights;
    for (const PromptInput& input : cut.inputs) {
      const bool linked = models == "connected" && input.name.starts_with("model_");
      if (!linked && !(models == "pass_before" && input.name == "anything")) continue;
      for (const int w : linked ? made_by(input) : used_before(input)) weights.push_back(w);
    }
    return weights;
  }

  /// Models that are in memory when a pass is over, as far as nothing has let them go.
  std::vector<int> loaded(int after_pass) const {
    std::vector<int> weights;
    for (const auto& [w, first] : first_use_) {
      if (first <= after_pass) weights.push_back(w);
    }
    return weights;
  }

  /// The models of the closest node upstream that reads one.
  std::vector<int> used_before(const PromptInput& input) const {
    for (const PromptNode* node : upstream(input)) {
      for (const Step& step : passes_.steps) {
        if (step.id == node->id && !step.uses.empty()) return step.uses;
      }
    }
    return {};
  }

  /// The models that the closest loader upstream reads.
  std::vector<int> made_by(const PromptInput& input) const {
    std::vector<int> weights;
    for (const PromptNode* node : upstream(input)) {
      for (std::size_t w = 0; w < passes_.weights.size(); ++w) {
        if (passes_.weights[w].node == node->id) weights.push_back(static_cast<int>(w));
      }
      if (!weights.empty()) break;
    }
    return weights;
  }

  /// Nodes that an input hangs on, nearest first, each once.
  std::vector<const PromptNode*> upstream(const PromptInput& input) const {
    std::vector<const PromptNode*> nodes;
    std::set<const PromptNode*> seen;
    const auto visit = [&](const PromptInput& at) {
      const PromptNode* from = prompt_.origin(at);
      if (from && seen.insert(from).second) nodes.push_back(from);
    };
    visit(input);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      for (const PromptInput& next : nodes[i]->inputs) visit(next);
    }
    return nodes;
  }

  /// A file is read ahead during the pass after the cut, and is there for the one after that.
  void prefetch(int after_pass) {
    CutOrder order{after_pass, CutAction::prefetch, {}};
    for (const auto& [w, first] : first_use_) {
      if (first > after_pass + 1) order.weights.push_back(w);
    }
    if (!order.weights.empty()) levers_.cuts.push_back(std::move(order));
  }

  /// A budget on the way from the sampler's model back to its loader.
  void add_budget(const Step& sampler) {
    if (sampler.kind != StepKind::sample || sampler.uses.empty()) return;
    const PromptNode* at = &node(sampler);
    std::set<const PromptNode*> seen;
    while (at && seen.insert(at).second) {
      if (at->class_type == "EbbBudget") return add_budget(sampler, *at);
      const auto model = std::ranges::find_if(at->inputs, [](const PromptInput& input) {
        return input.link && (input.type == "MODEL" || input.type == "GUIDER");
      });
      at = model == at->inputs.end() ? nullptr : prompt_.origin(*model);
    }
  }

  void add_budget(const Step& sampler, const PromptNode& budget) {
    const PromptInput* input = budget.input("budget_gib");
    const double gib = input ? input->number().value_or(0) : 0;
    if (gib <= 0) return;  // the node's own figure, which is not known here
    auto bytes = static_cast<std::int64_t>(gib * static_cast<double>(1_GiB));
    if (sampler.demand.live.known()) bytes = std::max(bytes, sampler.demand.live.bytes);
    levers_.budgets.push_back({sampler.uses.front(), bytes});
  }

  static std::string text(const PromptNode& node, std::string_view name, const char* otherwise) {
    const PromptInput* input = node.input(name);
    return input ? input->text().value_or(otherwise) : otherwise;
  }

  const Prompt& prompt_;
  const Passes& passes_;
  std::map<int, int> first_use_, last_use_;  ///< of weights: passes
  Levers levers_;
};

}  // namespace

Levers own_levers(const Prompt& prompt, const Passes& passes) {
  return OwnNodes(prompt, passes).read();
}

}  // namespace ebb
