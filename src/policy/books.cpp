// SPDX-License-Identifier: Apache-2.0
// Keeps the books of a simulated run: bytes in VRAM and RAM, over disk and link, seconds, cuts.
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "ebb/bytes.h"
#include "policy/simulation.h"

namespace ebb {
namespace {

std::int64_t whole(double bytes) {
  if (!(bytes > 0)) return 0;
  return bytes >= static_cast<double>(kMostSummedBytes) ? kMostSummedBytes
                                                        : static_cast<std::int64_t>(bytes);
}

std::optional<double> seconds(double amount, const Figure& rate) {
  if (amount == 0) return 0.0;
  if (!rate.known() || !(rate.value > 0)) return {};
  return amount / rate.value;
}

}  // namespace

std::int64_t plus(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kMostSummedBytes : std::min(sum, kMostSummedBytes);
}

std::int64_t times(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kMostSummedBytes
                                                : std::min(product, kMostSummedBytes);
}

std::int64_t known_bytes(const Quantity& q) {
  return q.known() ? std::clamp<std::int64_t>(q.bytes, 0, kMostSummedBytes) : 0;
}

// ---- what a request did --------------------------------------------------------------------

void Simulation::apply(const CallRecord& call) {
  for (const FreeRecord& free : call.frees) {
    for (const Victim& victim : free.victims) apply(victim);
  }
  for (const LoadRecord& load : call.loads) {
    if (load.left_bytes > 0) {
      add_ram(load.weights, load.copied_bytes);
      state_.moved_bytes = plus(state_.moved_bytes, load.copied_bytes);
      state_.evictions.push_back({load.weights, load.left_bytes, load.loaded_bytes > 0});
      peak_ram(0);
    }
    state_.moved_bytes = plus(state_.moved_bytes, load.gained_bytes);
    add_load(load);
  }
  count_ram();
}

void Simulation::apply(const Victim& victim) {
  add_ram(victim.weights, victim.copied_bytes);
  state_.moved_bytes = plus(state_.moved_bytes, victim.copied_bytes);
  if (victim.left_bytes > 0) {
    state_.evictions.push_back({victim.weights, victim.left_bytes, victim.partial});
  }
  peak_ram(0);
}

void Simulation::add_load(const LoadRecord& record) {
  if (manager_.managed(record.weights).on_cpu) return;  // takes nothing from the GPU
  Load load;
  load.weights = record.weights;
  load.full = record.full;
  load.free_bytes = record.free_bytes;
  load.usable_bytes = std::max<std::int64_t>(record.free_bytes, 0);
  if (record.limited) {
    const double reserve = manager_.settings().reserved_bytes;
    load.reserve_bytes = whole(reserve);
    load.minimum_bytes = whole(std::ceil(record.minimum_bytes - reserve));
    load.usable_bytes = whole(record.total_bytes);
  }
  load.loaded_bytes = record.loaded_bytes;
  load.offloaded_bytes = record.offloaded_bytes;
  load.buffer_bytes = record.buffer_bytes;
  load.size_bytes = manager_.managed(record.weights).size_bytes;
  load.unlisted_bytes = record.unlisted_bytes;
  load.uncounted_bytes = record.uncounted_bytes;
  load.parts = record.parts;
  load.log = record.log;
  state_.loads.push_back(std::move(load));
}

// ---- bands, peaks, seconds -----------------------------------------------------------------

void Simulation::measure(const Step& step) {
  const Demand& demand = step.demand;
  if (state_.vram.empty()) state_.vram.assign(held_.size(), 0);
  state_.ram.assign(held_.size(), 0);
  for (const WeightsIndex w : held_.indices()) {
    const std::int64_t by_hand = state_.vram[w];
    if (!held(w).by_hand) state_.vram[w] = device_bytes(w);
    state_.ram[w] = std::max<std::int64_t>(ram_bytes(w) - by_hand, 0);
  }
  const std::vector<WeightsIndex> uses = valid(step.uses);
  if (!step.uses.empty()) {
    state_.demand_known = demand.asked.known() && (demand.live.known() || demand.reserved.known());
  }
  if (!uses.empty() && manager_.managed(uses.front()).on_cpu) {
    peak_ram(known_bytes(demand.live));
  } else if (!step.uses.empty()) {
    state_.live_bytes = known_bytes(demand.live);
    state_.reserved_bytes =
        demand.reserved.known() ? known_bytes(demand.reserved) : state_.live_bytes;
    state_.demand_known = demand.asked.known() && (demand.live.known() || demand.reserved.known());
  }
  if (!paged()) pins_.update(manager_);
  state_.ram_pinned_bytes = paged() ? pinned_paged() : pins_.bytes();
  const std::int64_t resident = machine_.vram_total.bytes - free_vram();
  if (machine_.os == Os::linux) {
    // The allocator gives its slack back before it fails; on Windows it spills instead.
    const std::int64_t room = std::max<std::int64_t>(0, machine_.vram_total.bytes - resident);
    const std::int64_t wanted = state_.reserved_bytes;
    state_.reserved_bytes = std::max(state_.live_bytes, std::min(wanted, room));
    state_.slack_bytes = wanted - state_.reserved_bytes;
  }
  state_.vram_peak_bytes = std::max(state_.vram_peak_bytes, plus(resident, state_.reserved_bytes));
}

void Simulation::compute_seconds(const Step& step) {
  const double flops = step.demand.flops * std::max(step.demand.repeats, 1);
  const std::vector<WeightsIndex> uses = valid(step.uses);
  const bool works = !step.uses.empty();
  const bool on_cpu = !uses.empty() && manager_.managed(uses.front()).on_cpu;
  if (!works) {
    state_.compute_seconds = 0;
  } else if (flops > 0 && !on_cpu) {  // how fast the CPU is, nobody has said
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
  // Mapped files: RAM must hold what a step streams, and what is locked.
  if (paged() && !held_[w].by_hand) {
    return std::max(pinned_[w], in_use_[w] ? weights(w).bytes - device_bytes(w) : 0);
  }
  return manager_.managed(w).size_bytes - manager_.device_bytes(w) +
         manager_.patched_device_bytes(w);
}

std::int64_t Simulation::device_bytes(WeightsIndex w) const {
  if (!pager_ || manager_.managed(w).on_cpu) return manager_.device_bytes(w);
  return std::min(pager_->device_bytes(w), manager_.managed(w).size_bytes);
}

std::int64_t Simulation::ram_of_weights() const {
  std::int64_t bytes = 0;
  for (const WeightsIndex w : held_.indices()) bytes = plus(bytes, ram_bytes(w));
  return bytes;
}

void Simulation::count_ram() {
  for (const WeightsIndex w : held_.indices()) ram_each_[w] = ram_bytes(w);
  ram_now_ = ram_of_weights();
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
      drop_pins(w);
      manager_.forget(w);
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
  if (manager_.settings().rules.ram_cache) return;  // whose rules are others
  constexpr double kTenthMore = 1.1;
  const double gib = machine_.flags.cache_ram_gib;
  const double total = static_cast<double>(machine_.ram_total.bytes);
  const double usual = std::clamp(manager_.settings().rules.cache_ram_share * total,
                                  static_cast<double>(4_GiB), static_cast<double>(32_GiB));
  const double headroom = gib > 0 ? gib * static_cast<double>(1_GiB) : usual;
  const auto free = [&] {
    return static_cast<double>(machine_.ram_total.bytes - machine_.ram_others.bytes -
                               ram_of_weights() - data_bytes_);
  };
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
  if (order.action == CutAction::unload_all) {
    if (paged()) {
      apply_paged(pager_->unload_all());
      pinned_.assign(held_.size(), 0);
    }
    for (const Victim& victim : manager_.unload_all().victims) apply(victim);
  }
  if (order.action == CutAction::prefetch) ahead_ = valid(order.weights);
  if (order.action != CutAction::park && order.action != CutAction::drop) return;
  const auto& named =
      order.weights.empty() ? passes_.passes[order.after_pass].weights : order.weights;
  for (const WeightsIndex w : valid(named)) {
    if (order.action == CutAction::drop) {
      drop(w);
    } else if (paged()) {
      apply_paged({{w, pager_->unload(w)}});
    } else if (const auto victim = manager_.unload(w)) {
      apply(*victim);
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
  const std::int64_t bytes = paged() ? device_bytes(w) : manager_.forget(w);
  if (bytes > 0) state_.evictions.push_back({w, bytes, false});
  drop_pins(w);
  held(w).alive = false;
}

}  // namespace ebb
