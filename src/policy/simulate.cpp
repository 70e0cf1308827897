// SPDX-License-Identifier: Apache-2.0
// Plays passes through a memory manager: what loader nodes and samplers ask of it.
#include <algorithm>
#include <utility>

#include "ebb/policy.h"
#include "policy/simulation.h"

namespace ebb {

Simulation::Simulation(const Passes& passes, const Machine& machine, const Levers& levers)
    : passes_(passes), machine_(machine), levers_(levers), memory_(make_memory(machine)) {
  for (const Weights& w : passes.weights) {
    memory_->add(w);
    held_.emplace_back().by_hand = w.role == WeightsRole::upscaler;
  }
}

Timeline Simulation::run(StepIndex queued_at) {
  timeline_.vram_limit_bytes = machine_.vram_total.bytes;
  timeline_.ram_limit_bytes = machine_.ram_total.bytes;
  timeline_.policy = memory_->policy();
  timeline_.ram_open = memory_->ram_open();
  ram_each_.assign(held_.size(), 0);
  for (const Message& limit : limits(passes_, machine_, levers_, timeline_)) note(limit);
  find_last_steps(0, queued_at.exists() ? queued_at : passes_.steps.end_index());
  std::multimap<StepIndex, const CutStep*> cuts;
  for (const CutStep& order : passes_.own.cuts) cuts.emplace(order.step, &order);
  for (const CutStep& order : levers_.cuts) {
    if (passes_.passes.has(order.after_pass)) {
      cuts.emplace(passes_.passes[order.after_pass].last_step, &order);
    }
  }
  timeline_.steps.reserve(passes_.steps.size());
  for (const StepIndex i : passes_.steps.indices()) {
    if (i == queued_at) start_prompt(i);
    play(i);
    timeline_.steps.push_back(std::move(state_));
    state_ = {};
    ahead_bytes_ = warm_bytes_ = 0;
    drop_unneeded(i);
    relieve_ram(i);
    const auto [first, last] = cuts.equal_range(i);
    for (auto it = first; it != last; ++it) cut(*it->second);
  }
  return std::move(timeline_);
}

// ---- before the first step -----------------------------------------------------------------

void Simulation::find_last_steps(StepIndex begin, StepIndex end) {
  for (StepIndex at = begin; at < end; ++at) {
    const Step& step = passes_.steps[at];
    for (const auto* list : {&step.uses, &step.loras}) {
      for (WeightsIndex w : valid(*list)) held(w).last_step = at;
    }
    for (WeightsIndex w : valid(step.reads)) {
      held(w).last_step = std::max(held(w).last_step, at);
      for (const StepIndex consumer : step.consumers) {
        held(w).last_step = std::max(held(w).last_step, consumer);
      }
    }
  }
}

// The node cache lets go of what the new prompt makes again, unless it outlives a prompt.
void Simulation::start_prompt(StepIndex first_step) {
  drop_unneeded(first_step);
  find_last_steps(first_step, passes_.steps.end_index());
  const CacheKind cache = machine_.flags.cache;
  if (cache != CacheKind::standard && cache != CacheKind::classic) return;
  std::map<NodeIndex, std::int64_t> results;
  for (StepIndex i = 0; i < first_step; ++i) {
    results[passes_.steps[i].node] =
        std::clamp<std::int64_t>(passes_.steps[i].demand.result_bytes, 0, kMostSummedBytes);
  }
  for (StepIndex i = first_step; passes_.steps.has(i); ++i) {
    if (const auto old = results.find(passes_.steps[i].node); old != results.end()) {
      data_bytes_ = std::max<std::int64_t>(0, data_bytes_ - std::exchange(old->second, 0));
    }
  }
}

std::vector<WeightsIndex> Simulation::valid(const std::vector<WeightsIndex>& list) const {
  std::vector<WeightsIndex> result;
  for (WeightsIndex w : list) {
    if (held_.has(w) && std::ranges::count(result, w) == 0) result.push_back(w);
  }
  return result;
}

void Simulation::note(const Message& message) {
  if (!std::ranges::count(timeline_.notes, message)) timeline_.notes.push_back(message);
}

// ---- one step ------------------------------------------------------------------------------

void Simulation::play(StepIndex index) {
  const Step& step = passes_.steps[index];
  state_.vram_others_bytes = machine_.vram_others_bytes();
  count_ram();
  peak_vram(0);
  peak_ram(0);
  read(step);
  now_ = index;
  if (step.earlier) work_earlier(step);
  use(step);
  measure(step);
  if (!step.uses.empty()) read_ahead();
  compute_seconds(step);
  const std::int64_t result =
      std::clamp<std::int64_t>(step.demand.result_bytes, 0, kMostSummedBytes);
  data_bytes_ = plus(data_bytes_, result);
  const CacheKind cache = machine_.flags.cache;
  if (result > 0 && (cache == CacheKind::none || cache == CacheKind::ram)) {
    StepIndex last = index;
    for (const StepIndex consumer : step.consumers) last = std::max(last, consumer);
    data_.emplace_back(last, result);
  }
  state_.ram_data_bytes = data_bytes_;
  count_ram();
  peak_ram(0);
  memory_->end();
  state_.ram_pinned_bytes = memory_->pinned();
  for (const WeightsIndex w : held_.indices()) {
    if (held(w).by_hand) memory_->take(-state_.vram[w]);
  }
}

// While a file is read, its mapped pages and the tensors made from it are in RAM together.
void Simulation::read(const Step& step) {
  std::vector<WeightsIndex> fresh;
  std::map<std::string, std::vector<WeightsIndex>> files;  // a checkpoint's parts share one file
  for (WeightsIndex w : valid(step.reads)) {
    if (!weights(w).known() || std::exchange(held(w).alive, true)) continue;
    fresh.push_back(w);
    files[weights(w).files.empty() ? weights(w).id : weights(w).files.front()].push_back(w);
  }
  if (fresh.empty() || memory_->maps_files()) return;
  std::int64_t mapped = 0;
  for (const auto& [file, parts] : files) {
    // Parts that all name the same size name the size of the whole file.
    const std::int64_t first = disk_bytes(parts.front());
    bool alike = true;
    std::int64_t sum = 0;
    for (WeightsIndex w : parts) {
      alike = alike && disk_bytes(w) == first;
      sum = plus(sum, disk_bytes(w));
    }
    const std::int64_t bytes = alike ? first : sum;
    mapped = plus(mapped, bytes);
    count_read(parts.front(), bytes);
  }
  const auto has = [&](WeightsRole role) {
    return std::ranges::any_of(fresh, [&](WeightsIndex w) { return weights(w).role == role; });
  };
  const bool checkpoint =
      has(WeightsRole::diffusion) && (has(WeightsRole::text_encoder) || has(WeightsRole::vae));
  for (const WeightsIndex w : fresh) {  // where to is decided by the RAM that was free before
    if (!memory_->place(w, checkpoint, ram_for_weights() - ram_now_)) continue;
    apply(memory_->use({.weights = {w}, .full = true}));
    count_moved();
  }
  count_ram();
  peak_ram(0, mapped);
}

void Simulation::count_read(WeightsIndex w, std::int64_t bytes) {
  std::int64_t& total = held(w).cached ? warm_bytes_ : state_.read_bytes;
  total = plus(total, bytes);
}

// A request of its own, which the later one finds on the card.
void Simulation::work_earlier(const Step& step) {
  Step part = step;
  part.earlier.reset();
  part.kind = StepKind::encode_image;
  part.uses = step.earlier->uses;
  part.demand = step.earlier->demand;
  part.loras.clear();
  use(part);
  const std::int64_t live = known_bytes(part.demand.live);
  peak_vram(std::max(live, within_room(live, known_bytes(part.demand.reserved))));
}

void Simulation::use(const Step& step) {
  std::vector<WeightsIndex> uses = valid(step.uses);
  if (step.earlier) {
    std::erase_if(uses,
                  [&](WeightsIndex w) { return std::ranges::count(step.earlier->uses, w) > 0; });
  }
  for (WeightsIndex w : valid(step.loras)) bring_back(w);
  for (WeightsIndex w : uses) bring_back(w);
  if (uses.empty()) return;
  const WeightsIndex main = valid(step.uses).front();
  if (weights(main).known() && !held(main).by_hand) memory_->patch(main, lora_set(step), {});
  apply(memory_->begin(uses));
  // ControlNets and their like come in the sampler's own request; what else a node uses, after it.
  std::vector<WeightsIndex> group;
  std::vector<WeightsIndex> later;
  for (WeightsIndex w : uses) {
    if (!weights(w).known()) continue;
    const bool together =
        step.kind == StepKind::sample && weights(w).role == WeightsRole::controlnet;
    if (held(w).by_hand) {
      use_by_hand(step, w);
    } else if (group.empty() || together) {
      group.push_back(w);
    } else {
      later.push_back(w);
    }
    if (memory_->maps_files()) request(step, std::exchange(group, {}));
  }
  request(step, group);
  for (WeightsIndex w : later) request(step, {w});
}

// The node frees what it thinks it needs, moves the model over, and back when it is done.
void Simulation::use_by_hand(const Step& step, WeightsIndex w) {
  apply(memory_->make_room(known_bytes(step.demand.asked)));
  count_moved();
  if (memory_->on_cpu(w)) return;
  const std::int64_t size = std::clamp<std::int64_t>(weights(w).bytes, 0, kMostSummedBytes);
  memory_->take(size);
  if (state_.vram.empty()) state_.vram.assign(held_.size(), 0);
  state_.vram[w] = size;
  state_.moved_bytes = plus(state_.moved_bytes, times(size, 2));
}

void Simulation::request(const Step& step, const std::vector<WeightsIndex>& group) {
  if (group.empty()) return;
  const Demand& demand = step.demand;
  Request request{.weights = group, .asked_bytes = double(known_bytes(demand.asked))};
  if (demand.minimum.known()) request.minimum_bytes = double(known_bytes(demand.minimum));
  for (const Levers* levers : {&passes_.own, &levers_}) {
    for (const Budget& budget : levers->budgets) {
      if (now_ != budget.step || budget.weights != group.front()) continue;
      request.asked_bytes = double(std::max<std::int64_t>(budget.minimum_bytes, 0));
      request.minimum_bytes = request.asked_bytes;
      request.measured = true;
    }
  }
  request.taken_bytes = known_bytes(demand.reserved.known() ? demand.reserved : demand.live);
  request.once = demand.repeats <= 1;
  request.ram_bytes = ram_for_weights();
  for (const WeightsIndex w : group) {
    if (!memory_->maps_files()) break;
    state_.ram_file_bytes = std::max(state_.ram_file_bytes, disk_bytes(w));
    if (!std::exchange(held(w).cached, true)) {
      state_.read_bytes = plus(state_.read_bytes, disk_bytes(w));
    }
  }
  const Moves moves = memory_->use(request);
  apply(moves);
  count_moved();
  const bool shared =
      demand.forwards < 2 ||
      conditionings_share_forward(double(known_bytes(demand.asked)), memory_->free_bytes());
  const std::int64_t rounds =
      times(std::max(demand.repeats, 1), shared ? 1 : std::max(demand.forwards, 1));
  state_.streamed_bytes = plus(state_.streamed_bytes, times(moves.streamed_bytes, rounds));
}

// A plan dropped it, or no loader is known: it is read when it is needed.
void Simulation::bring_back(WeightsIndex w) {
  if (held(w).alive || !weights(w).known()) return;
  held(w).alive = true;
  if (memory_->maps_files() && !held(w).by_hand && weights(w).role != WeightsRole::lora) return;
  count_read(w, disk_bytes(w));
  add_ram(w, ram_bytes(w));
  peak_ram(0, disk_bytes(w));
}

// A number for the LoRAs of a step; 0: none.
int Simulation::lora_set(const Step& step) {
  if (step.loras.empty()) return 0;
  return lora_sets_.emplace(step.loras, static_cast<int>(lora_sets_.size()) + 1).first->second;
}

Timeline simulate_again(const Passes& first, const Passes& again, const Machine& machine) {
  Passes both = first;
  const StepIndex queued_at = both.steps.end_index();
  for (Step step : again.steps) {
    for (StepIndex& consumer : step.consumers) consumer = consumer + queued_at.at;
    both.steps.push_back(std::move(step));
  }
  Timeline timeline = Simulation(both, machine, {}).run(queued_at);
  timeline.steps.erase(timeline.steps.begin(), timeline.steps.begin() + queued_at.at);
  return timeline;
}

Timeline simulate(const Passes& passes, const Machine& machine, const Levers& levers) {
  return Simulation(passes, machine, levers).run();
}

}  // namespace ebb
