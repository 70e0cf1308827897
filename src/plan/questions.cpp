// SPDX-License-Identifier: Apache-2.0
#include "plan/questions.h"

#include <fmt/format.h>

#include <algorithm>

namespace ebb {
namespace {

template <class T>
void add_once(std::vector<T>& to, const T& what) {
  if (std::ranges::find(to, what) == to.end()) to.push_back(what);
}

bool names_a_node(const Message& message) {
  return std::ranges::any_of(message.arguments(), [](const Argument& argument) {
    const auto* inner = std::get_if<Message>(&argument.value);
    return std::holds_alternative<NodeName>(argument.value) || (inner && names_a_node(*inner));
  });
}

/// Sorts what is not known by what would tell it.
class Unknowns {
 public:
  explicit Unknowns(const Passes& passes) : passes_(passes) {
    for (const Step& step : passes.steps) {
      for (const WeightsIndex w : step.reads) {
        if (!weights(w).known()) add_file(sizes, w);
      }
      if (step.loads_unseen) add_once(packs, fmt::format("node {} {}", step.id, step.class_type));
      if (!step.uses.empty() && !step.demand.subtracted().known()) sort(step);
    }
  }

  std::vector<std::string> sizes;    ///< files of unknown size
  std::vector<std::string> kinds;    ///< files that nobody has opened, of models of unknown kind
  std::vector<std::string> no_rows;  ///< files that were read and are of no kind known to Ebb
  std::vector<std::string> classes;  ///< nodes of classes without a rule
  std::vector<std::string> packs;    ///< nodes that load what only their own pack manages
  std::vector<Message> others;       ///< reasons

 private:
  const Weights& weights(WeightsIndex w) const { return passes_.weights[w]; }

  void add_file(std::vector<std::string>& to, WeightsIndex w) const {
    if (!weights(w).files.empty()) add_once(to, weights(w).files.front());
  }

  /// Whether a step's demand depends on what kind of model this is.
  bool asks_kind(const Step& step, WeightsIndex w) const {
    if (!weights(w).architecture.empty() && step.model_known) return false;
    if (step.kind == StepKind::sample) return w == step.uses.front() && !step.model_known;
    return weights(w).role == WeightsRole::vae && weights(w).architecture.empty();
  }

  void sort(const Step& step) {
    if (step.kind == StepKind::use) {
      add_once(classes, fmt::format("node {} {}", step.id, step.class_type));
      return;
    }
    bool of_kind = false;
    for (const WeightsIndex w : step.uses) {
      if (!asks_kind(step, w)) continue;
      add_file(weights(w).bytes_from == BytesFrom::header ? no_rows : kinds, w);
      of_kind = true;
    }
    if (of_kind) return;
    const Message& why = step.demand.asked.source;  // where it is another's, it names that node
    add_once(others,
             names_a_node(why) ? why : Message(Say::of_node, {step.id, step.class_type, why}));
  }

  const Passes& passes_;
};

/// Whether less is lacking with these sizes.
bool tells(Trial trial, const Prediction& before, const Predict& predict,
           std::int64_t& trials_left) {
  if (--trials_left < 0) return false;
  const auto after = predict(trial);
  return after && after->outcome.lacking.size() < before.outcome.lacking.size();
}

}  // namespace

std::vector<Question> questions(const Trial& base, const Prediction& before, const Predict& predict,
                                std::int64_t& trials_left) {
  std::vector<Question> all;
  if (before.outcome.lacking.empty()) return all;
  const Unknowns unknown(*before.passes);
  if (!unknown.sizes.empty()) {
    all.push_back({"tell-files", {Say::tell_files, {unknown.sizes}}, Say::then_ebb_says_more});
  } else if (!unknown.kinds.empty()) {
    all.push_back({"tell-kinds", {Say::tell_kinds, {unknown.kinds}}, Say::then_ebb_may_know_more});
  }
  if (!base.sizes.width && !base.sizes.height) {
    Trial sized = base;
    sized.sizes.width = sized.sizes.height = 1024;
    if (tells(std::move(sized), before, predict, trials_left)) {
      all.push_back({"tell-size", Say::tell_size, Say::then_ebb_says_more});
    }
  }
  if (before.outcome.verdict != Verdict::unknown) return all;
  const auto none = [&all](Message why) {
    all.push_back({"no-option", {Say::no_option, {std::move(why)}}, {}, false});
  };
  if (!unknown.classes.empty()) none({Say::no_rule_for, {unknown.classes}});
  if (!unknown.packs.empty()) none({Say::packs_not_known, {unknown.packs}});
  if (!unknown.no_rows.empty()) none({Say::no_model_of_that_kind, {unknown.no_rows}});
  if (!all.empty()) return all;
  none(unknown.others.empty() ? before.outcome.lacking.front()
                              : Message(Say::some_of, {unknown.others}));
  return all;
}

}  // namespace ebb
