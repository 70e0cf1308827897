// SPDX-License-Identifier: Apache-2.0
// The part of a simulated run that differs where weights are paged in on demand: files are mapped,
// their bytes come from disk at first use, and what has no page is streamed in every repeat.
#include <algorithm>
#include <utility>

#include "policy/simulation.h"

namespace ebb {

void Simulation::apply_paged(const std::vector<PagesLeft>& left) {
  for (const PagesLeft& pages : left) {
    if (pages.pages <= 0) continue;
    const std::int64_t bytes =
        std::min(times(pages.pages, kPageBytes), manager_.managed(pages.weights).size_bytes);
    const bool partial = pager_->pages(pages.weights) > 0;
    const auto same = std::find_if(state_.evictions.begin(), state_.evictions.end(),
                                   [&](const Eviction& e) { return e.weights == pages.weights; });
    if (same == state_.evictions.end()) {
      state_.evictions.push_back({pages.weights, bytes, partial});
    } else {
      *same = {pages.weights, plus(same->bytes, bytes), partial};
    }
  }
}

// --disable-smart-memory: each request for room empties everything else.
void Simulation::purge_paged(const std::vector<WeightsIndex>& keep) {
  for (const WeightsIndex w : held_.indices()) {
    if (std::find(keep.begin(), keep.end(), w) != keep.end() || !pager_->staged(w)) continue;
    apply_paged({{w, pager_->unload(w)}});
    pinned_[w] = 0;
  }
}

void Simulation::call_paged(const Step& step, WeightsIndex w) {
  const Demand& demand = step.demand;
  in_use_[w] = true;
  state_.ram_file_bytes = std::max(state_.ram_file_bytes, disk_bytes(w));
  if (!held(w).cached) count_read(w, disk_bytes(w));
  held(w).cached = true;
  if (manager_.managed(w).on_cpu) return;
  const std::int64_t activations =
      demand.reserved.known() ? known_bytes(demand.reserved) : known_bytes(demand.live);
  const int repeats = std::max(demand.repeats, 1);
  patch_paged(step, w);
  PagedWork work = pager_->use(w, activations, repeats == 1);
  apply_paged(work.left);
  state_.moved_bytes = plus(state_.moved_bytes, work.kept_bytes - work.hit_bytes);

  const bool shared = demand.forwards < 2 ||
                      conditionings_share_forward(static_cast<double>(known_bytes(demand.asked)),
                                                  pager_->free_bytes());
  const std::int64_t rounds = times(repeats, shared ? 1 : std::max(demand.forwards, 1));
  state_.streamed_bytes = plus(state_.streamed_bytes, times(work.streamed_bytes, rounds));
  pin_paged(w, work.streamed_bytes);

  Load load;
  load.weights = w;
  load.full = work.streamed_bytes == 0;
  load.reserve_bytes = pager_->kept_free_bytes();
  load.minimum_bytes = plus(activations, work.cast_buffer_bytes);
  load.usable_bytes = work.usable_bytes();
  load.free_bytes = work.free_bytes;
  load.loaded_bytes = load.full ? manager_.managed(w).size_bytes : work.kept_bytes;
  load.offloaded_bytes = work.streamed_bytes;
  load.buffer_bytes = work.cast_buffer_bytes;
  load.size_bytes = manager_.managed(w).size_bytes;
  load.unlisted_bytes = load.size_bytes - load.loaded_bytes - load.offloaded_bytes;
  load.parts = std::move(work.parts);
  state_.loads.push_back(std::move(load));
}

// LoRAs are added to a weight when its page is filled, and to a streamed one every time. Another
// set than before leaves the pages where they are, with nothing in them that can be used.
void Simulation::patch_paged(const Step& step, WeightsIndex w) {
  if (valid(step.uses).front() != w) return;
  const int set = lora_set(step);
  const auto [last, first_use] = paged_set_.emplace(w, set);
  if (!first_use && last->second != set) pager_->spoil(w);
  last->second = set;
}

// Copies of streamed weights are locked as they are made, and stay until somebody needs the room.
void Simulation::pin_paged(WeightsIndex w, std::int64_t streamed_bytes) {
  const std::int64_t free_ram =
      machine_.ram_total.bytes - machine_.ram_others.bytes - data_bytes_ - pinned_paged();
  std::int64_t missing =
      machine_.ram_total.known() ? manager_.managed(w).size_bytes - pinned_[w] - free_ram : 0;
  for (const WeightsIndex other : pinned_.indices()) {
    if (missing <= 0) break;
    if (other == w) continue;
    missing -= pinned_[other];
    pinned_[other] = 0;
  }
  const std::int64_t more = std::max<std::int64_t>(streamed_bytes - pinned_[w], 0);
  const std::int64_t room = pin_limit_bytes(machine_) - pinned_paged();
  pinned_[w] += std::clamp<std::int64_t>(room, 0, more);
}

std::int64_t Simulation::pinned_paged() const {
  std::int64_t bytes = 0;
  for (std::int64_t pinned : pinned_) bytes = plus(bytes, pinned);
  return bytes;
}

void Simulation::drop_pins(WeightsIndex w) {
  if (!paged()) return;
  pager_->unload(w);
  pinned_[w] = 0;
}

}  // namespace ebb
