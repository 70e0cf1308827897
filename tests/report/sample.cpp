// SPDX-License-Identifier: Apache-2.0
// Reports built by hand, with the figures of the user's case where there are any.
#include "tests/report/sample.h"

#include <algorithm>

#include "tests/pass/two_pass.h"

namespace ebb::test {
namespace {

constexpr std::int64_t mib(double n) { return static_cast<std::int64_t>(n * 0x1p20); }

Quantity computed(std::int64_t bytes, std::string source) {
  return {bytes, NumberKind::computed, std::move(source)};
}

Weights make_weights(std::string id, std::string name, WeightsRole role, std::string architecture,
                     double size_mib) {
  Weights w;
  w.id = w.node = std::move(id);
  w.files = {name + ".safetensors"};
  w.name = std::move(name);
  w.role = role;
  w.architecture = std::move(architecture);
  w.bytes = w.listed_bytes = w.file_bytes = mib(size_mib);
  w.bytes_from = BytesFrom::known;
  w.source = "table of known files";
  w.modules_exact = true;
  return w;
}

/// What a pass of a sample is; everything else follows from it.
struct SamplePass {
  StepKind kind;
  std::vector<std::pair<std::string, std::string>> nodes;  ///< id and class, the last one works
  WeightsIndex weights;
  double asked, live, reserved;
  double loaded, offloaded;
  std::vector<double> vram;
  std::vector<double> ram;
  double ram_data;
  double read;
  double seconds;  ///< of one repeat
  int repeats = 1;
  std::vector<WeightsIndex> evicts;
  std::string crossing;  ///< type that leaves it
  double crossing_mib = 0;
};

/// Adds steps, states, a pass, its outcome and the cut before it.
class SampleBuilder {
 public:
  explicit SampleBuilder(Report& report) : r_(report) {
    r_.prediction.timeline.vram_limit_bytes = r_.trial.machine.vram_total.bytes;
    r_.prediction.timeline.ram_limit_bytes = r_.trial.machine.ram_total.bytes;
  }

  void add(const SamplePass& p) {
    Passes& all = test::own_passes(r_.prediction);
    Pass pass;
    pass.first_step = all.steps.end_index();
    pass.kind = p.kind;
    pass.weights = {p.weights};
    for (std::size_t i = 0; i < p.nodes.size(); ++i) add_step(p, i);
    pass.last_step = pass.main_step = all.steps.end_index() - 1;
    if (!all.passes.empty()) {
      Cut cut;
      cut.after_pass = all.passes.end_index() - 1;
      cut.crossing = {{crossing_.first, last_node_, mib(crossing_.second)}};
      all.cuts.push_back(cut);
    }
    crossing_ = {p.crossing, p.crossing_mib};
    last_node_ = p.nodes.back().first;
    all.passes.push_back(pass);
    add_outcome(p);
  }

 private:
  void add_step(const SamplePass& p, std::size_t i) {
    const bool works = i + 1 == p.nodes.size();
    Step step;
    step.node = NodeIndex::of(test::own_passes(r_.prediction).steps.size());
    step.id = p.nodes[i].first;
    step.class_type = p.nodes[i].second;
    step.kind = works ? p.kind : StepKind::load;
    if (works) step.uses = {p.weights};
    if (!works) step.reads = {p.weights};
    r_.order.push_back(step.id);
    StepState state;
    for (const double v : p.vram) state.vram.push_back(mib(v));
    for (const double v : p.ram) state.ram.push_back(mib(v));
    state.vram_others_bytes = r_.trial.machine.vram_others_bytes();
    state.ram_data_bytes = mib(p.ram_data);
    if (works) work(p, step, state);
    sum_up(state);
    test::own_passes(r_.prediction).steps.push_back(step);
    r_.prediction.timeline.steps.push_back(state);
  }

  void work(const SamplePass& p, Step& step, StepState& state) {
    step.demand.asked = step.demand.minimum = asked(p);
    step.demand.live = live(p);
    step.demand.reserved = reserved(p);
    step.demand.repeats = p.repeats;
    state.live_bytes = mib(p.live);
    state.reserved_bytes = mib(p.reserved);
    state.read_bytes = mib(p.read);
    state.read_seconds = p.read / 2900;
    state.moved_bytes = mib(p.loaded);
    state.move_seconds = p.loaded / 24000;
    state.streamed_bytes = mib(p.offloaded) * p.repeats;
    state.stream_seconds = p.offloaded / 24000 * p.repeats;
    state.stall_seconds = 0;
    state.compute_seconds = p.seconds * p.repeats;
    Load load;
    load.weights = p.weights;
    load.full = p.offloaded == 0;
    load.free_bytes = r_.trial.machine.vram_free.bytes;
    load.minimum_bytes = mib(p.asked);
    load.reserve_bytes = mib(r_.trial.machine.flags.reserve_vram_gib.value_or(0.6836) * 1024);
    load.usable_bytes =
        std::max(load.free_bytes - load.minimum_bytes - load.reserve_bytes, 128_MiB);
    load.loaded_bytes = mib(p.loaded);
    load.offloaded_bytes = mib(p.offloaded);
    load.log = load.full ? "loaded completely" : "loaded partially";
    state.loads = {load};
    for (const WeightsIndex w : p.evicts) {
      state.evictions.push_back({w, test::own_passes(r_.prediction).weights[w].bytes, false});
    }
  }

  void sum_up(StepState& state) const {
    state.vram_peak_bytes = state.vram_others_bytes + state.reserved_bytes;
    for (const auto v : state.vram) state.vram_peak_bytes += v;
    state.ram_peak_bytes = r_.trial.machine.ram_others.bytes + state.ram_data_bytes;
    for (const auto v : state.ram) state.ram_peak_bytes += v;
  }

  static Quantity asked(const SamplePass& p) {
    return computed(mib(p.asked), "area x bytes x 0.01 x usage factor 2.3042");
  }
  static Quantity live(const SamplePass& p) {
    return {mib(p.live), NumberKind::measured, "traced run"};
  }
  static Quantity reserved(const SamplePass& p) {
    return {mib(p.reserved), NumberKind::measured, "traced run"};
  }

  void add_outcome(const SamplePass& p) {
    const StepState& state = r_.prediction.timeline.steps.back();
    const Load& load = state.loads[0];
    PassOutcome o;
    o.verdict = p.offloaded > 0 ? Verdict::offloads : Verdict::fits;
    o.usable_bytes = load.usable_bytes;
    o.loaded_bytes = load.loaded_bytes;
    o.offloaded_bytes = load.offloaded_bytes;
    o.vram_peak_bytes = state.vram_peak_bytes;
    o.ram_peak_bytes = state.ram_peak_bytes;
    o.read_bytes = state.read_bytes;
    o.read_seconds = state.read_seconds;
    o.stream_seconds = p.offloaded / 24000;
    o.stall_seconds = 0;
    o.compute_seconds = p.seconds;
    o.seconds = *state.read_seconds + *state.move_seconds + *state.compute_seconds;
    o.repeats = p.repeats;
    if (p.offloaded > 0) {
      o.causes = {{Say::weights_offloaded,
                   {load.minimum_bytes, load.reserve_bytes, load.free_bytes, load.usable_bytes,
                    load.loaded_bytes + load.offloaded_bytes}}};
    }
    Outcome& all = r_.prediction.outcome;
    all.verdict = std::max(all.passes.empty() ? Verdict::fits : all.verdict, o.verdict);
    if (!o.causes.empty()) all.causes = o.causes;
    all.offloaded_bytes = std::max(all.offloaded_bytes, load.offloaded_bytes);
    all.vram_peak_bytes = std::max(all.vram_peak_bytes, state.vram_peak_bytes);
    all.ram_peak_bytes = std::max(all.ram_peak_bytes, state.ram_peak_bytes);
    all.read_bytes += state.read_bytes;
    all.seconds = all.seconds.value_or(0) + *state.read_seconds + *state.move_seconds +
                  *state.compute_seconds;
    all.known_seconds = *all.seconds;
    all.passes.push_back(o);
  }

  Report& r_;
  std::pair<std::string, double> crossing_;
  std::string last_node_;
};

Machine rtx5090() {
  Machine m;
  m.gpu = "RTX 5090";
  m.card.kind = NumberKind::given;
  m.vram_total = {32607_MiB, NumberKind::given, "--vram"};
  m.vram_free = {30724_MiB, NumberKind::given, "--vram-free"};
  m.ram_total = {64_GiB, NumberKind::assumed, "not given, not probed"};
  m.ram_others = {mib(8.5 * 1024), NumberKind::assumed, "Windows, a browser, ComfyUI idle"};
  m.os = Os::windows;
  m.os_kind = NumberKind::given;
  m.link_bytes_per_second = {25.2e9, NumberKind::assumed, "PCIe 5.0 x16"};
  m.disk_bytes_per_second = {3.04e9, NumberKind::assumed, "NVMe"};
  m.ram_bytes_per_second = {12e9, NumberKind::assumed, "one copying thread"};
  m.compute_flops_per_second = {150e12, NumberKind::assumed, "maker's figure, 70 %"};
  m.comfyui = {0, 3, 73};
  m.comfyui_kind = NumberKind::assumed;
  return m;
}

void add_wan_weights(Report& r) {
  test::own_passes(r.prediction).weights = {
      make_weights("38", "umt5_xxl_fp8_e4m3fn_scaled", WeightsRole::text_encoder, "umt5-xxl", 6419),
      make_weights("39", "wan_2.1_vae", WeightsRole::vae, "wan21-vae", 242),
      make_weights("37", "wan2.2_i2v_high_noise_14B_fp8_scaled", WeightsRole::diffusion, "wan-14b",
                   13629),
      make_weights("56", "wan2.2_i2v_low_noise_14B_fp8_scaled", WeightsRole::diffusion, "wan-14b",
                   13629)};
}

/// Passes of the Wan case with so much of each expert left in RAM.
void add_wan_passes(Report& r, double off, double asked = 15299, double live = 7420) {
  SampleBuilder b(r);
  const double on = 13629 - off;
  // clang-format off
  b.add({StepKind::encode_text, {{"38", "CLIPLoader"}, {"6", "CLIPTextEncode"}}, 0, 1024, 210,
         260, 6419, 0, {6419, 0, 0, 0}, {0, 0, 0, 0}, 8, 6424, 0.9, 2, {}, "CONDITIONING", 8});
  b.add({StepKind::encode_image, {{"39", "VAELoader"}, {"50", "WanImageToVideo"}}, 1, 5590,
         4100, 4700, 242, 0, {6419, 242, 0, 0}, {0, 0, 0, 0}, 68, 242, 4.1, 1, {}, "LATENT",
         48});
  b.add({StepKind::sample, {{"37", "UNETLoader"}, {"57", "KSamplerAdvanced"}}, 2, asked, live,
         live * 1.093, on, off, {0, 0, on, 0}, {6419, 242, off, 0}, 88, 13630, 15.2, 4, {0, 1},
         "LATENT", 20});
  b.add({StepKind::sample, {{"56", "UNETLoader"}, {"58", "KSamplerAdvanced"}}, 3, asked, live,
         live * 1.093, on, off, {0, 0, 0, on}, {6419, 242, 13629, off}, 108, 13630, 15.2, 4,
         {2}, "LATENT", 20});
  b.add({StepKind::decode, {{"8", "VAEDecode"}}, 1, 9100, 8220, 9340, 242, 0, {0, 242, 0, 0},
         {6419, 0, 13629, 13629}, 1060, 0, 9.4, 1, {3}, {}});
  // clang-format on
}

void add_wan_answers(Report& r) {
  Trial without = r.trial;
  without.machine.flags.reserve_vram_gib.reset();
  r.fixes = {{"drop-reserve-vram",
              FixKind::flag,
              "start without --reserve-vram 4",
              {"offloaded 2,300 -> 0 MiB"},
              {Say::own_reserve},
              true,
              mib(2300),
              0,
              0.0,
              without},
             {"budget",
              FixKind::node,
              "measured budget on both models",
              {"limit 65 -> 117 frames"},
              {Say::pack_node},
              true,
              mib(2300),
              0,
              std::nullopt,
              r.trial},
             {"drop-at-cut-3",
              FixKind::node,
              "drop high_noise at the cut",
              {"RAM peak -13.3 GiB"},
              {{Say::pack_node}, {Say::read_again, {mib(13629)}}},
              true,
              0,
              mib(13629),
              std::nullopt,
              r.trial},
             {"unload-at-cut-3",
              FixKind::nothing,
              "unload node between the passes",
              {"VRAM: 0. ComfyUI already evicts high_noise."},
              {},
              false,
              0,
              0,
              0.0,
              r.trial}};
  for (Fix& fix : r.fixes) fix.verdict = Verdict::offloads;
  r.fixes[0].verdict = r.fixes[1].verdict = Verdict::fits;
  const auto row = [&](std::int64_t frames, double usable, double off) {
    SweepRow s;
    s.sizes.frames = frames;
    s.outcome.verdict = off > 0 ? Verdict::offloads : Verdict::fits;
    s.usable_bytes = mib(usable);
    s.offloaded_bytes = mib(off);
    return s;
  };
  r.table = {row(61, 14972, 0), row(73, 12786, 845), row(81, 11329, 2300), row(121, 4044, 9591),
             row(161, 128, 13505)};
  r.largest_resident_frames = 65;
}

}  // namespace

Report wan_two_passes() {
  Report r;
  r.file = "video_wan2_2_14B_i2v.json";
  r.trial.machine = rtx5090();
  r.trial.machine.flags.reserve_vram_gib = 4;
  r.prediction.timeline.policy = {Policy::classic, {0, 3, 73}};
  test::own_passes(r.prediction).picture = Shape{1, 3, 81, 1216, 832, true};
  add_wan_weights(r);
  add_wan_passes(r, 2300);
  add_wan_answers(r);
  Report fixed = r;
  fixed.trial.machine.flags.reserve_vram_gib.reset();
  fixed.prediction = {};
  add_wan_weights(fixed);
  add_wan_passes(fixed, 0);
  r.after = fixed.prediction;
  r.after_title = "start without --reserve-vram 4";
  return r;
}

Report wan_at_the_floor() {
  Report r;
  r.file = "video_wan2_2_14B_i2v.json";
  r.trial.machine = rtx5090();
  r.trial.machine.flags.reserve_vram_gib = 4;
  r.prediction.timeline.policy = {Policy::classic, {0, 3, 73}};
  test::own_passes(r.prediction).picture = Shape{1, 3, 161, 1216, 832, true};
  add_wan_weights(r);
  add_wan_passes(r, 13504.81, 29868, 14486);
  r.fixes = {{"budget",
              FixKind::node,
              "measured budget on both models",
              {"offloaded 13,505 -> 8,200 MiB"},
              {Say::pack_node},
              true,
              mib(5305),
              0,
              std::nullopt,
              r.trial}};
  return r;
}

Report picture_that_fits() {
  Report r;
  r.file = "workflows/sdxl_simple.json";
  Machine& m = r.trial.machine;
  m = rtx5090();
  m.gpu = "RTX 3060 12 GB";
  m.card.kind = NumberKind::given;
  m.vram_total = {12288_MiB, NumberKind::computed, "table of cards"};
  m.vram_free = {11600_MiB, NumberKind::assumed, "allowance for a desktop"};
  m.ram_total = {32_GiB, NumberKind::probed, "operating system"};
  m.os = Os::linux;
  r.prediction.timeline.policy = {Policy::classic, {0, 3, 73}};
  test::own_passes(r.prediction).picture = Shape{1, 3, 1, 1024, 1024, false};
  test::own_passes(r.prediction).weights = {
      make_weights("4.clip", "sd_xl_base_1.0", WeightsRole::text_encoder, "sdxl-clip", 1560),
      make_weights("4", "sd_xl_base_1.0", WeightsRole::diffusion, "sdxl", 4897),
      make_weights("4.vae", "sd_xl_base_1.0", WeightsRole::vae, "kl-vae", 160)};
  SampleBuilder b(r);
  // clang-format off
  b.add({StepKind::encode_text, {{"4", "CheckpointLoaderSimple"}, {"6", "CLIPTextEncode"}}, 0,
         0, 90, 120, 1560, 0, {1560, 0, 0}, {0, 4897, 160}, 4, 6617, 0.05, 2, {},
         "CONDITIONING", 1});
  b.add({StepKind::sample, {{"3", "KSampler"}}, 1, 1290, 760, 910, 4897, 0, {1560, 4897, 0}, {0,
         0, 160}, 5, 0, 0.31, 20, {}, "LATENT", 0.06});
  b.add({StepKind::decode, {{"8", "VAEDecode"}}, 2, 4600, 3900, 4200, 160, 0, {1560, 4897, 160},
         {0, 0, 0}, 17, 0, 0.5, 1, {}, "", 0});
  // clang-format on
  r.fixes = {{"nothing",
              FixKind::nothing,
              "nothing: it already fits",
              {"-"},
              {},
              true,
              0,
              0,
              0.0,
              r.trial}};
  return r;
}

Report picture_that_spills() {
  Report r = picture_that_fits();
  r.trial.machine.os = Os::windows;
  PassOutcome& o = r.prediction.outcome.passes[2];
  Demand& demand = own_passes(r.prediction).steps[3].demand;
  demand.live.bytes = 6400_MiB;
  demand.reserved.bytes = 7300_MiB;
  o.verdict = r.prediction.outcome.verdict = Verdict::spills;
  StepState& state = r.prediction.timeline.steps[3];
  state.vram_peak_bytes += 7300_MiB - state.reserved_bytes;
  state.live_bytes = 6400_MiB;
  state.reserved_bytes = 7300_MiB;
  o.vram_peak_bytes = r.prediction.outcome.vram_peak_bytes = state.vram_peak_bytes;
  o.causes = r.prediction.outcome.causes = {
      "weights and 7,300 MiB of demand are more than the 12,288 MiB of the card"};
  r.fixes[0] = {
      "tile-vae",   FixKind::node, "decode in tiles", {"peak 14,605 -> 8,900 MiB"}, {}, true, 0, 0,
      std::nullopt, r.trial};
  return r;
}

Report unknown_weights() {
  Report r = picture_that_fits();
  r.file = "somebody/elses workflow.json";
  auto& p = r.prediction;
  Weights& w = own_passes(p).weights[1];
  w.name = "mystery_merge_v7";
  w.architecture.clear();
  w.bytes_from = BytesFrom::unknown;
  w.bytes = w.listed_bytes = w.file_bytes = 0;
  w.source = "mystery_merge_v7.safetensors is in no model folder and not in the table";
  const Quantity unknown{0, NumberKind::unknown, "the architecture is not known"};
  PassOutcome& o = p.outcome.passes[1];
  o = {};
  StepState& state = p.timeline.steps[2];
  state = {};
  state.demand_known = false;
  state.vram = {1560_MiB, 0, 0};
  state.vram_others_bytes = r.trial.machine.vram_others_bytes();
  p.timeline.steps[3].vram = {1560_MiB, 0, 160_MiB};
  p.timeline.steps[0].ram = p.timeline.steps[1].ram = {0, 0, 160_MiB};
  state.ram = {0, 0, 160_MiB};
  Demand& demand = own_passes(p).steps[2].demand;
  demand.asked = demand.minimum = demand.live = demand.reserved = unknown;
  p.outcome.verdict = Verdict::unknown;
  p.outcome.seconds.reset();
  r.fixes = {{"give-bytes",
              FixKind::parameter,
              "give --bytes mystery_merge_v7.safetensors=SIZE",
              {"pass 2 can be predicted"},
              {},
              true,
              std::nullopt,
              std::nullopt,
              std::nullopt,
              r.trial}};
  return r;
}

Report forty_passes() {
  Report r;
  r.file = "loop of twenty pictures.json";
  r.trial.machine = rtx5090();
  r.prediction.timeline.policy = {Policy::classic, {0, 3, 73}};
  test::own_passes(r.prediction).picture = Shape{1, 3, 1, 1328, 1328, false};
  test::own_passes(r.prediction).weights = {
      make_weights("1", "qwen_image_fp8_e4m3fn", WeightsRole::diffusion, "qwen-image", 19490),
      make_weights("2", "qwen_image_vae", WeightsRole::vae, "wan21-vae", 242)};
  SampleBuilder b(r);
  for (int i = 0; i < 20; ++i) {
    const std::string n = std::to_string(10 + i);
    b.add({StepKind::sample,
           {{n + ":3", "KSampler"}},
           0,
           2710,
           1900,
           2100,
           19490,
           0,
           {19490, i > 0 ? 242.0 : 0.0},
           {0, i > 0 ? 0.0 : 242.0},
           20,
           i == 0 ? 19490.0 : 0.0,
           1.1,
           20,
           {},
           "LATENT",
           1});
    b.add({StepKind::decode,
           {{n + ":8", "VAEDecode"}},
           1,
           5400,
           4300,
           4900,
           242,
           0,
           {19490, 242},
           {0, 0},
           20,
           i == 0 ? 242.0 : 0.0,
           1.4,
           1,
           {},
           "IMAGE",
           20});
  }
  return r;
}

std::vector<std::pair<std::string, Report>> named_reports() {
  return {{"wan", wan_two_passes()},      {"floor", wan_at_the_floor()},
          {"fits", picture_that_fits()},  {"spills", picture_that_spills()},
          {"unknown", unknown_weights()}, {"forty", forty_passes()}};
}

}  // namespace ebb::test
