// SPDX-License-Identifier: Apache-2.0
// Keeps the books of a simulated run: bytes in VRAM and RAM, over disk and link, seconds, cuts.
#include <algorithm>
#include <cassert>
#include <utility>

#include "ebb/bytes.h"
#include "policy/simulation.h"

namespace ebb {
namespace {

std::optional<double> seconds(double amount, const Figure& rate) {
  if (amount == 0) return 0.0;
  if (!rate.known() || !(rate.value > 0)) return {};
  return amount / rate.value;
}

}  // namespace

std::int64_t known_bytes(const Quantity& q) {
  return q.known() ? std::clamp<std::int64_t>(q.bytes, 0, kMostSummedBytes) : 0;
}

// ---- what a request did --------------------------------------------------------------------

void Simulation::apply(const Moves& moves) {
  for (const Left& left : moves.left) {
    const Eviction& gone = left.eviction;
    const auto same = std::ranges::find(state_.evictions, gone.weights, &Eviction::weights);
    if (left.adds_up && same != state_.evictions.end()) {
      *same = {gone.weights, plus(same->bytes, gone.bytes), gone.partial};
    } else {
      state_.evictions.push_back(gone);
    }
    if (left.copied_bytes <= 0) continue;
    add_ram(left.eviction.weights, left.copied_bytes);
    state_.moved_bytes = plus(state_.moved_bytes, left.copied_bytes);
    peak_ram(0);
  }
  state_.moved_bytes = plus(state_.moved_bytes, moves.gained_bytes);
  state_.loads.insert(state_.loads.end(), moves.loads.begin(), moves.loads.end());
}

// After a request. Where files are mapped, what a step needs of them counts as it ends.
void Simulation::count_moved() {
  if (!memory_->maps_files()) count_ram();
}

// ---- bands, peaks, seconds -----------------------------------------------------------------

void Simulation::measure(const Step& step) {
  const Demand& demand = step.demand;
  if (state_.vram.empty()) state_.vram.assign(held_.size(), 0);
  state_.ram.assign(held_.size(), 0);
  for (const WeightsIndex w : held_.indices()) {
    const std::int64_t by_hand = state_.vram[w];
    if (!held(w).by_hand) state_.vram[w] = memory_->vram(w);
    state_.ram[w] = std::max<std::int64_t>(ram_bytes(w) - by_hand, 0);
  }
  if (!step.uses.empty()) {
    state_.demand_known = demand.asked.known() && (demand.live.known() || demand.reserved.known());
  }
  if (on_cpu(step)) {
    peak_ram(known_bytes(demand.live));
  } else if (!step.uses.empty()) {
    state_.live_bytes = known_bytes(demand.live);
    state_.reserved_bytes =
        demand.reserved.known() ? known_bytes(demand.reserved) : state_.live_bytes;
  }
  const std::int64_t wanted = state_.reserved_bytes;
  state_.reserved_bytes = within_room(state_.live_bytes, wanted);
  state_.slack_bytes = wanted - state_.reserved_bytes;
  peak_vram(state_.reserved_bytes);
}

bool Simulation::on_cpu(const Step& step) const {
  const std::vector<WeightsIndex> uses = valid(step.uses);
  return !uses.empty() && memory_->on_cpu(uses.front());
}

// The allocator gives its slack back before it fails; on Windows it spills instead.
std::int64_t Simulation::within_room(std::int64_t live, std::int64_t reserved) const {
  if (machine_.os != Os::linux) return reserved;
  return std::max(live, std::min(reserved, std::max<std::int64_t>(0, memory_->free_bytes())));
}

void Simulation::peak_vram(std::int64_t taken_bytes) {
  const std::int64_t resident = machine_.vram_total.bytes - memory_->free_bytes();
  state_.vram_peak_bytes = std::max(state_.vram_peak_bytes, plus(resident, taken_bytes));
}

void Simulation::compute_seconds(const Step& step) {
  const double flops = step.demand.flops * std::max(step.demand.repeats, 1);
  if (step.uses.empty()) {
    state_.compute_seconds = 0;
  } else if (flops > 0 && !on_cpu(step)) {  // how fast the CPU is, nobody has said
    state_.compute_seconds = seconds(flops, machine_.compute_flops_per_second);
  }
  const Figure& disk = machine_.disk_bytes_per_second;
  const auto cold = seconds(static_cast<double>(state_.read_bytes - ahead_bytes_), disk);
  const auto warm = seconds(static_cast<double>(warm_bytes_), machine_.ram_bytes_per_second);
  auto ahead = seconds(static_cast<double>(ahead_bytes_), disk);
  if (ahead) *ahead = std::max(0.0, *ahead - state_.compute_seconds.value_or(0));
  if (cold && warm && ahead) state_.read_seconds = *cold + *warm + *ahead;
  state_.move_seconds =
      seconds(static_cast<double>(state_.moved_bytes), machine_.link_bytes_per_second);
  state_.stream_seconds =
      seconds(static_cast<double>(state_.streamed_bytes), machine_.link_bytes_per_second);
  if (state_.streamed_bytes == 0) {
    state_.stall_seconds = 0;
  } else if (offload_streams(machine_) < 2) {
    state_.stall_seconds = state_.stream_seconds;  // copies and compute take turns
  } else if (state_.stream_seconds && state_.compute_seconds) {
    state_.stall_seconds = std::max(0.0, *state_.stream_seconds - *state_.compute_seconds);
  }
}

std::int64_t Simulation::ram_bytes(WeightsIndex w) const {
  if (!held_[w].alive) return 0;
  if (weights(w).role == WeightsRole::lora) return disk_bytes(w);
  return memory_->ram(w);
}

std::int64_t Simulation::ram_for_weights() const {
  return machine_.ram_total.bytes - machine_.ram_others.bytes - data_bytes_;
}

std::int64_t Simulation::ram_of_weights() const {
  std::int64_t bytes = 0;
  for (const WeightsIndex w : held_.indices()) bytes = plus(bytes, ram_bytes(w));
  return bytes;
}

void Simulation::count_ram() {
  ram_now_ = 0;
  for (const WeightsIndex w : held_.indices()) {
    ram_each_[w] = ram_bytes(w);
    ram_now_ = plus(ram_now_, ram_each_[w]);
  }
}

void Simulation::add_ram(WeightsIndex w, std::int64_t bytes) {
  ram_each_[w] = plus(ram_each_[w], bytes);
  ram_now_ = plus(ram_now_, bytes);
}

void Simulation::tell_ram(std::int64_t extra_bytes) {
  std::vector<Part>& parts = state_.ram_parts;
  parts.clear();
  const auto tell = [&parts](Say what, std::int64_t bytes, WeightsIndex weights = {}) {
    parts.push_back({what, static_cast<double>(bytes), weights});
  };
  tell(Say::others_in_ram, machine_.ram_others.bytes);
  for (const WeightsIndex w : held_.indices()) {
    if (ram_each_[w] != 0) tell(Say::model, ram_each_[w], w);
  }
  if (data_bytes_ > 0) tell(Say::results_in_cache, data_bytes_);
  if (extra_bytes > 0) tell(Say::step_in_ram, extra_bytes);
  assert(state_.ram_needed_bytes == kMostSummedBytes ||
         comes_to(parts, static_cast<double>(state_.ram_needed_bytes)));
}

// `mapped_bytes`: pages of a file being read, which the system drops when somebody needs room.
void Simulation::peak_ram(std::int64_t extra_bytes, std::int64_t mapped_bytes) {
  const std::int64_t now =
      plus(plus(machine_.ram_others.bytes, ram_now_), plus(data_bytes_, extra_bytes));
  if (now > state_.ram_needed_bytes) {
    state_.ram_needed_bytes = now;
    tell_ram(extra_bytes);
  }
  state_.ram_peak_bytes = std::max(state_.ram_peak_bytes, plus(now, mapped_bytes));
  state_.ram_file_bytes = std::max(state_.ram_file_bytes, mapped_bytes);
}

std::int64_t Simulation::disk_bytes(WeightsIndex w) const {
  const Weights& it = weights(w);
  return std::clamp<std::int64_t>(it.file_bytes > 0 ? it.file_bytes : it.bytes, 0,
                                  kMostSummedBytes);
}

// ---- between steps -------------------------------------------------------------------------

// --cache-none keeps a result only until its last consumer has run.
void Simulation::drop_unneeded(StepIndex index) {
  if (machine_.flags.cache != CacheKind::none) return;
  for (const WeightsIndex w : held_.indices()) {
    if (held(w).alive && held(w).last_step <= index) {
      memory_->forget(w);
      held(w).alive = false;
    }
  }
  std::erase_if(data_, [&](const auto& data) {
    if (data.first > index) return false;
    data_bytes_ -= data.second;
    return true;
  });
}

// --cache-ram (before 0.23.0): when less than its headroom is free after a step, the largest
// entries leave the cache until a tenth more is free. Models count whole, wherever they are,
// results half. What a node still waits for is struck off as well, but lives on with that node.
void Simulation::relieve_ram(StepIndex index) {
  if (machine_.flags.cache != CacheKind::ram || !machine_.ram_total.known()) return;
  const Rules& rules = rules_for(machine_.comfyui);
  if (rules.ram_cache) return;  // whose rules are others
  constexpr double kTenthMore = 1.1;
  const double gib = machine_.flags.cache_ram_gib;
  const double total = static_cast<double>(machine_.ram_total.bytes);
  const double usual = std::clamp(rules.cache_ram_share * total, static_cast<double>(4_GiB),
                                  static_cast<double>(32_GiB));
  const double headroom = gib > 0 ? gib * static_cast<double>(1_GiB) : usual;
  const auto free = [&] { return static_cast<double>(ram_for_weights() - ram_of_weights()); };
  if (free() > headroom) return;
  std::vector<std::pair<std::int64_t, int>> entries;  // size; weights, or results below zero
  for (const WeightsIndex w : held_.indices()) {
    if (held(w).alive && held(w).last_step <= index) entries.emplace_back(weights(w).bytes, w.at);
  }
  for (std::size_t d = 0; d < data_.size(); ++d) {
    if (data_[d].first <= index) entries.emplace_back(data_[d].second / 2, -1 - int(d));
  }
  std::sort(entries.begin(), entries.end());
  for (; !entries.empty() && free() < headroom * kTenthMore; entries.pop_back()) {
    const int entry = entries.back().second;
    if (entry >= 0) {
      drop(WeightsIndex::of(entry));
    } else {
      data_bytes_ -= std::exchange(data_[size_t(-1 - entry)].second, 0);
    }
  }
  std::erase_if(data_, [](const auto& data) { return data.second == 0; });
}

void Simulation::cut(const CutStep& order) {
  count_ram();
  if (order.action == CutAction::unload_all) apply(memory_->unload_all());
  if (order.action == CutAction::prefetch) ahead_ = valid(order.weights);
  if (order.action != CutAction::park && order.action != CutAction::drop) return;
  const auto& named =
      order.weights.empty() ? passes_.passes[order.after_pass].weights : order.weights;
  for (const WeightsIndex w : valid(named)) {
    if (order.action == CutAction::drop) {
      drop(w);
    } else {
      apply(memory_->unload(w));
    }
  }
}

// What a cut before this step wants to have in the page cache when its loader comes.
void Simulation::read_ahead() {
  for (WeightsIndex w : ahead_) {
    if (!weights(w).known() || held(w).alive || held(w).cached) continue;
    const std::int64_t bytes = disk_bytes(w);
    if (machine_.ram_total.known() &&
        plus(state_.ram_needed_bytes, bytes) > machine_.ram_total.bytes) {
      note({Say::no_room_to_read_ahead, {weights(w).name}});
      continue;
    }
    state_.read_bytes = plus(state_.read_bytes, bytes);
    ahead_bytes_ = plus(ahead_bytes_, bytes);
    held(w).cached = true;
  }
  ahead_.clear();
}

void Simulation::drop(WeightsIndex w) {
  if (!held(w).alive) return;
  const std::int64_t bytes = memory_->forget(w);
  if (bytes > 0) state_.evictions.push_back({w, bytes, false});
  held(w).alive = false;
}

}  // namespace ebb
