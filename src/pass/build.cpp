// SPDX-License-Identifier: Apache-2.0
// Steps into passes: a pass is a maximal run of steps with the same set of weights in use, and
// steps that use none (loaders, primitives, savers) belong to the pass they prepare.
#include <algorithm>
#include <map>

#include "demand/link_types.h"
#include "ebb/pass.h"
#include "pass/own_nodes.h"

namespace ebb {
namespace {

Step make_step(const Prompt& prompt, int position, NodeDemand&& demand) {
  const PromptNode& node = prompt.nodes[static_cast<std::size_t>(position)];
  Step step;
  step.node = position;
  step.id = node.id;
  step.class_type = node.class_type;
  step.kind = demand.kind;
  step.uses = std::move(demand.uses);
  step.reads = std::move(demand.reads);
  step.loras = std::move(demand.loras);
  step.shape = demand.shape;
  step.model_known = demand.model_known;
  step.loads_unseen = demand.loads_unseen;
  step.demand = std::move(demand.demand);
  step.earlier = std::move(demand.earlier);
  return step;
}

/// The step that makes each node's results; -1 where none does. A node that is served from an
/// identical one has that one's step.
std::vector<int> find_steps(const Prompt& prompt, const Order& order) {
  std::vector<int> step_of(prompt.nodes.size(), -1);
  for (std::size_t s = 0; s < order.nodes.size(); ++s) {
    step_of[static_cast<std::size_t>(order.nodes[s])] = static_cast<int>(s);
  }
  for (const Served& served : order.served) {
    step_of[static_cast<std::size_t>(served.node)] = step_of[static_cast<std::size_t>(served.from)];
  }
  return step_of;
}

/// Calls `visit(from, slot, to)` for every link between two steps, readers in order.
template <class Visit>
void for_each_link(const Prompt& prompt, const std::vector<Step>& steps,
                   const std::vector<int>& step_of, Visit visit) {
  for (std::size_t s = 0; s < steps.size(); ++s) {
    for (const auto& input : prompt.nodes[static_cast<std::size_t>(steps[s].node)].inputs) {
      const int origin = input.link ? prompt.position(input.link->node) : -1;
      const int from = origin < 0 ? -1 : step_of[static_cast<std::size_t>(origin)];
      if (from >= 0) visit(static_cast<std::size_t>(from), input.link->slot, static_cast<int>(s));
    }
  }
}

std::vector<int> sorted(std::vector<int> values) {
  std::sort(values.begin(), values.end());
  return values;
}

/// The demand that decides which step of a pass is its main one.
std::int64_t size_for_main(const Step& step) {
  return std::max({step.demand.minimum.known() ? step.demand.minimum.bytes : 0,
                   step.demand.asked.known() ? step.demand.asked.bytes : 0,
                   step.demand.reserved.known() ? step.demand.reserved.bytes : 0});
}

/// Passes: maximal runs of the same weights, which a cut of Ebb's own ends, too.
std::vector<Pass> split(const std::vector<Step>& steps) {
  std::vector<Pass> passes;
  int pending = 0;   // first step that no pass owns yet
  bool cut = false;  // whether Ebb's node stood behind the last pass
  for (int s = 0; s < static_cast<int>(steps.size()); ++s) {
    const Step& step = steps[static_cast<std::size_t>(s)];
    if (!passes.empty() && makes_cut(step.class_type)) {
      passes.back().last_step = s;
      pending = s + 1;
      cut = true;
    }
    if (step.uses.empty()) continue;
    if (!passes.empty() && !cut && sorted(passes.back().weights) == sorted(step.uses)) {
      Pass& pass = passes.back();
      pass.last_step = s;
      if (size_for_main(step) > size_for_main(steps[static_cast<std::size_t>(pass.main_step)])) {
        pass.main_step = s;
        pass.kind = step.kind;
        pass.weights = step.uses;
      }
    } else {
      passes.push_back({pending, s, s, step.kind, step.uses});
    }
    pending = s + 1;
    cut = false;
  }
  if (!passes.empty()) passes.back().last_step = static_cast<int>(steps.size()) - 1;
  return passes;
}

/// One output of one step, with the last step that reads it.
struct Made {
  int step = 0;
  int slot = 0;
  int last_reader = -1;
};

/// Every result that some step reads, in the order they are made.
std::vector<Made> find_products(const Prompt& prompt, const std::vector<Step>& steps,
                                const std::vector<int>& step_of) {
  std::vector<std::map<int, int>> readers(steps.size());  // per step: slot -> last reader
  for_each_link(prompt, steps, step_of,
                [&](std::size_t from, int slot, int to) { readers[from][slot] = to; });
  std::vector<Made> products;
  for (std::size_t s = 0; s < steps.size(); ++s) {
    for (const auto& [slot, reader] : readers[s]) {
      products.push_back({static_cast<int>(s), slot, reader});
    }
  }
  return products;
}

/// What one of Ebb's nodes hands on is made where it comes from: per step, that step's output.
std::vector<Made> find_makers(const Prompt& prompt, const std::vector<Step>& steps,
                              const std::vector<int>& step_of) {
  std::vector<Made> makers(steps.size());
  for (std::size_t s = 0; s < steps.size(); ++s) {
    makers[s].step = -1;
    if (!makes_cut(steps[s].class_type)) continue;
    const PromptInput* input =
        prompt.nodes[static_cast<std::size_t>(steps[s].node)].input("anything");
    const int origin = input && input->link ? prompt.position(input->link->node) : -1;
    const int from = origin < 0 ? -1 : step_of[static_cast<std::size_t>(origin)];
    if (from < 0 || static_cast<std::size_t>(from) >= s) continue;
    const Made& before = makers[static_cast<std::size_t>(from)];
    makers[s] = before.step >= 0 ? before : Made{from, input->link->slot};
  }
  return makers;
}

std::optional<Crossing> crossing_of(const Prompt& prompt, const std::vector<Step>& steps,
                                    const Made& product) {
  const Step& step = steps[static_cast<std::size_t>(product.step)];
  const auto& types = prompt.nodes[static_cast<std::size_t>(step.node)].output_types;
  if (product.slot < 0 || product.slot >= static_cast<int>(types.size())) return std::nullopt;
  std::string type = types[static_cast<std::size_t>(product.slot)];
  if (type.empty() && step.kind == StepKind::sample) type = "LATENT";  // of a class nobody knows
  if (type.empty()) return std::nullopt;
  const LinkKind kind = link_kind(type);
  if (kind == LinkKind::weights || kind == LinkKind::settings) return std::nullopt;
  Crossing crossing{type, step.id, std::nullopt};
  const bool main = type == "LATENT" || type == "IMAGE" || types.size() == 1;
  if (main && step.demand.result_bytes > 0) crossing.bytes = step.demand.result_bytes;
  return crossing;
}

/// The cuts, with what was made before each and is needed after it, the largest first. `live`
/// carries the results still needed from cut to cut, so that long prompts stay linear.
/// Nothing if that is more than is worth listing.
std::optional<std::vector<Cut>> find_cuts(const Prompt& prompt, const std::vector<int>& step_of,
                                          const std::vector<Step>& steps,
                                          const std::vector<Pass>& passes) {
  constexpr std::size_t kCrossingsMax = 200'000, kLooksMax = 5'000'000;
  std::size_t crossings = 0, looks = 0;
  const std::vector<Made> products = find_products(prompt, steps, step_of);
  const std::vector<Made> makers = find_makers(prompt, steps, step_of);
  std::vector<Cut> cuts;
  std::vector<Made> live;
  std::size_t next = 0;
  for (int p = 0; p + 1 < static_cast<int>(passes.size()); ++p) {
    const int last = passes[static_cast<std::size_t>(p)].last_step;
    for (; next < products.size() && products[next].step <= last; ++next) {
      live.push_back(products[next]);
    }
    std::erase_if(live, [&](const Made& product) { return product.last_reader <= last; });
    looks += live.size();
    if (looks > kLooksMax || crossings > kCrossingsMax) return std::nullopt;
    Cut cut{p, {}};
    for (const Made& product : live) {
      const Made& maker = makers[static_cast<std::size_t>(product.step)];
      auto crossing = crossing_of(prompt, steps, maker.step >= 0 ? maker : product);
      if (crossing) cut.crossing.push_back(*std::move(crossing));
    }
    crossings += cut.crossing.size();
    std::stable_sort(cut.crossing.begin(), cut.crossing.end(), [](const auto& a, const auto& b) {
      return a.bytes.value_or(-1) > b.bytes.value_or(-1);
    });
    cuts.push_back(std::move(cut));
  }
  return cuts;
}

}  // namespace

Passes build_passes(const Prompt& prompt, const Order& order, PromptDemand demand) {
  Passes result;
  result.weights = std::move(demand.weights);
  result.picture = demand.picture;
  result.loaded = std::move(demand.loaded);
  result.notes = std::move(demand.notes);
  result.steps.reserve(order.nodes.size());
  std::vector<int> times(prompt.nodes.size());  // with --cache-none a node may run again
  for (const int position : order.nodes) ++times[static_cast<std::size_t>(position)];
  for (const int position : order.nodes) {
    const auto at = static_cast<std::size_t>(position);
    NodeDemand& own = demand.nodes[at];
    result.steps.push_back(
        make_step(prompt, position, --times[at] == 0 ? std::move(own) : NodeDemand(own)));
  }
  const auto step_of = find_steps(prompt, order);
  for_each_link(prompt, result.steps, step_of, [&](std::size_t from, int, int to) {
    auto& consumers = result.steps[from].consumers;
    if (consumers.empty() || consumers.back() != to) consumers.push_back(to);
  });
  result.passes = split(result.steps);
  std::vector<bool> read(result.weights.size());
  for (const Step& step : result.steps) {
    for (const int w : step.reads) read[static_cast<std::size_t>(w)] = true;
  }
  for (const int w : demand.unused) {
    if (read[static_cast<std::size_t>(w)]) result.unused.push_back(w);
  }
  for (const int node : order.left_out) {
    result.left_out.push_back(prompt.nodes[static_cast<std::size_t>(node)].label());
  }
  auto cuts = find_cuts(prompt, step_of, result.steps, result.passes);
  result.too_many_crossings = !cuts;
  result.cuts = cuts ? *std::move(cuts) : std::vector<Cut>(result.passes.size() - 1);
  result.own = levers_of_nodes(prompt, result);
  return result;
}

const char* to_string(CutAction action) {
  switch (action) {
    case CutAction::keep: return "keep";
    case CutAction::unload_all: return "unload all";
    case CutAction::park: return "park";
    case CutAction::drop: return "drop";
    case CutAction::prefetch: return "prefetch";
  }
  return "keep";
}

}  // namespace ebb
