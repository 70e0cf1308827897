// SPDX-License-Identifier: Apache-2.0
// A node between two passes stands on data that the first makes and the second needs: then the
// graph itself holds it in place. Where no data goes from one to the other it stands on what
// leaves the first, and the scheduler says whether that is enough.
#include "patch/cuts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "demand/link_types.h"
#include "pass/order_run.h"
#include "pass/output_order.h"
#include "workflow/node_table.h"
#include "workflow/own_nodes.h"

namespace ebb {
namespace {

constexpr int kVisitsMax = 100'000;  // nodes visited over the orders tried at once
constexpr int kRoundsMax = 200;      // nodes put in one after another
// Nodes visited in all, some 50 ns each: a third of a second, and more for a long prompt.
constexpr std::int64_t kWorkMax = 4'000'000, kWorkPerNode = 1'000;

/// Rank of a link's type for our nodes: latents first, then pictures, then other data; nothing for
/// what carries weights or settings, which are never held back.
std::optional<int> rank_of(std::string_view type) {
  if (type == "LATENT") return 0;
  if (type == "IMAGE") return 1;
  if (type == "CONDITIONING") return 2;
  const LinkKind kind = link_kind(type);
  if (kind == LinkKind::weights || kind == LinkKind::settings) return std::nullopt;
  return kind == LinkKind::any ? 4 : 3;
}

/// Nodes that `node` needs, itself included.
std::vector<bool> needed_by(const Prompt& prompt, int node) {
  std::vector<bool> needed(prompt.nodes.size());
  std::vector<int> stack{node};
  while (!stack.empty()) {
    const auto at = static_cast<std::size_t>(stack.back());
    stack.pop_back();
    if (needed[at]) continue;
    needed[at] = true;
    for (const PromptInput& input : prompt.nodes[at].inputs) {
      const int origin = input.link ? prompt.position(input.link->node) : -1;
      if (origin >= 0) stack.push_back(origin);
    }
  }
  return needed;
}

std::string new_id(const Prompt& prompt, int number) {
  std::string id;
  do {
    id = fmt::format("ebb{}", number++);
  } while (prompt.index.contains(id));
  return id;
}

/// A place for our node: the link into `input` of `target`.
struct Place {
  int target = 0;
  std::size_t input = 0;
  int rank = 0;
};

std::int64_t cost_of_copy(const Prompt& prompt) {
  std::int64_t cost = 0;
  for (const PromptNode& node : prompt.nodes) {
    for (const PromptInput& input : node.inputs) {
      cost += 1 + static_cast<std::int64_t>(input.value.size()) / 64;
    }
  }
  return cost;
}

constexpr const char* kTooMuch =
    "Not everything that the plan wants was tried: the prompt has too many places for it.";

class Placer {
 public:
  Placer(const Prompt& prompt, const PatchWish& wish, bool may_reorder)
      : prompt_(prompt),
        wish_(wish),
        may_reorder_(may_reorder),
        work_left_(kWorkMax + kWorkPerNode * static_cast<std::int64_t>(prompt.nodes.size())),
        copied_(cost_of_copy(prompt)) {}

  Result<Placement> run(const ComfyVersion& version) {
    auto sampling = find_sampling(prompt_, version);
    if (!sampling) return sampling.error();
    sampling_ = *std::move(sampling);
    refresh();
    if (runs_.empty()) {
      placement_.refusals.emplace_back("No output node can run, so nothing would run.");
      return std::move(placement_);
    }
    placement_.switches = count_switches(sampling_, runs_.front());
    if (placement_.switches == 0) {
      placement_.why_none = why_no_switch(prompt_, sampling_, runs_.front());
    }
    if (wish_.between_models) settle_switches(*wish_.between_models);
    for (const CutWish& cut : wish_.cuts) settle_cut(cut);
    for (const BudgetWish& budget : wish_.budgets) settle_budget(budget);
    // Other nodes may have changed the order.
    if (wish_.between_models && !wish_.cuts.empty()) settle_switches(*wish_.between_models);
    if (may_reorder_) reorder();
    note_early_loads();
    return std::move(placement_);
  }

 private:
  void refresh() {
    work_ = with_insertions(prompt_, placement_);
    runs_ = runs_of(work_);
    spend();
  }

  void spend() {
    work_left_ -= static_cast<std::int64_t>((runs_.size() + 1) * work_.nodes.size()) + copied_ / 4;
  }

  const PromptNode& node(int position) const { return work_.nodes[std::size_t(position)]; }

  /// Links that leave `from`, best first; of those into something that `to` needs, where there are
  /// any, so that the graph itself keeps our node between the two.
  std::vector<Place> places(int from, int to) const {
    const auto needed = to >= 0 ? needed_by(work_, to) : std::vector<bool>(work_.nodes.size());
    std::map<int, int> when;
    for (std::size_t i = 0; i < runs_.front().size(); ++i) when[runs_.front()[i]] = int(i);
    std::vector<Place> sure, other;
    for (std::size_t n = 0; n < work_.nodes.size(); ++n) {
      for (std::size_t i = 0; i < work_.nodes[n].inputs.size(); ++i) {
        const PromptInput& input = work_.nodes[n].inputs[i];
        if (!input.link || work_.position(input.link->node) != from) continue;
        const auto rank = rank_of(link_type(work_, input));
        if (!rank || n >= prompt_.nodes.size()) continue;
        const auto at = when.find(int(n));
        const Place place{int(n), i,
                          (*rank + (input.lazy ? 10 : 0)) * 100'000 +
                              (at == when.end() ? 99'999 : std::min(at->second, 99'998))};
        (needed[n] ? sure : other).push_back(place);
      }
    }
    std::ranges::sort(sure, {}, &Place::rank);
    std::ranges::sort(other, {}, &Place::rank);
    sure.insert(sure.end(), other.begin(), other.end());
    return sure;
  }

  void put(const Handover& what, const Place& place, int from, int to, const std::string& fix) {
    placement_.insertions.push_back({what, node(place.target).id,
                                     node(place.target).inputs[place.input].name,
                                     node(from).label(), to >= 0 ? node(to).label() : "", fix});
    refresh();
  }

  void take_back() {
    placement_.insertions.pop_back();
    refresh();
  }

  std::vector<Switch> unmet() {
    spend();
    return unmet_switches(work_, sampling_, runs_, wish_.between_models->class_type);
  }

  void settle_switches(const Handover& what) {
    std::vector<Switch> given_up;
    for (int round = 0; round < kRoundsMax; ++round) {
      const auto open = unmet();
      const auto next = std::ranges::find_if(
          open, [&](const Switch& s) { return std::ranges::find(given_up, s) == given_up.end(); });
      if (next == open.end()) break;
      if (settle(what, *next, open.size())) {
        given_up.clear();  // what was hopeless before may not be so any more
      } else {
        given_up.push_back(*next);
      }
    }
    for (const Switch& s : unmet()) {
      refuse_once(fmt::format("Between {} and {}: {}.", node(s.from).label(), node(s.to).label(),
                              why_not(s)));
    }
  }

  const char* why_not(const Switch& open) const {
    if (work_left_ < 0) return "not every place was tried, the prompt has too many of them";
    if (places(open.from, open.to).empty()) {
      return "nothing that a node could be put on leaves the first one";
    }
    return "no place was found where a node runs between them in every order of the output nodes";
  }

  void refuse_once(std::string why) {
    if (std::ranges::count(placement_.refusals, why) == 0) {
      placement_.refusals.push_back(std::move(why));
    }
  }

  /// Tries the places of one switch until fewer are open.
  bool settle(const Handover& what, const Switch& open, std::size_t before) {
    const auto tried = places(open.from, open.to);
    for (const Place& place : tried) {
      if (work_left_ < 0) return false;
      put(what, place, open.from, open.to, "with");
      const auto now = unmet();
      if (std::ranges::find(now, open) == now.end() && now.size() < before + 1) return true;
      take_back();
    }
    return false;
  }

  /// The step of `after` that runs last, and the sampler or encoder that runs next with weights.
  void settle_cut(const CutWish& cut) {
    if (work_left_ < 0) return refuse_once(kTooMuch);
    std::set<int> after;
    for (const std::string& id : cut.after) after.insert(prompt_.position(id));
    after.erase(-1);
    if (after.empty()) return;
    for (std::size_t tries = 0; tries < after.size(); ++tries) {
      const auto open = run_without(cut.node.class_type, after);
      if (!open) return;
      const auto tried = places(open->from, open->to);
      if (tried.empty()) break;
      put(cut.node, tried.front(), open->from, open->to, cut.fix);
    }
    if (run_without(cut.node.class_type, after)) {
      placement_.refusals.push_back(
          fmt::format("After {}: no place was found where a node runs in every order of the "
                      "output nodes.",
                      node(*after.rbegin()).label()));
    }
  }

  /// A run in which no node of the class that stands on one of `after` runs right after the last of
  /// them, before the next node that samples.
  std::optional<Switch> run_without(std::string_view class_type, const std::set<int>& after) const {
    for (const auto& run : runs_) {
      int last = -1, next = -1;
      bool met = false;
      for (const int at : run) {
        if (after.contains(at)) {
          last = at, next = -1, met = false;
        } else if (last >= 0 && next < 0) {
          met |= node(at).class_type == class_type && stands_on(at, after);
          const bool samples =
              std::size_t(at) < sampling_.model.size() && sampling_.model[std::size_t(at)] >= 0;
          if (samples) next = at;
        }
      }
      if (last >= 0 && !met) return Switch{last, next};
    }
    return std::nullopt;
  }

  /// Whether what one of our nodes hands on comes from one of these.
  bool stands_on(int at, const std::set<int>& origins) const {
    const PromptInput* passed = node(at).input(handed_on(node(at).class_type));
    return passed && passed->link && origins.contains(work_.position(passed->link->node));
  }

  void settle_budget(const BudgetWish& budget) {
    if (work_left_ < 0) return refuse_once(kTooMuch);
    const int sampler = prompt_.position(budget.sampler);
    if (sampler < 0) return;
    // The model may come by way of a guider.
    std::vector<int> look{sampler};
    for (const PromptInput& input : node(sampler).inputs) {
      if (input.link && link_type(work_, input) == "GUIDER") {
        look.push_back(work_.position(input.link->node));
      }
    }
    for (const int at : look) {
      if (at < 0) continue;
      for (const PromptInput& input : node(at).inputs) {
        if (!input.link || link_type(work_, input) != "MODEL") continue;
        const PromptNode* origin = work_.origin(input);
        if (origin && origin->class_type == budget.node.class_type) return;
        placement_.insertions.push_back({budget.node, node(at).id, input.name,
                                         origin ? origin->label() : "", node(at).label(),
                                         budget.fix});
        refresh();
        return;
      }
    }
    placement_.refusals.push_back(node(sampler).label() +
                                  " takes no MODEL that a budget could be put on.");
  }

  /// Whether in some run a model of the second sampler is read before our node has run.
  std::optional<int> early_loader(const Insertion& insertion, int sampler) const {
    const int model = sampling_.model[std::size_t(sampler)];
    for (const auto& run : runs_) {
      int loader = -1;
      for (const int at : run) {
        if (std::size_t(at) < prompt_.nodes.size()) {
          if (std::ranges::count(sampling_.reads[std::size_t(at)], model)) loader = at;
          continue;
        }
        if (inserted(at) != &insertion) continue;
        if (loader >= 0) return loader;
        break;
      }
    }
    return std::nullopt;
  }

  /// The insertion that a node of the work prompt stands for, or null.
  const Insertion* inserted(int at) const {
    const auto index = std::size_t(at) - prompt_.nodes.size();
    return index < placement_.insertions.size() ? &placement_.insertions[index] : nullptr;
  }

  /// Samplers (positions) that our node stands before, by the usual run.
  int next_sampler(const Insertion& insertion) const {
    bool after = false;
    for (const int at : runs_.front()) {
      after |= inserted(at) == &insertion;
      if (after && std::size_t(at) < prompt_.nodes.size() &&
          sampling_.model[std::size_t(at)] >= 0) {
        return at;
      }
    }
    return -1;
  }

  /// The link that leads to our node goes last among the sampler's inputs: what is linked last is
  /// found first, so that the loader comes after.
  void reorder() {
    for (std::size_t i = 0; i < placement_.insertions.size(); ++i) {
      const int sampler = next_sampler(placement_.insertions[i]);
      if (work_left_ < 0) return;
      if (sampler < 0 || !early_loader(placement_.insertions[i], sampler)) continue;
      const PromptNode& target = node(sampler);
      const PromptInput* last = nullptr;
      const PromptInput* ours = nullptr;
      for (const PromptInput& input : target.inputs) {
        if (!input.link) continue;
        last = &input;
        const int origin = work_.position(input.link->node);
        if (origin < 0) continue;
        const auto needed = needed_by(work_, origin);
        if (needed[prompt_.nodes.size() + i]) ours = &input;
      }
      if (!ours || ours == last) continue;
      placement_.reorders.push_back({target.id, ours->name, last->name});
      refresh();
      if (!early_loader(placement_.insertions[i], sampler)) continue;
      placement_.reorders.pop_back();
      refresh();
    }
  }

  void note_early_loads() {
    for (const Insertion& insertion : placement_.insertions) {
      const int sampler = insertion.node.type == "MODEL" ? -1 : next_sampler(insertion);
      if (sampler < 0) continue;
      const auto loader = early_loader(insertion, sampler);
      if (!loader) continue;
      placement_.notes.push_back(fmt::format(
          "{} still reads its file before the {} node runs: VRAM is freed in time, RAM holds both.",
          node(*loader).label(), insertion.node.class_type));
    }
  }

  const Prompt& prompt_;
  const PatchWish& wish_;
  bool may_reorder_;
  Sampling sampling_;
  Placement placement_;
  Prompt work_;
  std::vector<std::vector<int>> runs_;
  std::int64_t work_left_;
  std::int64_t copied_;  ///< what a copy of the prompt costs beside its nodes
};

}  // namespace

std::string_view handed_on(std::string_view class_type) {
  const OwnNode* own = own_node(class_type);
  return own ? own->handed_on : std::string_view();
}

std::optional<Handover> handover(std::string_view class_type) {
  const OwnNode* own = own_node(class_type);
  if (!own) return std::nullopt;
  const NodeDefinition& is = *find_node(class_type, newest_definitions());
  Handover node{is.name, is.display_name, std::string(own->handed_on), is.outputs.front(), {}, 0};
  for (const InputDefinition& input : is.inputs) {
    if (input.has_widget()) {
      node.widgets.emplace_back(input.name, *input.initial);
    } else {
      ++node.sockets;
    }
  }
  return node;
}

std::vector<std::vector<int>> runs_of(const Prompt& prompt) {
  const OrderProblem problem = make_order_problem(prompt);
  std::vector<int> outputs;
  for (std::size_t i = 0; i < prompt.nodes.size(); ++i) {
    const int at = static_cast<int>(i);
    if (prompt.nodes[i].output_node && problem.graph.sound(at)) outputs.push_back(at);
  }
  std::vector<std::vector<int>> runs;
  if (outputs.empty()) return runs;
  runs.push_back(run_order(problem, outputs).nodes);
  OutputOrder orders(outputs);
  int left = kVisitsMax;
  while (outputs.size() > 1 && orders.advance()) {
    left -= static_cast<int>(std::min(prompt.nodes.size(), std::size_t(kVisitsMax)));
    if (left < 0) break;
    auto run = run_order(problem, orders.outputs()).nodes;
    if (std::ranges::find(runs, run) == runs.end()) runs.push_back(std::move(run));
  }
  return runs;
}

std::vector<Switch> unmet_switches(const Prompt& prompt, const Sampling& sampling,
                                   const std::vector<std::vector<int>>& runs,
                                   std::string_view class_type) {
  std::vector<Switch> open;
  std::set<std::pair<int, int>> known;
  for (const auto& run : runs) {
    int last = -1;
    bool unloaded = false;
    for (const int at : run) {
      const auto n = static_cast<std::size_t>(at);
      const int model = n < sampling.model.size() ? sampling.model[n] : -1;
      if (model < 0) {
        unloaded |= prompt.nodes[n].class_type == class_type;
        continue;
      }
      const Switch found{last, at};
      const bool switches = last >= 0 && sampling.model[std::size_t(last)] != model;
      if (switches && !unloaded && known.emplace(last, at).second) open.push_back(found);
      last = at;
      unloaded = false;
    }
  }
  return open;
}

Prompt with_insertions(const Prompt& prompt, const Placement& placement) {
  Prompt result = prompt;
  int number = 1;
  for (const Insertion& insertion : placement.insertions) {
    PromptNode added;
    added.id = new_id(result, number++);
    added.class_type = insertion.node.class_type;
    added.title = insertion.node.title;
    added.known = true;
    added.output_types = {insertion.node.type};
    PromptNode& target = result.nodes[std::size_t(result.position(insertion.target))];
    const auto input = std::ranges::find(target.inputs, insertion.input, &PromptInput::name);
    for (const auto& [name, value] : insertion.node.widgets) {
      added.inputs.push_back({name, "", std::nullopt, value, false});
    }
    added.inputs.push_back({insertion.node.input, insertion.node.type, input->link, "", false});
    input->link = Link{added.id, 0};
    result.index[added.id] = static_cast<int>(result.nodes.size());
    result.nodes.push_back(std::move(added));
  }
  for (const Reorder& reorder : placement.reorders) {
    auto& inputs = result.nodes[std::size_t(result.position(reorder.node))].inputs;
    const auto first = std::ranges::find(inputs, reorder.first, &PromptInput::name);
    const auto second = std::ranges::find(inputs, reorder.second, &PromptInput::name);
    std::iter_swap(first, second);
  }
  return result;
}

Result<Placement> place_nodes_of(const Prompt& prompt, const PatchWish& wish,
                                 const ComfyVersion& version, bool may_reorder) {
  return Placer(prompt, wish, may_reorder).run(version);
}

}  // namespace ebb
