// SPDX-License-Identifier: Apache-2.0
// The checker: it shares only data types with the policy and the search, and says what is wrong
// with a prediction. It replays what can be replayed and balances the rest: order, presence,
// bytes, budgets, disk and verdict.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "ebb/plan.h"

namespace ebb {
namespace {

constexpr std::int64_t kRounding = 64;  // bytes; all sums are whole numbers, logs are not used

class Checker {
 public:
  Checker(const Prompt& prompt, const Order& order, const Trial& trial,
          const Prediction& prediction)
      : prompt_(prompt),
        order_(order),
        trial_(trial),
        passes_(*prediction.passes),
        timeline_(prediction.timeline),
        outcome_(prediction.outcome) {
    for (const Weights& weights : passes_.weights) bytes_.push_back(weights.bytes);
  }

  std::vector<std::string> run() {
    if (!check_sizes()) return findings_;
    check_order();
    check_passes();
    for (const StepIndex s : passes_.steps.indices()) check_step(s);
    check_presence();
    check_verdicts();
    return findings_;
  }

 private:
  template <class... Args>
  void find(fmt::format_string<Args...> text, Args&&... args) {
    if (findings_.size() < 20) findings_.push_back(fmt::format(text, std::forward<Args>(args)...));
  }

  const Weights& weights(WeightsIndex w) const { return passes_.weights[w]; }

  /// Everything after this may index freely.
  bool check_sizes() {
    if (timeline_.steps.size() != passes_.steps.size()) {
      find("{} steps, but the timeline has {}", passes_.steps.size(), timeline_.steps.size());
    }
    if (outcome_.passes.size() != passes_.passes.size()) {
      find("{} passes, but {} outcomes", passes_.passes.size(), outcome_.passes.size());
    }
    for (const StepState& state : timeline_.steps) {
      if (state.vram.size() != passes_.weights.size() ||
          state.ram.size() != passes_.weights.size()) {
        find("a state does not list every model");
        break;
      }
    }
    return findings_.empty();
  }

  /// Every step once, as ordered, and after everything it links to.
  void check_order() {
    if (order_.nodes.size() != passes_.steps.size()) {
      find("the order has {} nodes, the passes {} steps", order_.nodes.size(),
           passes_.steps.size());
      return;
    }
    std::unordered_set<NodeIndex> done;
    std::unordered_map<NodeIndex, NodeIndex> served;  // node -> the identical one that runs instead
    for (const Served& s : order_.served) served[s.node] = s.from;
    for (const StepIndex s : passes_.steps.indices()) {
      const NodeIndex node = passes_.steps[s].node;
      if (node != order_.nodes[s]) {
        find("step {} is not the {}th of the order", s.number(), s.number());
      }
      const bool first = done.insert(node).second;  // without a node cache a node may run again
      if (!first && trial_.machine.flags.cache != CacheKind::none) {
        find("node {} runs twice", passes_.steps[s].id);
      }
      for (const auto& input : prompt_.nodes[node].inputs) {
        NodeIndex origin = input.link ? prompt_.position(input.link->node) : NodeIndex();
        if (served.contains(origin)) origin = served[origin];
        if (origin.exists() && !input.lazy && !done.contains(origin)) {
          find("node {} runs before node {}, which it needs", passes_.steps[s].id,
               input.link->node);
        }
      }
    }
  }

  /// Passes cover all steps without gap or overlap, and list every model their steps use.
  void check_passes() {
    StepIndex next = 0;
    for (const Pass& pass : passes_.passes) {
      if (pass.first_step != next || pass.last_step < pass.first_step) {
        find("pass from step {} to {} does not follow step {}", pass.first_step.number(),
             pass.last_step.number(), next.at);
        return;
      }
      next = pass.last_step + 1;
      for (StepIndex s = pass.first_step; s <= pass.last_step; ++s) {
        for (const WeightsIndex used : passes_.steps[s].uses) {
          if (std::find(pass.weights.begin(), pass.weights.end(), used) == pass.weights.end()) {
            find("pass at step {} does not list {}", pass.first_step.number(), weights(used).name);
          }
        }
      }
    }
    if (!passes_.passes.empty() && next != passes_.steps.end_index()) {
      find("the last pass ends at step {} of {}", next.at, passes_.steps.size());
    }
  }

  /// Bytes of one step: nothing negative, nothing larger than itself, sums within the peaks.
  void check_step(StepIndex s) {
    const StepState& state = timeline_.steps[s];
    const std::string& id = passes_.steps[s].id;
    std::int64_t vram = state.vram_others_bytes + state.reserved_bytes;
    std::int64_t ram = state.ram_data_bytes;
    for (const WeightsIndex w : state.vram.indices()) {
      if (state.vram[w] < 0 || state.ram[w] < 0) find("node {}: negative bytes", id);
      if (state.vram[w] > bytes_[w] + kRounding) {
        find("node {}: {} has {} bytes in VRAM, more than its {}", id, passes_.weights[w].name,
             state.vram[w], bytes_[w]);
      }
      vram += state.vram[w];
      ram += state.ram[w];
    }
    if (vram > state.vram_peak_bytes + kRounding) {
      find("node {}: VRAM holds {} bytes, above its own peak of {}", id, vram,
           state.vram_peak_bytes);
    }
    if (ram > state.ram_needed_bytes + kRounding || state.ram_needed_bytes > state.ram_peak_bytes) {
      find("node {}: RAM holds {} bytes, above its own peak of {}", id, ram,
           state.ram_needed_bytes);
    }
    for (const Load& load : state.loads) check_load(id, load);
  }

  /// One loading decision: its terms must add up, and its parts must be the whole.
  void check_load(const std::string& id, const Load& load) {
    const Weights& loaded = weights(load.weights);
    const std::string& name = loaded.name;
    if (load.loaded_bytes < 0 || load.offloaded_bytes < 0 || load.usable_bytes < 0) {
      find("node {}: a load of {} has negative bytes", id, name);
    }
    if (load.full) {
      if (load.offloaded_bytes != 0) find("node {}: {} is whole and offloaded", id, name);
      if (load.loaded_bytes != loaded.bytes) {
        find("node {}: {} is whole with {} of {} bytes", id, name, load.loaded_bytes, loaded.bytes);
      }
      return;
    }
    if (load.loaded_bytes + load.offloaded_bytes > loaded.bytes + kRounding) {
      find("node {}: {} has {} bytes loaded and {} offloaded, more than its {}", id, name,
           load.loaded_bytes, load.offloaded_bytes, loaded.bytes);
    }
  }

  /// Weights in use were read before, and what is not in VRAM is still in RAM to be streamed.
  void check_presence() {
    std::unordered_set<WeightsIndex> read;
    for (const StepIndex s : passes_.steps.indices()) {
      const Step& step = passes_.steps[s];
      const StepState& state = timeline_.steps[s];
      for (const WeightsIndex w : step.reads) read.insert(w);
      for (const WeightsIndex w : step.uses) {
        if (!weights(w).known()) continue;
        if (!read.contains(w)) find("node {} uses {} before it is read", step.id, weights(w).name);
        if (state.vram[w] + state.ram[w] + kRounding < weights(w).bytes) {
          find("node {} uses {}, of which {} bytes are nowhere", step.id, weights(w).name,
               weights(w).bytes - state.vram[w] - state.ram[w]);
        }
      }
    }
  }

  /// A verdict must not be better than its numbers.
  void check_verdicts() {
    Verdict worst = Verdict::fits;
    for (const PassIndex p : outcome_.passes.indices()) {
      const PassOutcome& pass = outcome_.passes[p];
      const bool good = rank(pass.verdict) < rank(Verdict::offloads);
      if (good && pass.offloaded_bytes.value_or(0) > 0) {
        find("pass {} offloads and is called {}", p.number(), to_string(pass.verdict));
      }
      if (good && trial_.machine.ram_total.known() &&
          trial_.machine.ram_total.kind != NumberKind::assumed &&
          pass.ram_peak_bytes.value_or(0) > trial_.machine.ram_total.bytes) {
        find("pass {} needs more RAM than there is and is called {}", p.number(),
             to_string(pass.verdict));
      }
      if (!pass.causes.empty() == (pass.verdict == Verdict::fits)) {
        find("pass {} is called {} {} a cause", p.number(), to_string(pass.verdict),
             pass.causes.empty() ? "without" : "with");
      }
      if (rank(pass.verdict) > rank(worst)) worst = pass.verdict;
    }
    const bool unknown = outcome_.verdict == Verdict::unknown && !outcome_.causes.empty();
    if (rank(outcome_.verdict) > rank(worst) && !unknown) {
      find("the run is called {}, worse than any pass", to_string(outcome_.verdict));
    }
    if (outcome_.verdict == Verdict::fits && worst != Verdict::fits) {
      find("the run is called fits, but one pass is called {}", to_string(worst));
    }
  }

  const Prompt& prompt_;
  const Order& order_;
  const Trial& trial_;
  const Passes& passes_;
  const Timeline& timeline_;
  const Outcome& outcome_;
  List<std::int64_t, WeightsIndex>
      bytes_;  // of all weights, side by side: looked at for every step
  std::vector<std::string> findings_;
};

}  // namespace

std::vector<std::string> check(const Prompt& prompt, const Order& order, const Trial& trial,
                               const Prediction& prediction) {
  return Checker(prompt, order, trial, prediction).run();
}

}  // namespace ebb
