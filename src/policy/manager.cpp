// SPDX-License-Identifier: Apache-2.0
// The classic memory manager: requests, budgets, victims. Which modules stay is in modules.cpp.
#include "policy/manager.h"

#include <algorithm>
#include <cassert>
#include <tuple>

namespace ebb {
namespace {

constexpr double kEverything = 1e30;
constexpr double kNoLimit = 1e32;
constexpr double kAlmostNothing = 0.1;        // a budget of zero would mean "no limit"
constexpr int kModulesMax = 1'000'000;        // in a run; no readable header names more
constexpr std::int64_t kSizeMax = 1LL << 46;  // 64 TiB: sums over 100,000 weights are safe

std::int64_t usable_size(std::int64_t bytes) {
  return std::clamp<std::int64_t>(bytes, 0, kSizeMax);
}

// What a model file can't contain is cut to something whose sums don't overflow.
std::int64_t make_usable(std::vector<ManagedGroup>& runs) {
  std::int64_t total = 0;
  for (ManagedGroup& run : runs) {
    run.modules.bytes = usable_size(run.modules.bytes);
    run.modules.extra_offload_bytes = usable_size(run.modules.extra_offload_bytes);
    run.modules.count = std::clamp(run.modules.count, 0, kModulesMax);
    std::int64_t bytes = 0;
    if (__builtin_mul_overflow(run.modules.bytes, std::int64_t{run.modules.count}, &bytes) ||
        bytes > kSizeMax - total) {
      run.modules.count = 0, bytes = 0;
    }
    total += bytes;
  }
  return total;
}

}  // namespace

ManagerSettings manager_settings(const Machine& machine) {
  ManagerSettings settings;
  settings.rules = rules_for(machine.comfyui);
  const Rules& rules = settings.rules;
  const ComfyFlags& flags = machine.flags;
  if (flags.reserve_vram_gib) {
    settings.reserved_bytes = *flags.reserve_vram_gib * 1024 * 1024 * 1024;
  } else if (machine.os == Os::linux) {
    settings.reserved_bytes = static_cast<double>(rules.reserve_linux_bytes);
  } else if (machine.vram_total.bytes > rules.large_card_mib * 1_MiB) {
    settings.reserved_bytes = static_cast<double>(rules.reserve_windows_large_bytes);
  } else {
    settings.reserved_bytes = static_cast<double>(rules.reserve_windows_bytes);
  }
  settings.vram_state = flags.gpu_only ? VramState::high : flags.vram_state;
  settings.smart_memory = !flags.disable_smart_memory;
  settings.streams = rules.streaming_buffer ? offload_streams(machine) : 0;
  settings.weight_share = card_rules(machine).weight_share;
  settings.free_bytes = machine.vram_free.bytes;
  return settings;
}

void sort_for_streaming(std::vector<ManagedGroup>& runs) {
  std::stable_sort(runs.begin(), runs.end(), [](const ManagedGroup& a, const ManagedGroup& b) {
    const auto key = [](const ModuleGroup& m) {
      return std::pair(usable_size(m.bytes) + usable_size(m.extra_offload_bytes), m.bytes);
    };
    return key(a.modules) > key(b.modules);
  });
}

std::vector<ManagedGroup> patched_runs(const std::vector<ModuleGroup>& modules,
                                       const std::vector<std::int64_t>& unpatched,
                                       bool streaming_buffer) {
  std::vector<ManagedGroup> runs;
  for (const ModuleGroup& module : modules) {
    const bool patched =
        module.castable && module.bytes > 0 && !std::ranges::count(unpatched, module.bytes);
    ManagedGroup& run = runs.emplace_back(ManagedGroup{module, patched});
    // Streaming a patched weight takes two copies in the type it is computed in.
    std::int64_t& extra = run.modules.extra_offload_bytes;
    if (patched) extra = 2 * usable_size(extra > 0 ? extra : module.bytes);
  }
  if (streaming_buffer) sort_for_streaming(runs);
  return runs;
}

Manager::Manager(const ManagerSettings& settings) : settings_(settings) {}

WeightsIndex Manager::add(Managed weights) {
  State state;
  state.listed_bytes = make_usable(weights.runs);
  weights.size_bytes = std::max(usable_size(weights.size_bytes), state.listed_bytes);
  state.loaded.assign(weights.runs.size(), 0);
  state.wrapped.assign(weights.runs.size(), 0);
  state.weights = std::move(weights);
  states_.push_back(std::move(state));
  return states_.end_index() - 1;
}

void Manager::place_on_gpu(WeightsIndex weights) {
  State& state = states_[weights];
  state.placed = true;
  count_device(state);
}

void Manager::set_patches(WeightsIndex weights, int patches, std::vector<ManagedGroup> runs) {
  State& state = states_[weights];
  make_usable(runs);
  state.patches = patches;
  state.next_runs = std::move(runs);
}

// To be called after every change of what is on the device.
void Manager::count_device(State& state) {
  std::int64_t bytes = 0;
  if (state.placed && !state.weights.on_cpu) {
    bytes = state.weights.size_bytes;
  } else if (!state.weights.on_cpu) {
    if (state.outside_on_gpu) bytes = state.weights.size_bytes - state.listed_bytes;
    for (std::size_t i = 0; i < state.loaded.size(); ++i) {
      bytes += state.loaded[i] * state.weights.runs[i].modules.bytes;
    }
  }
  device_bytes_ += bytes - state.device_bytes;
  state.device_bytes = bytes;
  state.patched_bytes = 0;
  if (state.weights.stays_on_gpu) return;
  for (std::size_t i = 0; i < state.loaded.size(); ++i) {
    if (state.weights.runs[i].patched) {
      state.patched_bytes += state.loaded[i] * state.weights.runs[i].modules.bytes;
    }
  }
}

std::int64_t Manager::streamed_bytes(WeightsIndex weights) const {
  const State& state = states_[weights];
  if (state.weights.on_cpu || state.placed) return 0;
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < state.loaded.size(); ++i) {
    const ModuleGroup& run = state.weights.runs[i].modules;
    if (run.castable) bytes += (run.count - state.loaded[i]) * run.bytes;
  }
  return bytes;
}

std::int64_t Manager::streamed_modules(WeightsIndex weights, std::size_t run) const {
  const State& state = states_[weights];
  const ModuleGroup& modules = state.weights.runs[run].modules;
  if (state.weights.on_cpu || state.placed || !modules.castable) return 0;
  return modules.count - state.loaded[run];
}

// Rules 1 and 2 of docs/policy.md: what is asked for decides how much room is made, and in which
// order the models of one request come.
CallRecord Manager::load(const std::vector<WeightsIndex>& weights, double memory_required_bytes,
                         std::optional<double> minimum_bytes, bool force_full) {
  const double least = settings_.inference_bytes();
  const double asked = std::max(least, memory_required_bytes + settings_.reserved_bytes);
  const double minimum =
      minimum_bytes ? std::max(least, *minimum_bytes + settings_.reserved_bytes) : asked;
  CallRecord call;
  std::int64_t to_bring = 0;
  bool needs_gpu = false;
  for (WeightsIndex w : weights) {
    const State& state = states_[w];
    std::erase(registered_, w);  // never a victim of its own call
    if (state.weights.on_cpu) continue;
    needs_gpu = true;
    to_bring += state.weights.size_bytes - state.loaded_bytes;
  }
  if (needs_gpu) {
    call.frees.push_back(free_memory(static_cast<double>(to_bring) * 1.1 + asked, false));
    if (static_cast<double>(free_bytes()) < minimum) {
      call.frees.push_back(free_memory(minimum, false));
    }
  }
  for (WeightsIndex w : weights) {
    call.loads.push_back(load_one(w, minimum, force_full));
    if (!states_[w].weights.on_cpu) registered_.insert(registered_.begin(), w);
  }
  return call;
}

FreeRecord Manager::make_room(double required_bytes) { return free_memory(required_bytes, false); }

FreeRecord Manager::unload_all() { return free_memory(kEverything, true); }

// Rule 3: the order of victims, and how much of each leaves.
FreeRecord Manager::free_memory(double required_bytes, bool everything) {
  FreeRecord record{required_bytes, free_bytes(), {}, {}};
  // Python references, ComfyUI's second key, can't be known: equal here, so size decides.
  std::vector<std::tuple<std::int64_t, std::int64_t, std::size_t, WeightsIndex>> candidates;
  for (std::size_t i = 0; i < registered_.size(); ++i) {
    const State& state = states_[registered_[i]];
    const std::int64_t size = state.weights.size_bytes;
    candidates.emplace_back(state.loaded_bytes - size, size, i, registered_[i]);
  }
  std::sort(candidates.begin(), candidates.end());
  const std::vector<WeightsIndex> before = registered_;
  for (const auto& candidate : candidates) {
    const WeightsIndex w = std::get<3>(candidate);
    double to_free = kNoLimit;
    if (settings_.smart_memory && !everything) {
      to_free = required_bytes - static_cast<double>(free_bytes());
      if (to_free < 0 || (to_free == 0 && !settings_.rules.frees_when_just_enough)) break;
    }
    record.victims.push_back(evict(w, to_free));
  }
  // Struck off from the end of the list: least recently used first, whoever gave room first.
  for (auto it = before.rbegin(); it != before.rend(); ++it) {
    if (std::find(registered_.begin(), registered_.end(), *it) == registered_.end()) {
      record.removed.push_back(*it);
    }
  }
  return record;
}

Victim Manager::evict(WeightsIndex w, double to_free_bytes) {
  State& state = states_[w];
  Victim victim{w, state.loaded_bytes, 0, device_bytes(w), 0, false};
  const std::int64_t patched = patched_device_bytes(w);
  victim.partial = to_free_bytes < static_cast<double>(state.loaded_bytes) &&
                   static_cast<double>(unload_part(state, to_free_bytes)) >= to_free_bytes;
  if (!victim.partial) {
    detach(state);
    std::erase(registered_, w);
  }
  victim.loaded_after_bytes = state.loaded_bytes;
  victim.left_bytes -= device_bytes(w);
  victim.copied_bytes = victim.left_bytes - (patched - patched_device_bytes(w));
  return victim;
}

void Manager::detach(State& state) {
  std::fill(state.loaded.begin(), state.loaded.end(), 0);
  std::fill(state.wrapped.begin(), state.wrapped.end(), 0);
  state.loaded_bytes = 0;
  state.buffer_bytes = 0;
  state.lowvram = false;
  state.outside_on_gpu = false;
  state.placed = state.placed && state.weights.stays_on_gpu;
  state.loaded_patches.reset();
  count_device(state);
}

std::optional<Victim> Manager::unload(WeightsIndex weights) {
  if (std::ranges::count(registered_, weights) == 0) return {};
  return evict(weights, kNoLimit);
}

std::int64_t Manager::forget(WeightsIndex weights) {
  std::erase(registered_, weights);
  const std::int64_t bytes = device_bytes(weights);
  states_[weights].placed = false;
  detach(states_[weights]);
  return bytes;
}

// Rule 4: what may be brought beyond what is loaded.
double Manager::budget_for(const State& state, double minimum_bytes, bool force_full,
                           LoadRecord& record) const {
  const Rules& rules = settings_.rules;
  if (state.weights.on_cpu) return kNoLimit;
  record.limited = true;
  record.raised = Say::loads_nothing_ahead;
  if (settings_.vram_state == VramState::none) return kAlmostNothing;
  record.limited = settings_.vram_state != VramState::high && !force_full;
  if (!record.limited) return kNoLimit;
  const double free = static_cast<double>(record.free_bytes);
  const double share = std::min(free * settings_.weight_share, free - settings_.inference_bytes());
  const double total = std::max({rules.floor_bytes, free - minimum_bytes, share});
  record.raised = total == free - minimum_bytes ? Say::nothing
                  : total == 0                  ? Say::raised_to_loaded
                  : total == share              ? Say::raised_to_share
                                                : Say::raised_to_least;
  const double budget = total - static_cast<double>(state.loaded_bytes);
  if (budget != 0 && (budget >= kAlmostNothing || rules.unloads_below_budget)) return budget;
  record.raised = Say::raised_to_loaded;
  return kAlmostNothing;
}

// The terms of the budget, as they are before anything moves.
void Manager::tell_budget(LoadRecord& record) const {
  const State& own = states_[record.weights];
  if (own.weights.on_cpu) return;
  std::vector<Part>& parts = record.parts;
  const auto tell = [&parts](Say what, auto bytes, WeightsIndex weights = {}) {
    if (bytes != 0) parts.push_back({what, static_cast<double>(bytes), weights});
  };
  parts.push_back({Say::free_before_any_model, static_cast<double>(settings_.free_bytes)});
  for (const WeightsIndex w : states_.indices()) {
    if (w != record.weights) tell(Say::still_on_the_card, -states_[w].device_bytes, w);
  }
  tell(Say::held_by_a_node, -taken_bytes_);
  tell(Say::beyond_its_count, own.loaded_bytes - own.device_bytes, record.weights);
  if (!record.limited) return assert(comes_to(parts, static_cast<double>(record.free_bytes)));
  const double reserve = settings_.reserved_bytes;
  const bool least = record.minimum_bytes == settings_.inference_bytes();
  parts.push_back({least ? Say::least_for_a_step : Say::asked, reserve - record.minimum_bytes});
  parts.push_back({Say::reserve, -reserve});
  if (record.raised != Say::nothing) {
    const double left = static_cast<double>(record.free_bytes) - record.minimum_bytes;
    tell(record.raised, record.total_bytes - left);
  }
  assert(comes_to(parts, record.total_bytes));
}

// Rule 7. Another LoRA set than the loaded one: everything goes back before anything comes. True if
// so.
bool Manager::swap_patches(State& state) {
  if (state.loaded_patches == state.patches) return false;
  const bool swapped = state.loaded_patches.has_value();
  if (swapped) detach(state);
  if (!state.next_runs.empty()) {
    state.weights.runs = state.next_runs;
    state.loaded.assign(state.weights.runs.size(), 0);
    state.wrapped.assign(state.weights.runs.size(), 0);
  }
  state.repatched = state.last_patches && *state.last_patches != state.patches;
  state.last_patches = state.loaded_patches = state.patches;
  return swapped;
}

LoadRecord Manager::load_one(WeightsIndex weights, double minimum_bytes, bool force_full) {
  State& state = states_[weights];
  LoadRecord record;
  record.weights = weights;
  record.loaded_before_bytes = state.loaded_bytes;
  record.free_bytes = free_bytes() + state.loaded_bytes;
  record.minimum_bytes = minimum_bytes;
  record.budget_bytes = budget_for(state, minimum_bytes, force_full, record);
  record.total_bytes = static_cast<double>(state.loaded_bytes) + record.budget_bytes;
  tell_budget(record);

  const std::int64_t before = state.device_bytes;
  const std::int64_t patched = patched_device_bytes(weights);
  const bool swapped = swap_patches(state);
  const bool too_much = !swapped && record.budget_bytes < 0 && settings_.rules.unloads_below_budget;
  if (too_much) unload_part(state, -record.budget_bytes);
  const std::int64_t between = state.device_bytes;
  record.left_bytes = before - between;
  record.copied_bytes = record.left_bytes - (patched - patched_device_bytes(weights));
  if (!too_much && (state.lowvram || state.loaded_bytes == 0)) load_within(state, record);
  record.gained_bytes = state.device_bytes - between;

  record.loaded_bytes = state.loaded_bytes;
  if (record.log.empty()) {  // what is on the device counts, whatever ComfyUI counts
    record.offloaded_bytes = streamed_bytes(weights);
    record.uncounted_bytes = state.device_bytes - state.loaded_bytes;
    record.unlisted_bytes = state.weights.size_bytes - state.device_bytes - record.offloaded_bytes;
  }
  assert(state.weights.size_bytes == record.loaded_bytes + record.offloaded_bytes +
                                         record.uncounted_bytes + record.unlisted_bytes);
  record.lowvram = state.lowvram;
  record.full = !state.lowvram && state.loaded_bytes == state.weights.size_bytes;
  record.buffer_bytes = static_cast<std::int64_t>(state.buffer_bytes);
  return record;
}

// Rule 8.
bool text_encoder_starts_on_gpu(std::int64_t loader_bytes, std::int64_t free_vram_bytes,
                                std::int64_t free_ram_bytes) {
  const double free = static_cast<double>(free_vram_bytes);
  return loader_bytes > 1_GiB && free > 0.5 * static_cast<double>(free_ram_bytes) &&
         static_cast<double>(loader_bytes) * 1.2 < free;
}

bool checkpoint_starts_on_gpu(const ManagerSettings& settings, std::int64_t size_bytes,
                              std::int64_t free_vram_bytes, std::int64_t free_ram_bytes) {
  if (settings.vram_state == VramState::high) return true;
  if (!settings.smart_memory || settings.vram_state == VramState::none) return false;
  return free_vram_bytes > free_ram_bytes && size_bytes < free_vram_bytes;
}

// Rule 9.
bool conditionings_share_forward(double asked_bytes, std::int64_t free_vram_bytes) {
  return asked_bytes * 1.5 < static_cast<double>(free_vram_bytes);
}

}  // namespace ebb
