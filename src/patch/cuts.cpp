// SPDX-License-Identifier: Apache-2.0
// A node between two passes stands on data that the first makes and the second needs: then the
// graph itself holds it in place. Where no data goes from one to the other it stands on what
// leaves the first, and the scheduler says whether that is enough.
#include "patch/cuts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <unordered_set>

#include "demand/link_types.h"
#include "pass/output_order.h"
#include "patch/draft.h"
#include "workflow/node_table.h"
#include "workflow/own_nodes.h"

namespace ebb {
namespace {

constexpr int kVisitsMax = 100'000;  // nodes visited over the orders tried at once
// Nodes visited in all, some thousand instructions each: a fiftieth of a second, and more for a
// long prompt. The longest of 1,343 workflows from the field takes 22,000.
constexpr std::int64_t kWorkMax = 60'000, kWorkPerNode = 300;
constexpr std::int64_t kRefreshesEach = 4;  // of the draft, for a switch that is closed by itself

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

std::string new_id(const Prompt& prompt, int& number) {
  std::string id;
  do {
    id = fmt::format("ebb{}", number++);
  } while (prompt.index.contains(id));
  return id;
}

/// A place for our node: the link into `input` of `target`.
struct Place {
  NodeIndex target;
  std::size_t input = 0;
  int rank = 0;
};

constexpr const char* kTooMuch =
    "Not everything that the plan wants was tried: the prompt has too many places for it.";

class Placer {
 public:
  Placer(const Prompt& prompt, const PatchWish& wish, bool may_reorder)
      : prompt_(prompt),
        wish_(wish),
        may_reorder_(may_reorder),
        visits_max_(kWorkMax + kWorkPerNode * static_cast<std::int64_t>(prompt.nodes.size())),
        draft_(prompt, sampling_) {}

  Result<Placement> run(const ComfyVersion& version) {
    auto sampling = find_sampling(prompt_, version);
    if (!sampling) return sampling.error();
    sampling_ = *std::move(sampling);
    refresh();
    if (draft_.runs().empty()) {
      placement_.refusals.emplace_back("No output node can run, so nothing would run.");
      return std::move(placement_);
    }
    const auto& usual = draft_.runs().front();
    placement_.switches = count_switches(sampling_, usual);
    if (placement_.switches == 0) placement_.why_none = why_no_switch(prompt_, sampling_, usual);
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
  void refresh() { draft_.refresh(placement_); }

  std::int64_t visits_left() const { return visits_max_ - draft_.visits(); }

  const PromptNode& node(NodeIndex position) const { return draft_.prompt().nodes[position]; }

  /// Links that leave the first of a switch, best first; of those into something that the second
  /// needs, where there are any, so that the graph itself keeps our node between the two.
  std::vector<Place> places(const Switch& between) {
    draft_.mark_needed(between);
    std::vector<Place> sure, other;
    for (const DraftInput& reader : draft_.readers(between.from)) {
      const PromptInput& input = node(reader.node).inputs[reader.input];
      const auto rank = rank_of(link_type(draft_.prompt(), input));
      if (!rank) continue;
      const int at = draft_.place_of(reader.node).at;
      const Place place{
          reader.node, reader.input,
          (*rank + (input.lazy ? 10 : 0)) * 100'000 + (at < 0 ? 99'999 : std::min(at, 99'998))};
      (draft_.is_marked(reader.node) ? sure : other).push_back(place);
    }
    std::ranges::sort(sure, {}, &Place::rank);
    std::ranges::sort(other, {}, &Place::rank);
    sure.insert(sure.end(), other.begin(), other.end());
    return sure;
  }

  void add(const Handover& what, const Place& place, const Switch& between,
           const std::string& fix) {
    placement_.insertions.push_back(
        {what, node(place.target).id, node(place.target).inputs[place.input].name,
         node(between.from).label(), between.to.exists() ? node(between.to).label() : "", fix});
  }

  void take_back() {
    placement_.insertions.pop_back();
    refresh();
  }

  std::vector<Switch> unmet() {
    draft_.count_visits(draft_.refresh_visits());
    return unmet_switches(draft_.prompt(), sampling_, draft_.runs(),
                          wish_.between_models->class_type);
  }

  void settle_switches(const Handover& what) {
    settle_many(what);
    settle_each(what);
    for (const Switch& s : unmet()) {
      refuse_once(fmt::format("Between {} and {}: {}.", node(s.from).label(), node(s.to).label(),
                              why_not(s)));
    }
  }

  /// Too many switches to close one after another: a node at the best place of each, at once. Those
  /// that close nothing are taken back, and the next places are tried.
  void settle_many(const Handover& what) {
    std::set<std::tuple<NodeIndex, NodeIndex, NodeIndex, std::size_t>>
        tried;  // a switch and a place
    auto open = unmet();
    while (visits_left() < std::int64_t(open.size()) * kRefreshesEach * draft_.refresh_visits()) {
      const std::size_t first = placement_.insertions.size();
      std::map<std::pair<NodeIndex, std::size_t>, std::size_t> at;  // a place and its node
      std::vector<std::vector<Switch>> closes;                      // what each node shall close
      for (const Switch& s : open) {
        if (visits_left() < 0) break;
        const auto list = places(s);
        const auto next = std::ranges::find_if(list, [&](const Place& place) {
          return tried.emplace(s.from, s.to, place.target, place.input).second;
        });
        if (next == list.end()) continue;
        const auto [known, fresh] = at.try_emplace({next->target, next->input}, closes.size());
        if (fresh) {
          add(what, *next, s, "with");
          closes.emplace_back();
        }
        closes[known->second].push_back(s);
      }
      if (closes.empty()) return;
      refresh();
      open = keep_useful(first, closes, open.size());
    }
  }

  /// Takes back those nodes from `first` on that closed none of their switches, and all of them
  /// where no fewer are open than before. Returns what is open then.
  std::vector<Switch> keep_useful(std::size_t first, const std::vector<std::vector<Switch>>& closes,
                                  std::size_t before) {
    auto now = unmet();
    std::set<std::pair<NodeIndex, NodeIndex>> open;
    for (const Switch& s : now) open.emplace(s.from, s.to);
    std::size_t kept = first;
    for (std::size_t i = 0; i < closes.size() && now.size() < before; ++i) {
      const bool useful = std::ranges::any_of(closes[i], [&](const Switch& s) {
        return !open.contains({s.from, s.to});
      });
      if (!useful) continue;
      if (kept != first + i) {
        placement_.insertions[kept] = std::move(placement_.insertions[first + i]);
      }
      ++kept;
    }
    if (kept == placement_.insertions.size()) return now;
    placement_.insertions.resize(kept);
    refresh();
    return unmet();
  }

  void settle_each(const Handover& what) {
    std::set<std::pair<NodeIndex, NodeIndex>> given_up;
    while (visits_left() >= 0) {
      const auto open = unmet();
      const auto next = std::ranges::find_if(open, [&](const Switch& s) {
        return !given_up.contains({s.from, s.to});
      });
      if (next == open.end()) break;
      if (settle(what, *next, open.size())) {
        given_up.clear();  // what was hopeless before may not be so any more
      } else {
        given_up.emplace(next->from, next->to);
      }
    }
  }

  const char* why_not(const Switch& open) {
    if (visits_left() < 0) return "not every place was tried, the prompt has too many of them";
    if (places(open).empty()) return "nothing that a node could be put on leaves the first one";
    return "no place was found where a node runs between them in every order of the output nodes";
  }

  void refuse_once(std::string why) {
    if (told_.insert(why).second) placement_.refusals.push_back(std::move(why));
  }

  /// Tries the places of one switch until fewer are open.
  bool settle(const Handover& what, const Switch& open, std::size_t before) {
    for (const Place& place : places(open)) {
      if (visits_left() < 0) return false;
      add(what, place, open, "with");
      refresh();
      const auto now = unmet();
      if (std::ranges::find(now, open) == now.end() && now.size() < before + 1) return true;
      take_back();
    }
    return false;
  }

  /// The step of `after` that runs last, and the sampler or encoder that runs next with weights.
  void settle_cut(const CutWish& cut) {
    if (visits_left() < 0) return refuse_once(kTooMuch);
    std::set<NodeIndex> after;
    for (const std::string& id : cut.after) after.insert(prompt_.position(id));
    after.erase(NodeIndex());
    if (after.empty()) return;
    for (std::size_t tries = 0; tries < after.size(); ++tries) {
      const auto open = run_without(cut.node.class_type, after);
      if (!open) return;
      if (visits_left() < 0) return refuse_once(kTooMuch);
      const auto tried = places(*open);
      if (tried.empty()) break;
      add(cut.node, tried.front(), *open, cut.fix);
      refresh();
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
  std::optional<Switch> run_without(std::string_view class_type, const std::set<NodeIndex>& after) {
    draft_.count_visits(draft_.refresh_visits());
    for (std::size_t r = 0; r < draft_.runs().size(); ++r) {
      NodeIndex last, next;
      bool met = false;
      for (const NodeIndex at : draft_.runs()[r]) {
        if (after.contains(at)) {
          last = at, next = {}, met = false;
        } else if (last.exists() && !next.exists()) {
          met |= node(at).class_type == class_type && stands_on(at, after);
          if (sampling_.model.has(at) && sampling_.model[at].exists()) next = at;
        }
      }
      if (last.exists() && !met) return Switch{last, next, static_cast<int>(r)};
    }
    return std::nullopt;
  }

  /// Whether what one of our nodes hands on comes from one of these.
  bool stands_on(NodeIndex at, const std::set<NodeIndex>& origins) const {
    const PromptInput* passed = node(at).input(handed_on(node(at).class_type));
    return passed && passed->link && origins.contains(draft_.prompt().position(passed->link->node));
  }

  void settle_budget(const BudgetWish& budget) {
    if (visits_left() < 0) return refuse_once(kTooMuch);
    const NodeIndex sampler = prompt_.position(budget.sampler);
    if (!sampler.exists()) return;
    const Prompt& prompt = draft_.prompt();
    // The model may come by way of a guider.
    std::vector<NodeIndex> look{sampler};
    for (const PromptInput& input : node(sampler).inputs) {
      if (input.link && link_type(prompt, input) == "GUIDER") {
        look.push_back(prompt.position(input.link->node));
      }
    }
    for (const NodeIndex at : look) {
      if (!at.exists()) continue;
      for (const PromptInput& input : node(at).inputs) {
        if (!input.link || link_type(prompt, input) != "MODEL") continue;
        const PromptNode* origin = prompt.origin(input);
        if (origin && origin->class_type == budget.node.class_type) return;
        placement_.insertions.push_back({budget.node, node(at).id, input.name,
                                         origin ? origin->label() : "", node(at).label(),
                                         budget.fix});
        return refresh();
      }
    }
    placement_.refusals.push_back(node(sampler).label() +
                                  " takes no MODEL that a budget could be put on.");
  }

  /// The link that leads to our node goes last among the sampler's inputs: what is linked last is
  /// found first, so that the loader comes after.
  void reorder() {
    for (std::size_t i = 0; i < placement_.insertions.size(); ++i) {
      const NodeIndex sampler = draft_.next_sampler(i);
      if (visits_left() < 0) return;
      if (!sampler.exists() || !draft_.early_loader(i, sampler).exists()) continue;
      const auto through = draft_.inputs_through(placement_.insertions[i], sampler);
      const PromptInput* last = nullptr;
      const PromptInput* ours = nullptr;
      for (const PromptInput& input : node(sampler).inputs) {
        if (!input.link) continue;
        last = &input;
        if (std::ranges::find(through, input.name) != through.end()) ours = &input;
      }
      if (!ours || ours == last) continue;
      placement_.reorders.push_back({node(sampler).id, ours->name, last->name});
      refresh();
      if (!draft_.early_loader(i, sampler).exists()) continue;
      placement_.reorders.pop_back();
      refresh();
    }
  }

  void note_early_loads() {
    for (std::size_t i = 0; i < placement_.insertions.size(); ++i) {
      const Handover& ours = placement_.insertions[i].node;
      const NodeIndex sampler = ours.type == "MODEL" ? NodeIndex() : draft_.next_sampler(i);
      const NodeIndex loader = sampler.exists() ? draft_.early_loader(i, sampler) : sampler;
      if (!loader.exists()) continue;
      placement_.notes.push_back(fmt::format(
          "{} still reads its file before the {} node runs: VRAM is freed in time, RAM holds both.",
          node(loader).label(), ours.class_type));
    }
  }

  const Prompt& prompt_;
  const PatchWish& wish_;
  bool may_reorder_;
  Sampling sampling_;
  Placement placement_;
  std::unordered_set<std::string> told_;
  std::int64_t visits_max_;
  Draft draft_;
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

std::vector<NodeOrder> runs_of(const Prompt& prompt) { return runs_of(make_order_problem(prompt)); }

std::vector<NodeOrder> runs_of(const OrderProblem& problem) {
  const Prompt& prompt = problem.prompt;
  std::vector<NodeIndex> outputs;
  for (const NodeIndex at : prompt.nodes.indices()) {
    if (prompt.nodes[at].output_node && problem.graph.sound(at)) outputs.push_back(at);
  }
  std::vector<NodeOrder> runs;
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
                                   const std::vector<NodeOrder>& runs,
                                   std::string_view class_type) {
  std::vector<Switch> open;
  std::set<std::pair<NodeIndex, NodeIndex>> known;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    NodeIndex last;
    bool unloaded = false;
    for (const NodeIndex at : runs[r]) {
      const WeightsIndex model = sampling.model.has(at) ? sampling.model[at] : WeightsIndex();
      if (!model.exists()) {
        unloaded |= prompt.nodes[at].class_type == class_type;
        continue;
      }
      const Switch found{last, at, static_cast<int>(r)};
      const bool switches = last.exists() && sampling.model[last] != model;
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
    added.id = new_id(result, number);
    added.class_type = insertion.node.class_type;
    added.title = insertion.node.title;
    added.known = true;
    added.output_types = {insertion.node.type};
    PromptNode& target = result.nodes[result.position(insertion.target)];
    const auto input = std::ranges::find(target.inputs, insertion.input, &PromptInput::name);
    for (const auto& [name, value] : insertion.node.widgets) {
      added.inputs.push_back({name, "", std::nullopt, value, false});
    }
    added.inputs.push_back({insertion.node.input, insertion.node.type, input->link, "", false});
    input->link = Link{added.id, 0};
    result.index[added.id] = result.nodes.end_index();
    result.nodes.push_back(std::move(added));
  }
  for (const Reorder& reorder : placement.reorders) {
    auto& inputs = result.nodes[result.position(reorder.node)].inputs;
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
