// SPDX-License-Identifier: Apache-2.0
// A prediction as its readers see it: passes numbered from one, each with its bands of memory,
// what ComfyUI moved, its seconds; equal passes folded; every index checked.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ebb/printable.h"
#include "ebb/report.h"
#include "report/say.h"

namespace ebb {

/// One pass. Pointers go into the prediction; they are never null.
struct PassView {
  int number = 1;
  StepKind kind = StepKind::other;
  std::vector<WeightsIndex> weights;  ///< in use, main one first; only valid ones
  std::string label;                  ///< `sample high_noise_14B`
  std::vector<std::string> nodes;     ///< ids of its steps
  const PassOutcome* outcome = nullptr;
  const Demand* demand = nullptr;   ///< of its main step
  const StepState* vram = nullptr;  ///< the state at the VRAM peak
  const StepState* ram = nullptr;   ///< the state at the RAM peak
  std::vector<Load> loads;          ///< of all its steps
  std::vector<Eviction> evictions;  ///< of all its steps
  std::vector<WeightsIndex> reads;  ///< weights whose loaders run in it
  std::int64_t reserve_bytes = 0;   ///< subtracted by the load of the main weights
  std::int64_t step_bytes = 0;      ///< the same of the step's memory; paged: with its buffers
  bool reads_unknown = false;       ///< one of the files it reads has an unknown size

  const std::optional<double>& seconds() const { return outcome->seconds; }
  std::optional<std::int64_t> read_bytes() const {
    return reads_unknown ? std::nullopt : std::optional(outcome->read_bytes);
  }
  std::int64_t offloaded_bytes() const { return outcome->offloaded_bytes.value_or(0); }
  bool offloads() const { return offloaded_bytes() > 0; }
};

/// A pass, or the passes after it that repeat what came before.
struct PassRow {
  PassIndex pass = 0;  ///< for a repeat the first repeated one
  int length = 0;      ///< 0: the pass itself; else `length` passes from here on ...
  int period = 0;      ///< ... do again what the `period` passes before them did

  PassIndex last() const { return length > 1 ? pass + (length - 1) : pass; }
};

/// What happens after a pass, in sentences; all empty after the last.
struct CutWords {
  std::string crosses;
  std::string ours;    ///< what Ebb's nodes do
  std::string leaves;  ///< models that ComfyUI moves out by itself

  bool operator==(const CutWords&) const = default;
};

struct View {
  const Prediction* prediction = nullptr;
  List<std::string, WeightsIndex> names;  ///< short
  ShortNames short_names;                 ///< of models whose name is theirs alone
  List<PassView, PassIndex> passes;
  std::vector<PassRow> rows;  ///< passes as listed and drawn; equal ones folded
  int rows_left_out = 0;      ///< passes beyond what a person can read
  bool paged() const { return prediction->timeline.paged(); }
  /// Of one pass, what ComfyUI subtracts from the card for the step's work.
  std::optional<std::int64_t> subtracted(const PassView& pass) const {
    return paged() && !pass.loads.empty() ? pass.step_bytes : pass.demand->subtracted().value();
  }
  /// Printable words, models called as in the tables beside them.
  std::string say(const Message& message) const {
    return printable(ebb::say(message, short_names));
  }
  std::string say(const std::vector<Message>& messages) const {
    return printable(ebb::say(messages, short_names));
  }
  CutWords cut_words(PassIndex pass) const;
  std::string cut_text(PassIndex pass) const;  ///< the same as one text
};

View make_view(const Prediction& prediction);

/// The value of a list over weights, 0 where a policy left it out.
std::int64_t bytes_of(const List<std::int64_t, WeightsIndex>& bytes, WeightsIndex weights);

/// `repeats` in words: `passes 5-12: the same two passes (3-4) four more times`.
std::string repeat_words(const View& view, const PassRow& row);

}  // namespace ebb
