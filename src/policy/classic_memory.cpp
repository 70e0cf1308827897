// SPDX-License-Identifier: Apache-2.0
// The classic memory manager behind Memory: what loader nodes and samplers ask of it.
#include <algorithm>
#include <cmath>

#include "policy/memory.h"
#include "policy/pins.h"

namespace ebb {
namespace {

std::int64_t whole(double bytes) {
  if (!(bytes > 0)) return 0;
  return bytes >= static_cast<double>(kMostSummedBytes) ? kMostSummedBytes
                                                        : static_cast<std::int64_t>(bytes);
}

class ClassicMemory final : public Memory {
 public:
  explicit ClassicMemory(const Machine& machine)
      : machine_(machine), manager_(manager_settings(machine)), pins_(pin_limit_bytes(machine)) {}

  Policy policy() const override {
    return {Policy::classic,
            std::clamp(machine_.comfyui, kVersionRules.front().since, kNewestKnown)};
  }
  bool maps_files() const override { return false; }
  bool ram_open() const override { return false; }

  void add(const Weights& weights) override {
    weights_.push_back(&weights);
    manager_.add(managed_weights(weights, machine_, Policy::classic));
  }
  bool place(WeightsIndex w, bool checkpoint, std::int64_t free_ram_bytes) override;
  void patch(WeightsIndex w, int set, const std::vector<std::int64_t>& unpatched) override;

  Moves begin(const std::vector<WeightsIndex>& /*uses*/) override { return {}; }
  Moves use(const Request& request) override;
  void end() override { pins_.update(manager_); }
  Moves make_room(std::int64_t bytes) override {
    return moves({{manager_.make_room(static_cast<double>(bytes))}, {}});
  }
  void take(std::int64_t bytes) override { manager_.take(bytes); }
  Moves unload_all() override { return moves({{manager_.unload_all()}, {}}); }
  Moves unload(WeightsIndex w) override {
    const auto victim = manager_.unload(w);
    return victim ? moves({{{0, 0, {*victim}, {w}}}, {}}) : Moves();
  }
  std::int64_t forget(WeightsIndex w) override { return manager_.forget(w); }

  std::int64_t free_bytes() const override { return manager_.free_bytes(); }
  std::int64_t vram(WeightsIndex w) const override { return manager_.device_bytes(w); }
  std::int64_t ram(WeightsIndex w) const override {  // rule 7: of patched ones the originals stay
    return manager_.managed(w).size_bytes - vram(w) + manager_.patched_device_bytes(w);
  }
  std::int64_t pinned() const override { return pins_.bytes(); }
  std::int64_t loaded(WeightsIndex w) const override { return manager_.loaded_bytes(w); }
  std::vector<WeightsIndex> listed() const override { return manager_.registered(); }
  bool on_cpu(WeightsIndex w) const override { return manager_.managed(w).on_cpu; }

 private:
  Moves moves(CallRecord record) const;
  Load load(const LoadRecord& record) const;

  const Machine& machine_;
  Manager manager_;
  Pins pins_;
  List<const Weights*, WeightsIndex> weights_;
};

// Rule 8. A checkpoint's own text encoder always starts on the CPU; a diffusion model that is a
// file by itself asks nobody for room.
bool ClassicMemory::place(WeightsIndex w, bool checkpoint, std::int64_t free_ram_bytes) {
  const Managed& managed = manager_.managed(w);
  const Weights& weights = *weights_[w];
  if (managed.on_cpu || weights.role == WeightsRole::lora) return false;
  const bool text = weights.role == WeightsRole::text_encoder;
  const bool asks = text || (weights.role == WeightsRole::diffusion && checkpoint);
  bool on_gpu = managed.stays_on_gpu;
  if (!on_gpu && text && !checkpoint) {
    const std::int64_t size = weights.loader_bytes > 0 ? weights.loader_bytes : weights.bytes;
    on_gpu = text_encoder_starts_on_gpu(size, free_bytes(), free_ram_bytes);
  } else if (!on_gpu && asks && !text) {
    on_gpu =
        checkpoint_starts_on_gpu(manager_.settings(), weights.bytes, free_bytes(), free_ram_bytes);
  }
  if (on_gpu) manager_.place_on_gpu(w);
  return on_gpu && asks;
}

void ClassicMemory::patch(WeightsIndex w, int set, const std::vector<std::int64_t>& unpatched) {
  const std::vector<ModuleGroup>& modules = weights_[w]->modules;
  if (modules.empty()) return;
  const bool streams = manager_.settings().rules.streaming_buffer;
  manager_.set_patches(w, set,
                       set == 0 ? managed_weights(*weights_[w], machine_, Policy::classic).runs
                                : patched_runs(modules, unpatched, streams));
}

Moves ClassicMemory::use(const Request& request) {
  std::vector<WeightsIndex> order = request.weights;
  if (manager_.settings().rules.last_loads_first) std::reverse(order.begin(), order.end());
  CallRecord done = manager_.load(order, request.asked_bytes, request.minimum_bytes, request.full);
  for (LoadRecord& load : done.loads) {
    for (Part& part : load.parts) {
      if (request.measured && part.what == Say::asked) part.what = Say::asked_by_the_budget;
    }
  }
  Moves result = moves(std::move(done));
  for (const WeightsIndex w : order) {
    result.streamed_bytes = plus(result.streamed_bytes, manager_.streamed_bytes(w));
  }
  return result;
}

Moves ClassicMemory::moves(CallRecord record) const {
  Moves moves;
  for (const FreeRecord& free : record.frees) {
    for (const Victim& v : free.victims) {
      if (v.left_bytes > 0) {
        moves.left.push_back({{v.weights, v.left_bytes, v.partial}, v.copied_bytes});
      }
    }
  }
  for (const LoadRecord& it : record.loads) {
    if (it.left_bytes > 0) {
      moves.left.push_back({{it.weights, it.left_bytes, it.loaded_bytes > 0}, it.copied_bytes});
    }
    moves.gained_bytes = plus(moves.gained_bytes, it.gained_bytes);
    if (!on_cpu(it.weights)) moves.loads.push_back(load(it));
  }
  moves.record = std::move(record);
  return moves;
}

Load ClassicMemory::load(const LoadRecord& record) const {
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
  return load;
}

}  // namespace

std::unique_ptr<Memory> make_classic_memory(const Machine& machine) {
  return std::make_unique<ClassicMemory>(machine);
}

}  // namespace ebb
