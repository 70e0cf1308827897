// SPDX-License-Identifier: Apache-2.0
// Steps into passes: a pass is a maximal run of steps with the same set of weights in use, and
// steps that use none (loaders, primitives, savers) belong to the pass they prepare.
#include <algorithm>
#include <map>

#include "base/names.h"
#include "demand/link_types.h"
#include "ebb/pass.h"
#include "pass/own_nodes.h"

namespace ebb {
namespace {

using Steps = List<Step, StepIndex>;
using StepOf = List<StepIndex, NodeIndex>;

Step make_step(const Prompt& prompt, NodeIndex position, NodeDemand&& demand) {
  const PromptNode& node = prompt.nodes[position];
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

/// The step that makes each node's results, where one does. A node that is served from an
/// identical one has that one's step.
StepOf find_steps(const Prompt& prompt, const Order& order) {
  StepOf step_of(prompt.nodes.size());
  for (const StepIndex s : order.nodes.indices()) step_of[order.nodes[s]] = s;
  for (const Served& served : order.served) {
    step_of[served.node] = step_of[served.from];
  }
  return step_of;
}

/// The step that an input is linked to, if one is.
StepIndex maker_of(const Prompt& prompt, const StepOf& step_of, const PromptInput& input) {
  const NodeIndex origin = input.link ? prompt.position(input.link->node) : NodeIndex();
  return origin.exists() ? step_of[origin] : StepIndex();
}

/// Calls `visit(from, slot, to)` for every link between two steps, readers in order.
template <class Visit>
void for_each_link(const Prompt& prompt, const Steps& steps, const StepOf& step_of, Visit visit) {
  for (const StepIndex s : steps.indices()) {
    for (const auto& input : prompt.nodes[steps[s].node].inputs) {
      const StepIndex from = maker_of(prompt, step_of, input);
      if (from.exists()) visit(from, input.link->slot, s);
    }
  }
}

std::vector<WeightsIndex> sorted(std::vector<WeightsIndex> values) {
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
List<Pass, PassIndex> split(const Steps& steps) {
  List<Pass, PassIndex> passes;
  StepIndex pending = 0;  // first step that no pass owns yet
  bool cut = false;       // whether Ebb's node stood behind the last pass
  for (const StepIndex s : steps.indices()) {
    const Step& step = steps[s];
    if (!passes.empty() && makes_cut(step.class_type)) {
      passes.back().last_step = s;
      pending = s + 1;
      cut = true;
    }
    if (step.uses.empty()) continue;
    if (!passes.empty() && !cut && sorted(passes.back().weights) == sorted(step.uses)) {
      Pass& pass = passes.back();
      pass.last_step = s;
      if (size_for_main(step) > size_for_main(steps[pass.main_step])) {
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
  if (!passes.empty()) passes.back().last_step = steps.end_index() - 1;
  return passes;
}

/// One output of one step, with the last step that reads it.
struct Made {
  StepIndex step;
  int slot = 0;
  StepIndex last_reader;
};

/// Every result that some step reads, in the order they are made.
std::vector<Made> find_products(const Prompt& prompt, const Steps& steps, const StepOf& step_of) {
  List<std::map<int, StepIndex>, StepIndex> readers(steps.size());  // per step: slot -> last reader
  for_each_link(prompt, steps, step_of,
                [&](StepIndex from, int slot, StepIndex to) { readers[from][slot] = to; });
  std::vector<Made> products;
  for (const StepIndex s : steps.indices()) {
    for (const auto& [slot, reader] : readers[s]) products.push_back({s, slot, reader});
  }
  return products;
}

/// What one of Ebb's nodes hands on is made where it comes from: per step, that step's output.
List<Made, StepIndex> find_makers(const Prompt& prompt, const Steps& steps, const StepOf& step_of) {
  List<Made, StepIndex> makers(steps.size());
  for (const StepIndex s : steps.indices()) {
    if (!makes_cut(steps[s].class_type)) continue;
    const PromptInput* input = prompt.nodes[steps[s].node].input("anything");
    const StepIndex from = input ? maker_of(prompt, step_of, *input) : StepIndex();
    if (!from.exists() || from >= s) continue;
    const Made& before = makers[from];
    makers[s] = before.step.exists() ? before : Made{from, input->link->slot, {}};
  }
  return makers;
}

std::optional<Crossing> crossing_of(const Prompt& prompt, const Steps& steps, const Made& product) {
  const Step& step = steps[product.step];
  const auto& types = prompt.nodes[step.node].output_types;
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
std::optional<List<Cut, PassIndex>> find_cuts(const Prompt& prompt, const StepOf& step_of,
                                              const Steps& steps,
                                              const List<Pass, PassIndex>& passes) {
  constexpr std::size_t kCrossingsMax = 200'000, kLooksMax = 5'000'000;
  std::size_t crossings = 0, looks = 0;
  const std::vector<Made> products = find_products(prompt, steps, step_of);
  const List<Made, StepIndex> makers = find_makers(prompt, steps, step_of);
  List<Cut, PassIndex> cuts;
  std::vector<Made> live;
  std::size_t next = 0;
  for (const PassIndex p : passes.indices()) {
    if (p + 1 == passes.end_index()) break;
    const StepIndex last = passes[p].last_step;
    for (; next < products.size() && products[next].step <= last; ++next) {
      live.push_back(products[next]);
    }
    std::erase_if(live, [&](const Made& product) { return product.last_reader <= last; });
    looks += live.size();
    if (looks > kLooksMax || crossings > kCrossingsMax) return std::nullopt;
    Cut cut{p, {}};
    for (const Made& product : live) {
      const Made& maker = makers[product.step];
      auto crossing = crossing_of(prompt, steps, maker.step.exists() ? maker : product);
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
  List<int, NodeIndex> times(prompt.nodes.size());  // with --cache-none a node may run again
  for (const NodeIndex position : order.nodes) ++times[position];
  for (const NodeIndex position : order.nodes) {
    NodeDemand& own = demand.nodes[position];
    result.steps.push_back(
        make_step(prompt, position, --times[position] == 0 ? std::move(own) : NodeDemand(own)));
  }
  const auto step_of = find_steps(prompt, order);
  for_each_link(prompt, result.steps, step_of, [&](StepIndex from, int, StepIndex to) {
    auto& consumers = result.steps[from].consumers;
    if (consumers.empty() || consumers.back() != to) consumers.push_back(to);
  });
  result.passes = split(result.steps);
  List<bool, WeightsIndex> read(result.weights.size());
  for (const Step& step : result.steps) {
    for (const WeightsIndex w : step.reads) read[w] = true;
  }
  for (const WeightsIndex w : demand.unused) {
    if (read[w]) result.unused.push_back(w);
  }
  for (const NodeIndex node : order.left_out) {
    result.left_out.push_back(prompt.nodes[node].label());
  }
  auto cuts = find_cuts(prompt, step_of, result.steps, result.passes);
  result.too_many_crossings = !cuts;
  result.cuts = cuts ? *std::move(cuts) : List<Cut, PassIndex>(result.passes.size() - 1);
  result.own = levers_of_nodes(prompt, result);
  return result;
}

const char* to_string(CutAction action) {
  return name_in<CutAction::prefetch>({"keep", "unload_all", "park", "drop", "prefetch"}, action);
}

}  // namespace ebb
