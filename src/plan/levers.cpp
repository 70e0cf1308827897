// SPDX-License-Identifier: Apache-2.0
#include "plan/levers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "machine/versions.h"

namespace ebb {
namespace {

constexpr ComfyVersion kAsyncOffload = {0, 3, 31}, kCacheNone = {0, 3, 28};  // have the flags
constexpr ComfyVersion kReferencesCounted = {0, 3, 43};  // Rules::flux_counts_references

const Weights& weights_of(const Prediction& prediction, WeightsIndex w) {
  return prediction.passes->weights[w];
}

/// Models for a title: `high_noise`, or `both models`, or `3 text encoders`.
Message names(const Prediction& prediction, const std::vector<WeightsIndex>& list,
              Say kind = Say::models) {
  if (list.size() == 1) return {Say::model, {weights_of(prediction, list.front()).name}};
  return list.size() == 2 ? Message(Say::both_of, {kind})
                          : Message(Say::so_many, {list.size(), kind});
}

bool has(const std::vector<WeightsIndex>& list, WeightsIndex value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

/// The last pass that uses these weights, if one does.
PassIndex last_use(const Passes& passes, WeightsIndex w) {
  PassIndex last;
  for (const PassIndex p : passes.passes.indices()) {
    if (has(passes.passes[p].weights, w)) last = p;
  }
  return last;
}

/// The next value of the budget node's widget, which counts in thousandths of a GiB.
std::int64_t as_the_node_has_it(std::int64_t bytes) {
  const double thousandths = std::ceil(1000 * static_cast<double>(bytes) / (1LL << 30));
  return static_cast<std::int64_t>(thousandths / 1000 * (1LL << 30));
}

/// A budget for every sampler that Ebb knows to need less than ComfyUI asks. It is never below what
/// is live, and covers the allocator's slack.
std::vector<Budget> measured_budgets(const Prediction& prediction) {
  std::vector<Budget> budgets;
  const auto& steps = prediction.passes->steps;
  for (const StepIndex s : steps.indices()) {
    const Demand& demand = steps[s].demand;
    if (steps[s].kind != StepKind::sample || steps[s].uses.empty() || !demand.live.known() ||
        !demand.reserved.known() || !demand.minimum.known()) {
      continue;
    }
    const auto live_high =
        static_cast<std::int64_t>(static_cast<double>(demand.live.bytes) * demand.high);
    const std::int64_t minimum = as_the_node_has_it(std::max(demand.reserved.bytes, live_high));
    if (minimum < demand.minimum.bytes) {
      budgets.push_back({steps[s].uses.front(), minimum, s});
    }
  }
  return budgets;
}

/// Predicts with the budgets that belong to each trial's own sizes.
Predict with_budgets(const Predict& predict) {
  return [&predict](const Trial& trial) -> Result<Prediction> {
    auto plain = predict(trial);
    if (!plain) return plain;
    Trial budgeted = trial;
    budgeted.levers.budgets = measured_budgets(*plain);
    return predict(budgeted);
  };
}

/// Where a lever moves the largest frame count that stays whole.
Message limit_note(std::optional<std::int64_t> was, std::optional<std::int64_t> is) {
  if (!is || is == was) return {};
  return was ? Message(Say::limit_moves, {*was, *is}) : Message(Say::then_so_many_frames, {*is});
}

void note_limit(Lever& lever, const Trial& base, const Prediction& before, const Predict& predict) {
  lever.limit = limit_note(largest_resident_frames(base, before, predict),
                           largest_resident_frames(lever.trial, before, predict));
}

Lever without_flag(const Trial& base, std::string id, std::string flag, Say cost,
                   void (*change)(ComfyFlags&)) {
  Lever lever{std::move(id), FixKind::flag, {Say::start_without, {flag}}, {cost}, {}, true, base};
  change(lever.trial.machine.flags);
  return lever;
}

/// The sampler that takes more than the weights beside it leave of the card; null if none does.
const Step* short_of_room(const Prediction& prediction) {
  const Passes& all = *prediction.passes;
  for (const StepIndex s : all.steps.indices()) {
    const Step& step = all.steps[s];
    if (step.kind != StepKind::sample || !step.demand.reserved.known()) continue;
    const StepState& state = prediction.timeline.steps[s];
    double bytes = static_cast<double>(state.vram_others_bytes);
    bytes += static_cast<double>(step.demand.reserved.bytes);
    for (const std::int64_t held : state.vram) bytes += static_cast<double>(held);
    if (bytes > static_cast<double>(prediction.timeline.vram_limit_bytes)) return &step;
  }
  return nullptr;
}

/// A release that counts what this one forgets: there a step is given the room that it takes.
void add_update(std::vector<Lever>& levers, const Trial& base, const Prediction& before,
                const Predict& predict) {
  const Step* step = short_of_room(before);
  if (rules_for(base.machine.comfyui).flux_counts_references || !step) return;
  Lever lever{"update",
              FixKind::version,
              {Say::update_to, {to_string(kReferencesCounted)}},
              {Say::update},
              {},
              false,
              base};
  lever.trial.machine.comfyui = kReferencesCounted;
  const auto after = predict(lever.trial);
  if (!after) return;
  const std::int64_t asked = step->demand.subtracted().bytes;
  const auto index = StepIndex::of(step - before.passes->steps.data());
  const std::int64_t then = after->passes->steps[index].demand.subtracted().bytes;
  if (then <= asked) return;
  lever.remedy = {Say::references_are_counted, {then, asked}};
  levers.push_back(std::move(lever));
}

/// What this release lacks: flags that it knows and does not have by default, or an update.
void add_missing(std::vector<Lever>& levers, const Trial& base, const Prediction& before,
                 const Predict& predict) {
  const ComfyFlags& flags = base.machine.flags;
  const ComfyVersion& version = base.machine.comfyui;
  const Rules& rules = rules_for(version);
  const bool in_turn = offload_streams(base.machine) < 2 && !flags.disable_async_offload;
  if (before.outcome.offloaded_bytes > 0 && in_turn && rules.streams >= 2) {
    levers.push_back(without_flag(
        base, "drop-async-offload", fmt::format("--async-offload {}", *flags.async_offload),
        Say::own_streams, [](ComfyFlags& f) { f.async_offload.reset(); }));
  } else if (before.outcome.offloaded_bytes > 0 && in_turn && version >= kAsyncOffload) {
    Lever lever{"async-offload",
                FixKind::flag,
                {Say::start_with, {"--async-offload"}},
                {Say::streamed_layer},
                {},
                false,
                base};
    lever.trial.machine.flags.async_offload = 2;
    levers.push_back(std::move(lever));
  }
  add_update(levers, base, before, predict);
  if (flags.cache == CacheKind::standard && version >= kCacheNone &&
      (before.outcome.verdict == Verdict::ram_short ||
       nearly_full(before.outcome.ram_peak_bytes, base.machine.ram_total))) {
    Lever lever{"cache-none",
                FixKind::flag,
                {Say::start_with, {"--cache-none"}},
                {Say::everything_again},
                {},
                false,
                base};
    lever.trial.machine.flags.cache = CacheKind::none;
    levers.push_back(std::move(lever));
  }
}

}  // namespace

std::vector<Lever> flag_levers(const Trial& base, const Prediction& before,
                               const Predict& predict) {
  std::vector<Lever> levers;
  const ComfyFlags& flags = base.machine.flags;
  if (flags.reserve_vram_gib) {
    levers.push_back(without_flag(
        base, "drop-reserve-vram", fmt::format("--reserve-vram {:g}", *flags.reserve_vram_gib),
        Say::own_reserve, [](ComfyFlags& f) { f.reserve_vram_gib.reset(); }));
  }
  if (flags.vram_headroom_gib) {
    levers.push_back(without_flag(
        base, "drop-vram-headroom", fmt::format("--vram-headroom {:g}", *flags.vram_headroom_gib),
        Say::own_headroom, [](ComfyFlags& f) { f.vram_headroom_gib.reset(); }));
  }
  if (flags.vram_state != VramState::normal) {
    const char* name = flags.vram_state == VramState::high  ? "--highvram"
                       : flags.vram_state == VramState::low ? "--lowvram"
                                                            : "--novram";
    levers.push_back(without_flag(base, fmt::format("drop-{}", name + 2), name, Say::none_known,
                                  [](ComfyFlags& f) { f.vram_state = VramState::normal; }));
  }
  if (flags.gpu_only) {
    levers.push_back(without_flag(base, "drop-gpu-only", "--gpu-only", Say::none_known,
                                  [](ComfyFlags& f) { f.gpu_only = false; }));
  }
  if (flags.disable_smart_memory) {
    levers.push_back(without_flag(base, "drop-disable-smart-memory", "--disable-smart-memory",
                                  Say::none_known,
                                  [](ComfyFlags& f) { f.disable_smart_memory = false; }));
  }
  if (flags.disable_async_offload) {
    levers.push_back(without_flag(base, "drop-disable-async-offload", "--disable-async-offload",
                                  Say::none_known,
                                  [](ComfyFlags& f) { f.disable_async_offload = false; }));
  }
  for (const std::string& flag : flags.other) {
    if (flag != "--use-split-cross-attention" && flag != "--use-quad-cross-attention") continue;
    levers.push_back(
        without_flag(base, "drop-" + flag.substr(2), flag, Say::own_attention, [](ComfyFlags& f) {
          std::erase_if(f.other, [](const std::string& other) {
            return other == "--use-split-cross-attention" || other == "--use-quad-cross-attention";
          });
          f.disable_xformers_and_pytorch_attention = false;
        }));
  }
  if (before.outcome.offloaded_bytes > 0) {
    for (Lever& lever : levers) note_limit(lever, base, before, predict);
  }
  add_missing(levers, base, before, predict);
  if (before.timeline.paged() && rank(before.outcome.verdict) >= rank(Verdict::may_run_out)) {
    Lever lever{"disable-dynamic-vram",
                FixKind::flag,
                {Say::start_with, {"--disable-dynamic-vram"}},
                {Say::older_manager},
                {},
                false,
                base};
    lever.trial.machine.flags.disable_dynamic_vram = true;
    levers.push_back(std::move(lever));
  }
  return levers;
}

std::vector<Lever> budget_levers(const Trial& base, const Prediction& before,
                                 const Predict& predict) {
  if (before.outcome.offloaded_bytes == 0) return {};
  Lever lever{"budget", FixKind::node, {}, {Say::pack_node}, {}, false, base};
  lever.trial.levers.budgets = measured_budgets(before);
  if (lever.trial.levers.budgets.empty()) return {};
  std::vector<WeightsIndex> models;
  for (const Budget& budget : lever.trial.levers.budgets) {
    if (!has(models, budget.weights)) models.push_back(budget.weights);
  }
  lever.title = {Say::measured_budget_on, {names(before, models)}};
  lever.limit = limit_note(largest_resident_frames(base, before, predict),
                           largest_resident_frames(base, before, with_budgets(predict)));
  return {lever};
}

std::vector<Lever> tile_levers(const Trial& base, const Prediction& before) {
  if (base.sizes.tile_vae) return {};
  for (const PassIndex p : before.passes->passes.indices()) {
    if (before.passes->passes[p].kind != StepKind::decode) continue;
    if (before.outcome.passes[p].verdict == Verdict::fits) continue;
    Lever lever{"tile-vae", FixKind::parameter, Say::decode_in_tiles, {Say::slow_decode}, {}, false,
                base};
    lever.trial.sizes.tile_vae = true;
    return {lever};
  }
  return {};
}

namespace {

/// Cuts between two sampling passes of different diffusion models, where people want to unload.
std::vector<PassIndex> switches(const Passes& passes) {
  std::vector<PassIndex> cuts;
  PassIndex sampled;
  for (const PassIndex p : passes.passes.indices()) {
    const Pass& pass = passes.passes[p];
    if (pass.kind != StepKind::sample) continue;
    if (sampled.exists() && passes.passes[sampled].weights.front() != pass.weights.front()) {
      cuts.push_back(sampled);
    }
    sampled = p;
  }
  return cuts;
}

Lever unload_lever(const Trial& base, const Prediction& before,
                   const std::vector<PassIndex>& cuts) {
  Lever lever{"unload", FixKind::node, Say::unload_between, {}, {}, true, base};
  for (const PassIndex cut : cuts) {
    lever.trial.levers.cuts.push_back({cut, CutAction::unload_all, {}});
  }
  lever.same = Say::unload_changes_nothing;
  // Said only where the policy does it: the model before the cut leaves in the pass after it.
  const PassIndex at = cuts.front();
  const WeightsIndex model = before.passes->passes[at].weights.front();
  const Pass& next = before.passes->passes[at + 1];
  for (StepIndex s = next.first_step; s <= next.last_step; ++s) {
    for (const Eviction& gone : before.timeline.steps[s].evictions) {
      if (gone.weights != model || gone.partial) continue;
      lever.same = {Say::comfyui_evicts_already, {weights_of(before, model).name}};
      return lever;
    }
  }
  return lever;
}

/// Parks (out of VRAM) or drops (out of RAM, too) each text encoder and each diffusion model after
/// its last pass.
std::vector<Lever> release_levers(const Trial& base, const Prediction& before, CutAction action) {
  const std::string verb = to_string(action);
  std::vector<Lever> levers;
  for (const WeightsRole role : {WeightsRole::text_encoder, WeightsRole::diffusion}) {
    Lever lever{"", FixKind::node, {}, {Say::pack_node}, {}, false, base};
    std::vector<WeightsIndex> released;
    std::int64_t bytes = 0;
    for (const WeightsIndex w : before.passes->weights.indices()) {
      const Weights& weights = weights_of(before, w);
      const PassIndex last = last_use(*before.passes, w);
      if (weights.role != role || !weights.known() || !last.exists() ||
          !before.passes->passes.has(last + 1)) {
        continue;
      }
      lever.trial.levers.cuts.push_back({last, action, {w}});
      released.push_back(w);
      bytes += weights.file_bytes > 0 ? weights.file_bytes : weights.bytes;
    }
    if (released.empty()) continue;
    const bool encoder = role == WeightsRole::text_encoder;
    lever.id = verb + (encoder ? "-text-encoder" : "-diffusion");
    const Say one = encoder ? Say::release_text_encoder : Say::release_model;
    const Say kind = encoder ? Say::text_encoders : Say::models;
    lever.title = {released.size() == 1 ? one : Say::release_each,
                   {verb, names(before, released, kind)}};
    if (action == CutAction::drop) lever.costs.push_back({Say::read_again, {bytes}});
    levers.push_back(std::move(lever));
  }
  return levers;
}

/// Reads the next model's file ahead while a sampling pass computes.
std::vector<Lever> prefetch_levers(const Trial& base, const Prediction& before,
                                   const std::vector<PassIndex>& cuts) {
  Lever lever{"prefetch", FixKind::node, {}, {Say::pack_node, Say::page_cache}, {}, false, base};
  std::vector<WeightsIndex> models;
  for (const PassIndex cut : cuts) {
    const PassIndex next = cut + 1;
    if (cut < 1 || before.outcome.passes[next].read_bytes == 0) continue;
    const WeightsIndex w = before.passes->passes[next].weights.front();
    lever.trial.levers.cuts.push_back({cut - 1, CutAction::prefetch, {w}});
    models.push_back(w);
  }
  if (models.empty()) return {};
  lever.title = {Say::prefetch_during_the_pass_before, {names(before, models)}};
  return {lever};
}

}  // namespace

std::vector<Lever> cut_levers(const Trial& base, const Prediction& before) {
  std::vector<Lever> levers = release_levers(base, before, CutAction::park);
  for (Lever& lever : release_levers(base, before, CutAction::drop)) {
    levers.push_back(std::move(lever));
  }
  auto cuts = switches(*before.passes);
  for (const CutStep& own : before.passes->own.cuts) {
    if (own.action != CutAction::prefetch) std::erase(cuts, own.after_pass);
  }
  if (cuts.empty()) return levers;
  for (Lever& lever : prefetch_levers(base, before, cuts)) levers.push_back(std::move(lever));
  levers.push_back(unload_lever(base, before, cuts));
  return levers;
}

namespace {

/// What a smaller size is to reach: no model is offloaded, or where a step may run out of memory,
/// that it does not.
bool is_enough(const Prediction& before, const Outcome& after) {
  if (rank(before.outcome.verdict) < rank(Verdict::may_run_out) ||
      before.outcome.verdict == Verdict::ram_short) {
    return after.offloaded_bytes == 0;
  }
  return rank(after.verdict) < rank(Verdict::may_run_out);
}

/// The largest frame count below that of the video that is enough, in steps of the model.
std::optional<std::int64_t> fewer_frames(const Trial& base, const Prediction& before,
                                         const Predict& predict) {
  const auto stride = stride_of(*before.passes);
  if (!stride || !before.passes->picture) return std::nullopt;
  const auto enough = [&](std::int64_t steps) {
    Trial trial = base;
    trial.sizes.frames = 1 + *stride * steps;
    const auto result = predict(trial);
    return result.ok() && is_enough(before, result->outcome);
  };
  std::int64_t good = 0;
  std::int64_t bad = (before.passes->picture->frames - 1) / *stride;
  if (bad <= good || !enough(good)) return std::nullopt;
  while (bad - good > 1) {
    const std::int64_t middle = good + (bad - good) / 2;
    (enough(middle) ? good : bad) = middle;
  }
  return 1 + *stride * good;
}

/// The largest picture of the same aspect, in multiples of 16, that is enough.
std::optional<Lever> smaller_picture(const Trial& base, const Prediction& before,
                                     const Predict& predict) {
  if (!before.passes->picture) return std::nullopt;
  const Shape& picture = *before.passes->picture;
  const auto sized = [&](std::int64_t width16) {
    Trial trial = base;
    trial.sizes.width = 16 * width16;
    trial.sizes.height =
        std::max<std::int64_t>(16, (picture.height * width16 * 16 / picture.width + 8) / 16 * 16);
    return trial;
  };
  const auto whole = [&](std::int64_t width16) {
    const auto result = predict(sized(width16));
    return result.ok() && is_enough(before, result->outcome);
  };
  std::int64_t good = 256 / 16;  // below this a picture is of no use
  std::int64_t bad = (picture.width + 15) / 16;
  if (bad <= good || !whole(good)) return std::nullopt;
  while (bad - good > 1) {
    const std::int64_t middle = good + (bad - good) / 2;
    (whole(middle) ? good : bad) = middle;
  }
  const Trial trial = sized(good);
  const double share = static_cast<double>(*trial.sizes.width * *trial.sizes.height) /
                       static_cast<double>(picture.width * picture.height);
  const bool above = rank(before.outcome.verdict) >= rank(Verdict::may_run_out);
  if (share < (above ? 0.2 : 0.5)) return std::nullopt;
  return Lever{
      "fewer-pixels",
      FixKind::parameter,
      {Say::render_size, {*trial.sizes.width, *trial.sizes.height, picture.width, picture.height}},
      {{Say::share_of_pixels, {std::llrint(100 * share)}}},
      {},
      false,
      trial};
}

}  // namespace

std::vector<Lever> size_levers(const Trial& base, const Prediction& before,
                               const Predict& predict) {
  std::vector<Lever> levers;
  const bool above = rank(before.outcome.verdict) >= rank(Verdict::may_run_out);
  if (before.outcome.offloaded_bytes == 0 && !above) return levers;
  const auto frames =
      above ? fewer_frames(base, before, predict) : largest_resident_frames(base, before, predict);
  // Half of a video or picture is no fix.
  if (frames && before.passes->picture && *frames < before.passes->picture->frames &&
      (above || 2 * *frames >= before.passes->picture->frames)) {
    Lever lever{"fewer-frames",
                FixKind::parameter,
                {Say::render_frames, {*frames, before.passes->picture->frames}},
                {{Say::fewer_frames, {before.passes->picture->frames - *frames}}},
                {},
                false,
                base};
    lever.trial.sizes.frames = frames;
    levers.push_back(std::move(lever));
  }
  if (auto lever = smaller_picture(base, before, predict)) levers.push_back(*std::move(lever));
  return levers;
}

}  // namespace ebb
