// SPDX-License-Identifier: Apache-2.0
#include "plan/questions.h"

#include <fmt/format.h>

#include <algorithm>

namespace ebb {
namespace {

constexpr std::size_t kNamed = 3;
constexpr const char* kMore = "then Ebb can say more";

void add_once(std::vector<std::string>& to, const std::string& name) {
  if (std::ranges::find(to, name) == to.end()) to.push_back(name);
}

/// `a`, `a and b`, `a, b and 3 more`.
std::string listed(std::vector<std::string> names) {
  if (names.empty()) return {};
  std::string last = names.back();
  names.pop_back();
  if (names.size() >= kNamed) {
    last = fmt::format("{} more", names.size() + 1 - kNamed);
    names.resize(kNamed);
  }
  return names.empty() ? last : fmt::format("{} and {}", fmt::join(names, ", "), last);
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
  std::vector<std::string> others;   ///< reasons, as sentences have them

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
    const std::string& why = step.demand.asked.source;  // where it is another's, it names that node
    add_once(others, why.find("node ") != std::string::npos
                         ? why
                         : fmt::format("node {} {}: {}", step.id, step.class_type, why));
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
    all.push_back({"tell-files",
                   fmt::format("tell Ebb where the models are (--models FOLDER), or the size of {} "
                               "(--bytes NAME=SIZE)",
                               listed(unknown.sizes)),
                   kMore});
  } else if (!unknown.kinds.empty()) {
    all.push_back({"tell-kinds",
                   fmt::format("tell Ebb where the models are (--models FOLDER): the header may "
                               "tell the kind of {}",
                               listed(unknown.kinds)),
                   "then Ebb may know more"});
  }
  if (!base.sizes.width && !base.sizes.height) {
    Trial sized = base;
    sized.sizes.width = sized.sizes.height = 1024;
    if (tells(std::move(sized), before, predict, trials_left)) {
      all.push_back({"tell-size", "tell Ebb the size of the picture: --size WIDTHxHEIGHT", kMore});
    }
  }
  if (before.outcome.verdict != Verdict::unknown) return all;
  const auto none = [&all](std::string why) {
    all.push_back({"no-option", "no option: " + std::move(why), "-", false});
  };
  if (!unknown.classes.empty()) {
    none("Ebb has no rule yet for " + listed(unknown.classes));
  }
  if (!unknown.packs.empty()) {
    none("Ebb does not know yet what these packs hold: " + listed(unknown.packs));
  }
  if (!unknown.no_rows.empty()) {
    none("Ebb knows no model yet of the kind of " + listed(unknown.no_rows));
  }
  if (!all.empty()) return all;
  none(unknown.others.empty() ? before.outcome.lacking.front() : listed(unknown.others));
  return all;
}

}  // namespace ebb
