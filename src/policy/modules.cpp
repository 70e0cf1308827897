// SPDX-License-Identifier: Apache-2.0
// Which modules a budget keeps on the GPU, which leave it first, and the line ComfyUI logs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "policy/manager.h"

namespace ebb {
namespace {

constexpr double kNoLimit = 1e32;

// How many of `count` modules of `bytes` each stay strictly below `limit`, starting from `used`.
std::int64_t fitting_modules(double used, std::int64_t bytes, std::int64_t count, double limit) {
  const double size = static_cast<double>(bytes);
  if (used + size * static_cast<double>(count) < limit) return count;
  if (bytes == 0 || used + size >= limit) return 0;
  auto n = std::clamp<std::int64_t>(static_cast<std::int64_t>((limit - used) / size), 0, count);
  while (n > 0 && used + size * static_cast<double>(n) >= limit) --n;
  return n;
}

// Python's repr of a float.
std::string exact(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

double mib(double bytes) { return bytes / (1024.0 * 1024.0); }

}  // namespace

void Manager::load_within(State& state, LoadRecord& record) {
  const bool full = record.total_bytes > static_cast<double>(state.weights.size_bytes);
  int patch_count = 0;
  record.full = full;
  record.lowvram = false;
  record.loaded_bytes = 0;
  state.buffer_bytes = 0;
  choose(state, record, patch_count);
  const std::int64_t counted = record.loaded_bytes;
  state.lowvram = record.lowvram;
  state.loaded_bytes = full ? state.weights.size_bytes : counted;
  if (full) state.outside_on_gpu = true;
  if (!full) record.unlisted_bytes += state.weights.size_bytes - state.listed_bytes;
  if (full && !state.weights.stays_on_gpu) state.placed = false;
  record.buffer_bytes = static_cast<std::int64_t>(state.buffer_bytes);
  record.log = log_line(record, counted, patch_count);
  count_device(state);
}

// Books what the rule decided for one run: its first `fitting` modules are on the device. Modules
// that were there before stay, even beyond that; the counter follows the rule, not the device.
void Manager::keep(State& state, std::size_t run, std::int64_t fitting, LoadRecord& record,
                   int& patch_count) {
  const ManagedGroup& r = state.weights.runs[run];
  const std::int64_t left_out = r.modules.count - fitting;
  record.loaded_bytes += fitting * r.modules.bytes;
  if (r.modules.castable) {
    record.offloaded_bytes += left_out * r.modules.bytes;
    record.lowvram |= left_out > 0;
    if (r.patched && left_out > state.wrapped[run]) {
      patch_count += static_cast<int>(left_out - state.wrapped[run]);
    }
    state.wrapped[run] = left_out;
  } else {
    record.unlisted_bytes += left_out * r.modules.bytes;
  }
  state.loaded[run] = std::max(state.loaded[run], fitting);
}

// Rules 4 and 5. Modules in order, each that stays strictly below the budget: a small one still
// slips in after a large one did not fit. From 0.3.76 what is left out must be streamed, so a
// module stays only beside the buffer that leaving it out would take: for a copy of it, and for
// each stream a module more, from 0.4.0 the ones that come after it. The buffer grows with the
// largest such sum of what was left out so far, and never shrinks.
void Manager::choose(State& state, LoadRecord& record, int& patch_count) {
  const std::vector<ManagedGroup>& runs = state.weights.runs;
  const bool looks_ahead = settings_.rules.looks_ahead;
  double buffer = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const ModuleGroup& run = runs[i].modules;
    if (record.full) {
      keep(state, i, run.count, record, patch_count);
      continue;
    }
    // Only the last modules of a run look beyond it; all others see the same room ahead.
    const std::int64_t alike =
        looks_ahead ? std::max<std::int64_t>(run.count - settings_.streams, 0) : run.count;
    std::int64_t fitting = 0;
    bool open = true;
    const auto try_next = [&](std::int64_t modules, double ahead) {
      const double own = static_cast<double>(run.bytes + run.extra_offload_bytes);
      const double potential = settings_.rules.streaming_buffer ? std::max(buffer, own + ahead) : 0;
      const double used = static_cast<double>(record.loaded_bytes + fitting * run.bytes);
      const std::int64_t fit =
          open ? fitting_modules(used + potential, run.bytes, modules, record.total_bytes) : 0;
      fitting += fit;
      if (fit == modules) return;
      open = false;
      buffer = potential;
    };
    const std::int64_t next = run.bytes + (looks_ahead ? 0 : run.extra_offload_bytes);
    if (alike > 0) {
      try_next(alike, static_cast<double>(next) * static_cast<double>(settings_.streams));
    }
    for (std::int64_t m = alike; m < run.count; ++m) {
      double ahead = static_cast<double>(run.bytes * (run.count - 1 - m));
      std::int64_t wanted = settings_.streams - (run.count - 1 - m);
      for (std::size_t j = i + 1; j < runs.size() && wanted > 0; ++j) {
        const std::int64_t n = std::min<std::int64_t>(wanted, runs[j].modules.count);
        ahead += static_cast<double>(n * runs[j].modules.bytes);
        wanted -= n;
      }
      try_next(1, ahead);
    }
    keep(state, i, fitting, record, patch_count);
  }
  state.buffer_bytes = buffer;
}

// Rule 6: smallest modules first, until strictly more than asked is free. From 0.3.76 what leaves
// must be streamed later, so the growth of the buffer is freed as well. Going backwards, the
// modules that come after one are those that were looked at last; before the first, ComfyUI takes
// them to be of the buffer's share or of the last module's size, whichever is smaller.
std::int64_t Manager::unload_part(State& state, double to_free_bytes) {
  const std::vector<ManagedGroup>& runs = state.weights.runs;
  const double old_buffer = state.buffer_bytes;
  double& buffer = state.buffer_bytes;
  double ahead = 0;
  std::deque<double> recent;
  const auto last = std::find_if(runs.rbegin(), runs.rend(),
                                 [](const ManagedGroup& r) { return r.modules.count > 0; });
  if (last != runs.rend()) {
    const double guess =
        std::min(buffer / (settings_.streams + 1), static_cast<double>(last->modules.bytes));
    recent.assign(size_t(settings_.streams), guess);
    ahead = guess * settings_.streams;
  }
  std::int64_t freed = 0;
  for (std::size_t i = runs.size(); i-- > 0;) {
    const ModuleGroup& run = runs[i].modules;
    if (runs[i].patched && !run.castable) continue;
    const double room = static_cast<double>(run.bytes + run.extra_offload_bytes);
    while (state.loaded[i] > 0) {
      if (to_free_bytes + buffer - old_buffer < static_cast<double>(freed)) break;
      --state.loaded[i];
      freed += run.bytes;
      if (!settings_.rules.streaming_buffer) continue;
      const bool looks_ahead = settings_.rules.looks_ahead;
      buffer = std::max(buffer, looks_ahead ? room + ahead : room * (settings_.streams + 1));
      recent.push_back(static_cast<double>(run.bytes));
      ahead += recent.back() - recent.front();
      recent.pop_front();
    }
    state.wrapped[i] = std::max(state.wrapped[i], run.count - state.loaded[i]);
  }
  state.lowvram = true;
  state.loaded_bytes -= freed;
  count_device(state);
  return freed;
}

std::string Manager::log_line(const LoadRecord& record, std::int64_t counted_bytes,
                              int patches) const {
  const bool partially = record.lowvram;
  const double usable = mib(record.total_bytes);
  const double loaded = mib(static_cast<double>(counted_bytes));
  const char* how = partially ? "partially" : "completely";
  const LoadLog style = settings_.rules.log;
  if (style == LoadLog::numbers) {
    return fmt::format("loaded {} {} {} {}", how, exact(usable), exact(loaded),
                       partially     ? std::to_string(patches)
                       : record.full ? "True"
                                     : "False");
  }
  const bool bounded = style == LoadLog::buffer_bounded && record.total_bytes >= kNoLimit;
  std::string line = bounded ? fmt::format("loaded {}; ", how)
                             : fmt::format("loaded {}; {:.2f} MB usable,", how, usable);
  line += fmt::format(" {:.2f} MB loaded", loaded);
  if (!partially) return line + fmt::format(", full load: {}", record.full ? "True" : "False");
  line += fmt::format(", {:.2f} MB offloaded", mib(static_cast<double>(record.offloaded_bytes)));
  if (style != LoadLog::usable) {
    line +=
        fmt::format(", {:.2f} MB buffer reserved", mib(static_cast<double>(record.buffer_bytes)));
  }
  return line + fmt::format(", lowvram patches: {}", patches);
}

}  // namespace ebb
