// SPDX-License-Identifier: Apache-2.0
// Reports of anything: hostile names, absurd sizes, indices out of range, missing vectors.
#include <limits>
#include <random>

#include "tests/pass/two_pass.h"
#include "tests/report/sample.h"

namespace ebb::test {
namespace {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  int number(int from, int to) { return std::uniform_int_distribution(from, to)(engine_); }
  bool coin(double p = 0.5) { return std::bernoulli_distribution(p)(engine_); }
  std::int64_t bytes() {
    if (coin(0.03)) return std::numeric_limits<std::int64_t>::max() / 4;
    if (coin(0.03)) return -5;
    return coin(0.15) ? 0 : static_cast<std::int64_t>(engine_() % (48ULL << 30));
  }
  double real() {
    static constexpr double kOdd[] = {0,
                                      1e-9,
                                      1e300,
                                      -1,
                                      std::numeric_limits<double>::infinity(),
                                      std::numeric_limits<double>::quiet_NaN()};
    return coin(0.1) ? kOdd[number(0, 5)] : number(0, 100000) / 1000.0;
  }
  template <class T>
  std::optional<T> maybe(T value) {
    return coin(0.7) ? std::optional(value) : std::nullopt;
  }
  std::string text(int words_max = 6) {
    static const std::vector<std::string> kParts = {"wan2.2",
                                                    "high_noise",
                                                    "<script>alert(1)</script>",
                                                    "\"",
                                                    "'",
                                                    "&amp;",
                                                    "]]>",
                                                    "\x1b[31m",
                                                    "\xff\xfe",
                                                    "模型",
                                                    "é",
                                                    "model.safetensors",
                                                    "a_very_long_name_without_any_spaces_at_all",
                                                    "\n",
                                                    "--",
                                                    "-->",
                                                    "\xf0\x9f\x98\x80",
                                                    "x"};
    std::string result;
    for (int n = number(0, words_max); n > 0; --n) {
      result += kParts[number(0, static_cast<int>(kParts.size()) - 1)];
      if (coin()) result += ' ';
    }
    return result;
  }
  Quantity quantity() { return {bytes(), static_cast<NumberKind>(number(0, 5)), text()}; }
  Figure figure() { return {real() * 1e9, static_cast<NumberKind>(number(0, 5)), text(2)}; }
  std::vector<std::int64_t> sizes(int count) {
    std::vector<std::int64_t> result;
    for (int i = number(0, count); i > 0; --i) result.push_back(bytes());
    return result;
  }

  /// One of `count` weights, or none that is there.
  WeightsIndex of(int count) { return WeightsIndex::of(number(-1, count)); }

 private:
  std::mt19937_64 engine_;
};

StepState random_state(Dice& dice, int weights) {
  StepState s;
  for (const std::int64_t bytes : dice.sizes(weights)) s.vram.push_back(bytes);
  for (const std::int64_t bytes : dice.sizes(weights)) s.ram.push_back(bytes);
  s.vram_others_bytes = dice.bytes();
  s.live_bytes = dice.bytes();
  s.reserved_bytes = dice.bytes();
  s.demand_known = dice.coin(0.8);
  s.ram_data_bytes = dice.bytes();
  s.vram_peak_bytes = dice.bytes();
  s.ram_peak_bytes = dice.bytes();
  s.read_bytes = dice.bytes();
  s.read_seconds = dice.maybe(dice.real());
  s.move_seconds = dice.maybe(dice.real());
  s.stall_seconds = dice.maybe(dice.real());
  s.compute_seconds = dice.maybe(dice.real());
  for (int i = dice.number(0, 2); i > 0; --i) {
    s.loads.push_back({dice.of(weights),
                       dice.coin(),
                       dice.bytes(),
                       dice.bytes(),
                       dice.bytes(),
                       dice.bytes(),
                       dice.bytes(),
                       dice.bytes(),
                       0,
                       0,
                       0,
                       0,
                       {},
                       dice.text()});
    s.evictions.push_back({dice.of(weights), dice.bytes(), dice.coin()});
  }
  return s;
}

PassOutcome random_outcome(Dice& dice) {
  PassOutcome o;
  o.verdict = static_cast<Verdict>(dice.number(0, 5));
  o.causes = {dice.text()};
  o.usable_bytes = dice.maybe(dice.bytes());
  o.loaded_bytes = dice.maybe(dice.bytes());
  o.offloaded_bytes = dice.maybe(dice.bytes());
  o.vram_peak_bytes = dice.maybe(dice.bytes());
  o.ram_peak_bytes = dice.maybe(dice.bytes());
  o.read_bytes = dice.bytes();
  o.read_seconds = dice.maybe(dice.real());
  o.stream_seconds = dice.maybe(dice.real());
  o.stall_seconds = dice.maybe(dice.real());
  o.compute_seconds = dice.maybe(dice.real());
  o.seconds = dice.maybe(dice.real());
  o.above_bytes = dice.coin(0.3) ? dice.bytes() : 0;
  o.ram_pinned_bytes = dice.bytes();
  o.ram_file_pages_bytes = dice.bytes();
  o.repeats = dice.number(0, 60);
  return o;
}

Prediction random_prediction(Dice& dice) {
  Prediction p;
  const int weights = dice.number(0, 9);
  for (int i = 0; i < weights; ++i) {
    Weights w;
    w.id = dice.text(2);
    w.name = dice.text();
    w.role = static_cast<WeightsRole>(dice.number(0, 7));
    w.architecture = dice.text(2);
    w.bytes = dice.bytes();
    w.bytes_from = static_cast<BytesFrom>(dice.number(0, 3));
    test::own_passes(p).weights.push_back(w);
  }
  const int passes = dice.coin(0.1) ? dice.number(30, 200) : dice.number(0, 9);
  for (int i = 0; i < passes; ++i) {
    Pass pass;
    pass.kind = static_cast<StepKind>(dice.number(0, 7));
    pass.first_step = test::own_passes(p).steps.end_index() - (dice.coin(0.02) ? 3 : 0);
    for (int s = dice.number(1, 3); s > 0; --s) {
      Step step;
      step.id = dice.text(1);
      step.kind = pass.kind;
      step.reads = {dice.of(weights)};
      step.demand.minimum = dice.quantity();
      step.demand.live = dice.quantity();
      step.demand.reserved = dice.quantity();
      test::own_passes(p).steps.push_back(step);
      p.timeline.steps.push_back(random_state(dice, weights));
    }
    pass.last_step = test::own_passes(p).steps.end_index() - 1;
    pass.main_step = dice.coin(0.02) ? StepIndex(1000000) : pass.last_step;
    for (int w = dice.number(0, 3); w > 0; --w) pass.weights.push_back(dice.of(weights));
    test::own_passes(p).passes.push_back(pass);
    test::own_passes(p).cuts.push_back(
        {PassIndex::of(i), {{dice.text(1), dice.text(1), dice.quantity().value()}}});
    if (dice.coin(0.95)) p.outcome.passes.push_back(random_outcome(dice));
  }
  p.timeline.policy = {dice.coin() ? Policy::paged : Policy::classic, {0, dice.number(0, 99), 0}};
  p.timeline.vram_limit_bytes = dice.bytes();
  p.timeline.ram_limit_bytes = dice.bytes();
  p.timeline.notes = {dice.text()};
  p.outcome.verdict = static_cast<Verdict>(dice.number(0, 5));
  p.outcome.causes = {dice.text(12)};
  p.outcome.offloaded_bytes = dice.bytes();
  p.outcome.read_bytes = dice.bytes();
  p.outcome.ram_peak_bytes = dice.bytes();
  p.outcome.seconds = dice.maybe(dice.real());
  p.outcome.known_seconds = dice.real();
  if (dice.coin()) {
    test::own_passes(p).picture = Shape{1, 3, dice.number(1, 999), 720, 1280, dice.coin()};
  }
  return p;
}

}  // namespace

Report random_report(std::uint64_t seed) {
  Dice dice(seed);
  Report r;
  r.file = dice.text(8);
  Machine& m = r.trial.machine;
  m.gpu = dice.text(2);
  m.vram_total = dice.quantity();
  m.vram_free = dice.quantity();
  m.ram_total = dice.quantity();
  m.ram_others = dice.quantity();
  m.link_bytes_per_second = dice.figure();
  m.disk_bytes_per_second = dice.figure();
  m.compute_flops_per_second = dice.figure();
  if (dice.coin()) m.flags.reserve_vram_gib = 4;
  r.prediction = random_prediction(dice);
  if (dice.coin(0.3)) r.after = random_prediction(dice);
  r.after_title = dice.text();
  for (int i = dice.number(0, 6); i > 0; --i) {
    r.order.push_back(dice.text(1));
    r.fixes.push_back({dice.text(2),
                       static_cast<FixKind>(dice.number(0, 4)),
                       dice.text(20),
                       {dice.text(20)},
                       {{Say::read_again, {dice.bytes()}}},
                       dice.coin(),
                       dice.maybe(dice.bytes()),
                       dice.maybe(dice.bytes()),
                       dice.maybe(dice.real()),
                       r.trial});
    SweepRow row;
    row.sizes.frames = dice.number(1, 2000000000);
    row.usable_bytes = dice.maybe(dice.bytes());
    row.offloaded_bytes = dice.bytes();
    r.table.push_back(row);
    r.notes.push_back(dice.text(40));
  }
  return r;
}

}  // namespace ebb::test
