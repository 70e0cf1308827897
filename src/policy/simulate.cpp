// SPDX-License-Identifier: Apache-2.0
// Plays passes through the classic memory manager and writes the timeline: who holds what in VRAM
// and RAM at every step, what moves over disk and link, and for how long.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "ebb/policy.h"
#include "policy/manager.h"

namespace ebb {
namespace {

constexpr std::int64_t kMost = 1LL << 60;

std::int64_t plus(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kMost : std::min(sum, kMost);
}

std::int64_t times(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kMost : std::min(product, kMost);
}

std::int64_t known_bytes(const Quantity& q) {
  return q.known() ? std::clamp<std::int64_t>(q.bytes, 0, kMost) : 0;
}

std::int64_t whole(double bytes) {
  if (!(bytes > 0)) return 0;
  return bytes >= static_cast<double>(kMost) ? kMost : static_cast<std::int64_t>(bytes);
}

std::optional<double> seconds(double amount, const Figure& rate) {
  if (amount == 0) return 0.0;
  if (!rate.known() || !(rate.value > 0)) return {};
  return amount / rate.value;
}

class Simulation {
 public:
  Simulation(const Passes& passes, const Machine& machine, const Levers& levers);
  Timeline run();

 private:
  struct Held {
    bool alive = false;    // ComfyUI holds it, in RAM or VRAM
    int last_step = -1;    // that reads or uses it
    bool by_hand = false;  // an upscaler: its node moves it, the manager doesn't know it
  };

  const Weights& weights(int w) const { return passes_.weights[size_t(w)]; }
  Held& held(int w) { return held_[size_t(w)]; }
  bool valid(int w) const { return w >= 0 && size_t(w) < held_.size(); }
  std::vector<int> valid(const std::vector<int>& list) const;

  void add_weights();
  void note_limits();
  void find_last_steps();
  void note(std::string text);

  void play(int index);
  void read(const Step& step);
  void place(const std::vector<int>& reads);
  void place_diffusion(int w, bool checkpoint);
  void place_text_encoder(int w, bool checkpoint);
  void use(const Step& step);
  void use_by_hand(const Step& step, int w);
  void call(const Step& step, const std::vector<int>& group);
  void bring_back(int w);
  void set_loras(const Step& step);
  void apply(const CallRecord& call);
  void apply(const Victim& victim);
  void add_load(const LoadRecord& record);
  void measure(const Step& step);
  void compute_seconds(const Step& step);
  void drop_unneeded(int index);
  void cut(const CutOrder& order);
  void drop(int w);

  std::int64_t ram_bytes(int w) const;
  std::int64_t ram_of_weights() const;
  void peak_ram(std::int64_t extra_bytes);
  std::int64_t disk_bytes(int w) const;

  const Passes& passes_;
  const Machine& machine_;
  const Levers& levers_;
  Manager manager_;
  Timeline timeline_;
  std::vector<Held> held_;
  std::map<std::vector<int>, int> lora_sets_;
  StepState state_;           // of the step being played; what a cut does goes to the step after it
  std::int64_t ram_now_ = 0;  // weights in RAM
  std::int64_t data_bytes_ = 0;                     // results in RAM
  std::vector<std::pair<int, std::int64_t>> data_;  // (last consumer, bytes), for --cache-none
};

Simulation::Simulation(const Passes& passes, const Machine& machine, const Levers& levers)
    : passes_(passes), machine_(machine), levers_(levers), manager_(manager_settings(machine)) {}

Timeline Simulation::run() {
  timeline_.vram_limit_bytes = machine_.vram_total.bytes;
  timeline_.ram_limit_bytes = machine_.ram_total.bytes;
  timeline_.policy = "classic " + to_string(manager_.settings().rules.since);
  add_weights();
  find_last_steps();
  note_limits();
  std::multimap<int, const CutOrder*> cuts;
  for (const CutOrder& order : levers_.cuts)
    if (order.after_pass >= 0 && size_t(order.after_pass) < passes_.passes.size())
      cuts.emplace(passes_.passes[size_t(order.after_pass)].last_step, &order);
  timeline_.steps.reserve(passes_.steps.size());
  for (int i = 0; size_t(i) < passes_.steps.size(); ++i) {
    play(i);
    timeline_.steps.push_back(std::move(state_));
    state_ = {};
    drop_unneeded(i);
    const auto [first, last] = cuts.equal_range(i);
    for (auto it = first; it != last; ++it) cut(*it->second);
  }
  return std::move(timeline_);
}

// ---- before the first step -----------------------------------------------------------------

void Simulation::add_weights() {
  const ComfyFlags& flags = machine_.flags;
  const VramState state = manager_.settings().vram_state;
  for (const Weights& w : passes_.weights) {
    Managed managed;
    Held held;
    const bool text = w.role == WeightsRole::text_encoder || w.role == WeightsRole::vision_encoder;
    held.by_hand = w.role == WeightsRole::upscaler;
    if (w.known() && w.role != WeightsRole::lora) {
      managed.size_bytes = w.bytes;
      for (const ModuleRun& run : w.modules) managed.runs.push_back({run, false});
      if (w.modules.empty()) managed.runs.push_back({{w.bytes, 0, 1, true}, false});
    }
    managed.on_cpu = flags.cpu || (flags.cpu_vae && w.role == WeightsRole::vae) ||
                     (text && (state == VramState::low || state == VramState::none));
    managed.stays_on_gpu =
        !managed.on_cpu && (flags.gpu_only || (state == VramState::high && !text &&
                                               w.role != WeightsRole::vae && !held.by_hand));
    manager_.add(std::move(managed));
    held_.push_back(held);
    if (!w.known())
      note(fmt::format("The size of {} is unknown: it takes no room in this prediction.",
                       w.files.empty() ? w.name : w.files.front()));
  }
}

void Simulation::note_limits() {
  const ComfyFlags& flags = machine_.flags;
  const ComfyVersion& version = machine_.comfyui;
  const Rules& rules = manager_.settings().rules;
  const bool dynamic = version >= ComfyVersion{0, 16, 0} && !flags.disable_dynamic_vram &&
                       !flags.gpu_only && !flags.cpu && flags.vram_state != VramState::high &&
                       flags.vram_state != VramState::none;
  if (dynamic)
    note(
        fmt::format("ComfyUI {} pages weights in on demand (dynamic VRAM) unless it is started "
                    "with --disable-dynamic-vram; this prediction uses the classic rules of {}.",
                    to_string(version), to_string(rules.since)));
  else if (version != rules.since)
    note(fmt::format("ComfyUI {} is simulated by the rules of {}, the nearest that are known.",
                     to_string(version), to_string(rules.since)));
  if (flags.cpu) note("With --cpu nothing is loaded into VRAM.");
  if (flags.cache == CacheKind::ram)
    note("--cache-ram may give results and models back earlier than shown when RAM runs short.");
  const bool loras = std::any_of(passes_.steps.begin(), passes_.steps.end(),
                                 [](const Step& s) { return !s.loras.empty() && !s.uses.empty(); });
  if (loras)
    note(
        "Assumed: a LoRA patches every weight that can be streamed; the originals of patched "
        "weights stay in RAM.");
}

void Simulation::find_last_steps() {
  for (int i = 0; size_t(i) < passes_.steps.size(); ++i) {
    const Step& step = passes_.steps[size_t(i)];
    for (const auto* list : {&step.uses, &step.loras})
      for (int w : valid(*list)) held(w).last_step = i;
    for (int w : valid(step.reads)) {
      held(w).last_step = std::max(held(w).last_step, i);
      for (int consumer : step.consumers) held(w).last_step = std::max(held(w).last_step, consumer);
    }
  }
}

std::vector<int> Simulation::valid(const std::vector<int>& list) const {
  std::vector<int> result;
  for (int w : list)
    if (valid(w) && std::find(result.begin(), result.end(), w) == result.end()) result.push_back(w);
  return result;
}

void Simulation::note(std::string text) {
  if (std::find(timeline_.notes.begin(), timeline_.notes.end(), text) == timeline_.notes.end())
    timeline_.notes.push_back(std::move(text));
}

// ---- one step ------------------------------------------------------------------------------

void Simulation::play(int index) {
  const Step& step = passes_.steps[size_t(index)];
  state_.vram_others_bytes = machine_.vram_others_bytes();
  ram_now_ = ram_of_weights();
  state_.vram_peak_bytes =
      std::max(state_.vram_peak_bytes, machine_.vram_total.bytes - manager_.free_bytes());
  peak_ram(0);
  read(step);
  use(step);
  measure(step);
  compute_seconds(step);
  const std::int64_t result = std::clamp<std::int64_t>(step.demand.result_bytes, 0, kMost);
  data_bytes_ = plus(data_bytes_, result);
  if (result > 0 && machine_.flags.cache == CacheKind::none) {
    int last = index;
    for (int consumer : step.consumers) last = std::max(last, consumer);
    data_.emplace_back(last, result);
  }
  state_.ram_data_bytes = data_bytes_;
  ram_now_ = ram_of_weights();
  peak_ram(0);
  for (int w = 0; size_t(w) < held_.size(); ++w)
    if (held(w).by_hand) manager_.take(-state_.vram[size_t(w)]);
}

// While a file is read, its mapped pages and the tensors made from it are in RAM together.
void Simulation::read(const Step& step) {
  const std::vector<int> reads = valid(step.reads);
  if (reads.empty()) return;
  std::map<std::string, std::vector<int>> files;  // a checkpoint's parts share one file
  for (int w : reads) {
    if (!weights(w).known() || held(w).alive) continue;
    files[weights(w).files.empty() ? weights(w).id : weights(w).files.front()].push_back(w);
  }
  std::int64_t read_bytes = 0;
  for (const auto& [file, parts] : files) {
    // Parts that all name the same size name the size of the whole file.
    const std::int64_t first = disk_bytes(parts.front());
    bool alike = true;
    std::int64_t sum = 0;
    for (int w : parts) {
      alike = alike && disk_bytes(w) == first;
      sum = plus(sum, disk_bytes(w));
    }
    read_bytes = plus(read_bytes, alike ? first : sum);
  }
  const std::int64_t before = ram_now_;
  state_.read_bytes = plus(state_.read_bytes, read_bytes);
  const std::vector<int> fresh = [&] {
    std::vector<int> result;
    for (int w : reads)
      if (!held(w).alive) result.push_back(w);
    return result;
  }();
  for (int w : fresh) held(w).alive = weights(w).known();
  ram_now_ = ram_of_weights();
  peak_ram(read_bytes);
  ram_now_ = before;
  place(fresh);
  ram_now_ = ram_of_weights();
}

void Simulation::place(const std::vector<int>& reads) {
  const auto has = [&](WeightsRole role) {
    return std::any_of(reads.begin(), reads.end(), [&](int w) { return weights(w).role == role; });
  };
  const bool checkpoint =
      has(WeightsRole::diffusion) && (has(WeightsRole::text_encoder) || has(WeightsRole::vae));
  for (int w : reads) {
    if (!weights(w).known()) continue;
    if (weights(w).role == WeightsRole::diffusion)
      place_diffusion(w, checkpoint);
    else if (weights(w).role == WeightsRole::text_encoder)
      place_text_encoder(w, checkpoint);
    else if (manager_.managed(w).stays_on_gpu && weights(w).role != WeightsRole::lora)
      manager_.place_on_gpu(w);
  }
}

void Simulation::place_diffusion(int w, bool checkpoint) {
  if (manager_.managed(w).on_cpu) return;
  const std::int64_t free_ram =
      machine_.ram_total.bytes - machine_.ram_others.bytes - ram_now_ - data_bytes_;
  const bool on_gpu = manager_.managed(w).stays_on_gpu;
  if (!checkpoint) {
    if (on_gpu) manager_.place_on_gpu(w);  // without asking anybody for room
    return;
  }
  if (!on_gpu && !checkpoint_starts_on_gpu(manager_.settings(), weights(w).bytes,
                                           manager_.free_bytes(), free_ram))
    return;
  manager_.place_on_gpu(w);
  apply(manager_.load({w}, 0, {}, true));
}

// A checkpoint's own text encoder always starts on the CPU.
void Simulation::place_text_encoder(int w, bool checkpoint) {
  const Managed& managed = manager_.managed(w);
  if (managed.on_cpu || (checkpoint && !managed.stays_on_gpu)) return;
  const std::int64_t free_ram =
      machine_.ram_total.bytes - machine_.ram_others.bytes - ram_now_ - data_bytes_;
  const std::int64_t size =
      weights(w).loader_bytes > 0 ? weights(w).loader_bytes : weights(w).bytes;
  if (!managed.stays_on_gpu && !text_encoder_starts_on_gpu(size, manager_.free_bytes(), free_ram))
    return;
  manager_.place_on_gpu(w);
  apply(manager_.load({w}, 0, {}, true));
}

void Simulation::use(const Step& step) {
  const std::vector<int> uses = valid(step.uses);
  for (int w : valid(step.loras)) bring_back(w);
  for (int w : uses) bring_back(w);
  if (uses.empty()) return;
  set_loras(step);
  // ControlNets and their like come in the sampler's own request; what else a node uses, after it.
  std::vector<int> group;
  std::vector<int> later;
  for (int w : uses) {
    if (!weights(w).known()) continue;
    const bool together =
        step.kind == StepKind::sample && weights(w).role == WeightsRole::controlnet;
    if (held(w).by_hand)
      use_by_hand(step, w);
    else if (group.empty() || together)
      group.push_back(w);
    else
      later.push_back(w);
  }
  if (!group.empty()) call(step, group);
  for (int w : later) call(step, {w});
}

// The node frees what it thinks it needs, moves the model over, and back when it is done.
void Simulation::use_by_hand(const Step& step, int w) {
  apply(CallRecord{{manager_.make_room(static_cast<double>(known_bytes(step.demand.asked)))}, {}});
  if (manager_.managed(w).on_cpu) return;
  const std::int64_t size = manager_.managed(w).size_bytes;
  manager_.take(size);
  if (state_.vram.empty()) state_.vram.assign(held_.size(), 0);
  state_.vram[size_t(w)] = size;
  state_.moved_bytes = plus(state_.moved_bytes, times(size, 2));
}

void Simulation::call(const Step& step, const std::vector<int>& group) {
  double asked = static_cast<double>(known_bytes(step.demand.asked));
  std::optional<double> minimum;
  if (step.demand.minimum.known()) minimum = static_cast<double>(known_bytes(step.demand.minimum));
  for (const Budget& budget : levers_.budgets) {
    if (step.kind != StepKind::sample || budget.weights != group.front()) continue;
    asked = static_cast<double>(std::max<std::int64_t>(budget.minimum_bytes, 0));
    minimum = asked;
  }
  apply(manager_.load(group, asked, minimum));
  const bool shared =
      step.demand.forwards < 2 ||
      conditionings_share_forward(static_cast<double>(known_bytes(step.demand.asked)),
                                  manager_.free_bytes());
  const std::int64_t rounds =
      times(std::max(step.demand.repeats, 1), shared ? 1 : std::max(step.demand.forwards, 1));
  for (int w : group)
    state_.streamed_bytes = plus(state_.streamed_bytes, times(manager_.streamed_bytes(w), rounds));
}

// A plan dropped it, or no loader is known: it is read when it is needed.
void Simulation::bring_back(int w) {
  if (held(w).alive || !weights(w).known()) return;
  held(w).alive = true;
  state_.read_bytes = plus(state_.read_bytes, disk_bytes(w));
  ram_now_ = plus(ram_now_, ram_bytes(w));
  peak_ram(disk_bytes(w));
}

void Simulation::set_loras(const Step& step) {
  const std::vector<int> uses = valid(step.uses);
  const int main = uses.front();
  if (!weights(main).known() || held(main).by_hand) return;
  std::vector<ManagedRun> runs;
  for (const ModuleRun& run : weights(main).modules) runs.push_back({run, false});
  if (runs.empty()) return;
  int patches = 0;
  if (!step.loras.empty()) {
    patches = lora_sets_.emplace(step.loras, static_cast<int>(lora_sets_.size()) + 1).first->second;
    for (ManagedRun& run : runs) {
      run.patched = run.modules.castable && run.modules.bytes > 0;
      std::int64_t& extra = run.modules.extra_offload_bytes;
      // Streaming a patched weight takes two copies in the type it is computed in.
      if (run.patched) extra = times(extra > 0 ? extra : run.modules.bytes, 2);
    }
    if (manager_.settings().rules.streaming_buffer) sort_for_streaming(runs);
  }
  manager_.set_patches(main, patches, std::move(runs));
}

// ---- what a request did --------------------------------------------------------------------

void Simulation::apply(const CallRecord& call) {
  for (const FreeRecord& free : call.frees)
    for (const Victim& victim : free.victims) apply(victim);
  for (const LoadRecord& load : call.loads) {
    if (load.left_bytes > 0) {
      ram_now_ = plus(ram_now_, load.copied_bytes);
      state_.moved_bytes = plus(state_.moved_bytes, load.copied_bytes);
      state_.evictions.push_back({load.weights, load.left_bytes, load.loaded_bytes > 0});
      peak_ram(0);
    }
    state_.moved_bytes = plus(state_.moved_bytes, load.gained_bytes);
    add_load(load);
  }
  ram_now_ = ram_of_weights();
}

void Simulation::apply(const Victim& victim) {
  ram_now_ = plus(ram_now_, victim.copied_bytes);
  state_.moved_bytes = plus(state_.moved_bytes, victim.copied_bytes);
  state_.evictions.push_back({victim.weights, victim.left_bytes, victim.partial});
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
  load.log = record.log;
  state_.loads.push_back(std::move(load));
}

// ---- bands, peaks, seconds -----------------------------------------------------------------

void Simulation::measure(const Step& step) {
  const Demand& demand = step.demand;
  if (state_.vram.empty()) state_.vram.assign(held_.size(), 0);
  state_.ram.assign(held_.size(), 0);
  for (int w = 0; size_t(w) < held_.size(); ++w) {
    const std::int64_t by_hand = state_.vram[size_t(w)];
    if (!held(w).by_hand) state_.vram[size_t(w)] = manager_.device_bytes(w);
    state_.ram[size_t(w)] = std::max<std::int64_t>(ram_bytes(w) - by_hand, 0);
  }
  if (!step.uses.empty()) {
    state_.live_bytes = known_bytes(demand.live);
    state_.reserved_bytes =
        demand.reserved.known() ? known_bytes(demand.reserved) : state_.live_bytes;
    state_.demand_known = demand.asked.known() && (demand.live.known() || demand.reserved.known());
  }
  const std::int64_t resident = machine_.vram_total.bytes - manager_.free_bytes();
  state_.vram_peak_bytes = std::max(state_.vram_peak_bytes, plus(resident, state_.reserved_bytes));
}

void Simulation::compute_seconds(const Step& step) {
  const double flops = step.demand.flops * std::max(step.demand.repeats, 1);
  const bool works = !step.uses.empty();
  state_.read_seconds =
      seconds(static_cast<double>(state_.read_bytes), machine_.disk_bytes_per_second);
  state_.move_seconds =
      seconds(static_cast<double>(state_.moved_bytes), machine_.link_bytes_per_second);
  state_.stream_seconds =
      seconds(static_cast<double>(state_.streamed_bytes), machine_.link_bytes_per_second);
  if (!works)
    state_.compute_seconds = 0;
  else if (flops > 0)
    state_.compute_seconds = seconds(flops, machine_.compute_flops_per_second);
  if (state_.streamed_bytes == 0)
    state_.stall_seconds = 0;
  else if (state_.stream_seconds && state_.compute_seconds)
    state_.stall_seconds = std::max(0.0, *state_.stream_seconds - *state_.compute_seconds);
}

std::int64_t Simulation::ram_bytes(int w) const {
  if (!held_[size_t(w)].alive) return 0;
  if (weights(w).role == WeightsRole::lora) return disk_bytes(w);
  return manager_.managed(w).size_bytes - manager_.device_bytes(w) +
         manager_.patched_device_bytes(w);
}

std::int64_t Simulation::ram_of_weights() const {
  std::int64_t bytes = 0;
  for (int w = 0; size_t(w) < held_.size(); ++w) bytes = plus(bytes, ram_bytes(w));
  return bytes;
}

void Simulation::peak_ram(std::int64_t extra_bytes) {
  const std::int64_t now =
      plus(plus(machine_.ram_others.bytes, ram_now_), plus(data_bytes_, extra_bytes));
  state_.ram_peak_bytes = std::max(state_.ram_peak_bytes, now);
}

std::int64_t Simulation::disk_bytes(int w) const {
  const Weights& it = weights(w);
  return std::clamp<std::int64_t>(it.file_bytes > 0 ? it.file_bytes : it.bytes, 0, kMost);
}

// ---- between steps -------------------------------------------------------------------------

// --cache-none keeps a result only until its last consumer has run.
void Simulation::drop_unneeded(int index) {
  if (machine_.flags.cache != CacheKind::none) return;
  for (int w = 0; size_t(w) < held_.size(); ++w)
    if (held(w).alive && held(w).last_step <= index) {
      manager_.forget(w);
      held(w).alive = false;
    }
  std::erase_if(data_, [&](const auto& data) {
    if (data.first > index) return false;
    data_bytes_ -= data.second;
    return true;
  });
}

void Simulation::cut(const CutOrder& order) {
  ram_now_ = ram_of_weights();
  if (order.action == CutAction::unload_all) {
    for (const Victim& victim : manager_.unload_all().victims) apply(victim);
  }
  if (order.action != CutAction::park && order.action != CutAction::drop) return;
  const Pass& pass = passes_.passes[size_t(order.after_pass)];
  for (int w : valid(order.weights.empty() ? pass.weights : order.weights)) {
    if (order.action == CutAction::drop)
      drop(w);
    else if (const auto victim = manager_.unload(w))
      apply(*victim);
  }
}

void Simulation::drop(int w) {
  if (!held(w).alive) return;
  if (const std::int64_t bytes = manager_.forget(w); bytes > 0)
    state_.evictions.push_back({w, bytes, false});
  held(w).alive = false;
}

}  // namespace

Timeline simulate(const Passes& passes, const Machine& machine, const Levers& levers) {
  return Simulation(passes, machine, levers).run();
}

}  // namespace ebb
