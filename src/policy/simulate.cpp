// SPDX-License-Identifier: Apache-2.0
// Plays passes through the classic memory manager: what loader nodes and samplers ask of it.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ebb/policy.h"
#include "policy/simulation.h"

namespace ebb {
namespace {

// On the CPU, ComfyUI loads diffusion models and VAEs of 16 bits in fp32 (unet_dtype, vae_dtype);
// text encoders stay fp16. 0: as they are.
std::int64_t single_bytes(const Weights& w) {
  const bool half = w.stored_type == "fp16" || w.stored_type == "bf16" || w.stored_type == "fp32";
  const bool widened = w.role == WeightsRole::diffusion || w.role == WeightsRole::vae;
  return half && widened && w.known() ? times(std::max<std::int64_t>(w.parameters, 0), 4) : 0;
}

}  // namespace

Simulation::Simulation(const Passes& passes, const Machine& machine, const Levers& levers)
    : passes_(passes),
      machine_(machine),
      levers_(levers),
      manager_(manager_settings(machine)),
      pins_(pin_limit_bytes(machine)) {
  if (uses_dynamic_vram(machine)) pager_.emplace(paged_card(machine), manager_.settings().streams);
}

Timeline Simulation::run(StepIndex queued_at) {
  timeline_.vram_limit_bytes = machine_.vram_total.bytes;
  timeline_.ram_limit_bytes = machine_.ram_total.bytes;
  timeline_.policy = {paged() ? Policy::paged : Policy::classic, rules_known()};
  timeline_.ram_open = copies_resident();
  add_weights();
  pinned_.assign(held_.size(), 0);
  ram_each_.assign(held_.size(), 0);
  in_use_.assign(held_.size(), false);
  find_last_steps(0, queued_at.exists() ? queued_at : passes_.steps.end_index());
  note_limits();
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

void Simulation::add_weights() {
  const ComfyFlags& flags = machine_.flags;
  const VramState state = manager_.settings().vram_state;
  for (const Weights& w : passes_.weights) {
    Managed managed;
    Holding held;
    const bool text = w.role == WeightsRole::text_encoder || w.role == WeightsRole::vision_encoder;
    held.by_hand = w.role == WeightsRole::upscaler;
    if (w.known() && w.role != WeightsRole::lora) {
      managed.size_bytes = w.bytes;
      for (const ModuleGroup& run : w.modules) managed.runs.push_back({run, false});
      if (w.modules.empty()) managed.runs.push_back({{w.bytes, 0, 1, true}, false});
    }
    managed.on_cpu = flags.cpu || (flags.cpu_vae && w.role == WeightsRole::vae) ||
                     (!paged() && text && (state == VramState::low || state == VramState::none));
    if (managed.on_cpu) managed.size_bytes = std::max(managed.size_bytes, single_bytes(w));
    managed.stays_on_gpu =
        !managed.on_cpu && (flags.gpu_only || (state == VramState::high && !text &&
                                               w.role != WeightsRole::vae && !held.by_hand));
    if (paged()) {
      std::vector<ModuleGroup> modules;
      for (const ManagedGroup& run : managed.runs) modules.push_back(run.modules);
      pager_->add(modules, managed.size_bytes);
    }
    manager_.add(std::move(managed));
    held_.push_back(held);
    if (paged() && !w.files.empty() && w.files.front().ends_with(".gguf")) {
      note({Say::gguf_is_not_paged, {w.name}});
    }
  }
}

// The release whose rules are played: the machine's own where its code was read or recorded, else
// the nearest one that was. Of paging only one release was.
ComfyVersion Simulation::rules_known() const {
  if (paged()) return kPagesRecorded;
  return std::clamp(machine_.comfyui, kVersionRules.front().since, kNewestKnown);
}

// Whether weights that have a page keep a copy in RAM as well, which is not counted yet.
bool Simulation::copies_resident() const {
  return paged() && manager_.settings().rules.copies_resident &&
         !machine_.flags.disable_pinned_memory && !given("--fast-disk");
}

bool Simulation::given(std::string_view word) const {
  const std::vector<std::string>& words = machine_.flags.other;
  return std::find(words.begin(), words.end(), word) != words.end();
}

// What differs between the rules that are played and this release, as far as it is known.
void Simulation::note_version() {
  const ComfyVersion& version = machine_.comfyui;
  const ComfyVersion known = rules_known();
  if (version == known) return;
  std::vector<Message> missing;
  if (copies_resident()) missing.emplace_back(Say::copies_of_resident_weights);
  if (paged() && cache_of(version, machine_.flags) == CacheKind::ram) {
    missing.emplace_back(Say::what_the_ram_cache_lets_go);
  }
  if (version > kNewestKnown) {
    missing.push_back({Say::what_changed_after, {to_string(kNewestKnown)}});
  }
  const Message unknown = missing.empty() ? Message() : Message(Say::not_known_yet, {missing});
  note({Say::nearest_rules, {to_string(version), to_string(known), unknown}});
  if (version < known) note({Say::older_than_any_known, {to_string(version)}});
}

void Simulation::note_limits() {
  const ComfyFlags& flags = machine_.flags;
  note_version();
  if (given("dynamic_vram") && !manager_.settings().rules.pages_on_wish) {
    note({Say::no_pages_on_wish, {to_string(machine_.comfyui)}});
  }
  if (paged()) {
    constexpr ComfyVersion kPagedInWsl = {0, 33, 0};
    note(machine_.comfyui < kPagedInWsl ? Say::paged_but_in_wsl : Say::paged_everywhere);
    if (!levers_.budgets.empty() || !passes_.own.budgets.empty()) note(Say::budget_without_effect);
  }
  if (flags.cpu) note(Say::cpu_loads_nothing);
  if (flags.cache == CacheKind::ram && !manager_.settings().rules.ram_cache) {
    note(Say::cache_ram_lets_go);
  }
  if (flags.cache == CacheKind::lru) note(Say::cache_lru_within_a_prompt);
  const bool loras = std::any_of(passes_.steps.begin(), passes_.steps.end(),
                                 [](const Step& s) { return !s.loras.empty() && !s.uses.empty(); });
  if (loras && !paged()) note(Say::lora_patches_all);
}

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
    if (valid(w) && std::find(result.begin(), result.end(), w) == result.end()) result.push_back(w);
  }
  return result;
}

void Simulation::note(Message message) {
  if (std::find(timeline_.notes.begin(), timeline_.notes.end(), message) == timeline_.notes.end()) {
    timeline_.notes.push_back(std::move(message));
  }
}

// ---- one step ------------------------------------------------------------------------------

void Simulation::play(StepIndex index) {
  const Step& step = passes_.steps[index];
  state_.vram_others_bytes = machine_.vram_others_bytes();
  count_ram();
  state_.vram_peak_bytes =
      std::max(state_.vram_peak_bytes, machine_.vram_total.bytes - free_vram());
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
  in_use_.assign(held_.size(), false);
  for (const WeightsIndex w : held_.indices()) {
    if (held(w).by_hand) take(-state_.vram[w]);
  }
}

// While a file is read, its mapped pages and the tensors made from it are in RAM together.
void Simulation::read(const Step& step) {
  std::vector<WeightsIndex> fresh;
  std::map<std::string, std::vector<WeightsIndex>> files;  // a checkpoint's parts share one file
  for (WeightsIndex w : valid(step.reads)) {
    if (!weights(w).known() || held(w).alive) continue;
    fresh.push_back(w);
    files[weights(w).files.empty() ? weights(w).id : weights(w).files.front()].push_back(w);
  }
  if (fresh.empty()) return;
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
    if (!paged()) count_read(parts.front(), bytes);
  }
  for (WeightsIndex w : fresh) held(w).alive = true;
  if (paged()) return;  // the file is mapped; its bytes come when they are used
  place(fresh);         // where to is decided by the RAM that was free before
  count_ram();
  peak_ram(0, mapped);
}

void Simulation::count_read(WeightsIndex w, std::int64_t bytes) {
  std::int64_t& total = held(w).cached ? warm_bytes_ : state_.read_bytes;
  total = plus(total, bytes);
}

void Simulation::place(const std::vector<WeightsIndex>& reads) {
  const auto has = [&](WeightsRole role) {
    return std::any_of(reads.begin(), reads.end(),
                       [&](WeightsIndex w) { return weights(w).role == role; });
  };
  const bool checkpoint =
      has(WeightsRole::diffusion) && (has(WeightsRole::text_encoder) || has(WeightsRole::vae));
  for (WeightsIndex w : reads) {
    if (!weights(w).known()) continue;
    if (weights(w).role == WeightsRole::diffusion) {
      place_diffusion(w, checkpoint);
    } else if (weights(w).role == WeightsRole::text_encoder) {
      place_text_encoder(w, checkpoint);
    } else if (manager_.managed(w).stays_on_gpu && weights(w).role != WeightsRole::lora) {
      manager_.place_on_gpu(w);
    }
  }
}

void Simulation::place_diffusion(WeightsIndex w, bool checkpoint) {
  if (manager_.managed(w).on_cpu) return;
  const std::int64_t free_ram =
      machine_.ram_total.bytes - machine_.ram_others.bytes - ram_now_ - data_bytes_;
  const bool on_gpu = manager_.managed(w).stays_on_gpu;
  if (!checkpoint) {
    if (on_gpu) manager_.place_on_gpu(w);  // without asking anybody for room
    return;
  }
  if (!on_gpu && !checkpoint_starts_on_gpu(manager_.settings(), weights(w).bytes,
                                           manager_.free_bytes(), free_ram)) {
    return;
  }
  manager_.place_on_gpu(w);
  apply(manager_.load({w}, 0, {}, true));
}

// A checkpoint's own text encoder always starts on the CPU.
void Simulation::place_text_encoder(WeightsIndex w, bool checkpoint) {
  const Managed& managed = manager_.managed(w);
  if (managed.on_cpu || (checkpoint && !managed.stays_on_gpu)) return;
  const std::int64_t free_ram =
      machine_.ram_total.bytes - machine_.ram_others.bytes - ram_now_ - data_bytes_;
  const std::int64_t size =
      weights(w).loader_bytes > 0 ? weights(w).loader_bytes : weights(w).bytes;
  if (!managed.stays_on_gpu && !text_encoder_starts_on_gpu(size, manager_.free_bytes(), free_ram)) {
    return;
  }
  manager_.place_on_gpu(w);
  apply(manager_.load({w}, 0, {}, true));
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
  const std::int64_t used = machine_.vram_total.bytes - free_vram();
  const std::int64_t reserved = known_bytes(part.demand.reserved);
  const std::int64_t room = std::max<std::int64_t>(0, machine_.vram_total.bytes - used);
  const std::int64_t taken = machine_.os == Os::linux
                                 ? std::max(known_bytes(part.demand.live), std::min(reserved, room))
                                 : std::max(known_bytes(part.demand.live), reserved);
  state_.vram_peak_bytes = std::max(state_.vram_peak_bytes, plus(used, taken));
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
  if (!paged()) set_loras(step);
  if (paged() && machine_.flags.disable_smart_memory) purge_paged(uses);
  // ControlNets and their like come in the sampler's own request; what else a node uses, after it.
  std::vector<WeightsIndex> group;
  std::vector<WeightsIndex> later;
  for (WeightsIndex w : uses) {
    if (!weights(w).known()) continue;
    const bool together =
        step.kind == StepKind::sample && weights(w).role == WeightsRole::controlnet;
    if (held(w).by_hand) {
      use_by_hand(step, w);
    } else if (paged()) {
      call_paged(step, w);
    } else if (group.empty() || together) {
      group.push_back(w);
    } else {
      later.push_back(w);
    }
  }
  if (!group.empty()) call(step, group);
  for (WeightsIndex w : later) call(step, {w});
}

// The node frees what it thinks it needs, moves the model over, and back when it is done.
void Simulation::use_by_hand(const Step& step, WeightsIndex w) {
  const std::int64_t asked = known_bytes(step.demand.asked);
  if (paged()) {
    apply_paged(pager_->make_room(asked));
  } else {
    apply(CallRecord{{manager_.make_room(static_cast<double>(asked))}, {}});
  }
  if (manager_.managed(w).on_cpu) return;
  const std::int64_t size = manager_.managed(w).size_bytes;
  take(size);
  if (state_.vram.empty()) state_.vram.assign(held_.size(), 0);
  state_.vram[w] = size;
  state_.moved_bytes = plus(state_.moved_bytes, times(size, 2));
}

void Simulation::call(const Step& step, const std::vector<WeightsIndex>& group) {
  double asked = static_cast<double>(known_bytes(step.demand.asked));
  std::optional<double> minimum;
  if (step.demand.minimum.known()) minimum = static_cast<double>(known_bytes(step.demand.minimum));
  std::vector<Budget> budgets = passes_.own.budgets;
  budgets.insert(budgets.end(), levers_.budgets.begin(), levers_.budgets.end());
  bool measured = false;
  for (const Budget& budget : budgets) {
    if (now_ != budget.step || budget.weights != group.front()) continue;
    asked = static_cast<double>(std::max<std::int64_t>(budget.minimum_bytes, 0));
    minimum = asked;
    measured = true;
  }
  std::vector<WeightsIndex> request = group;
  if (manager_.settings().rules.last_loads_first) std::reverse(request.begin(), request.end());
  CallRecord done = manager_.load(request, asked, minimum);
  for (LoadRecord& load : done.loads) {
    for (Part& part : load.parts) {
      if (measured && part.what == Say::asked) part.what = Say::asked_by_the_budget;
    }
  }
  apply(done);
  const bool shared =
      step.demand.forwards < 2 ||
      conditionings_share_forward(static_cast<double>(known_bytes(step.demand.asked)),
                                  manager_.free_bytes());
  const std::int64_t rounds =
      times(std::max(step.demand.repeats, 1), shared ? 1 : std::max(step.demand.forwards, 1));
  for (WeightsIndex w : group) {
    state_.streamed_bytes = plus(state_.streamed_bytes, times(manager_.streamed_bytes(w), rounds));
  }
}

// A plan dropped it, or no loader is known: it is read when it is needed.
void Simulation::bring_back(WeightsIndex w) {
  if (held(w).alive || !weights(w).known()) return;
  held(w).alive = true;
  if (paged() && !held(w).by_hand && weights(w).role != WeightsRole::lora) return;
  count_read(w, disk_bytes(w));
  add_ram(w, ram_bytes(w));
  peak_ram(0, disk_bytes(w));
}

// A number for the LoRAs of a step; 0: none.
int Simulation::lora_set(const Step& step) {
  if (step.loras.empty()) return 0;
  return lora_sets_.emplace(step.loras, static_cast<int>(lora_sets_.size()) + 1).first->second;
}

void Simulation::set_loras(const Step& step) {
  const std::vector<WeightsIndex> uses = valid(step.uses);
  const WeightsIndex main = uses.front();
  if (!weights(main).known() || held(main).by_hand) return;
  std::vector<ManagedGroup> runs;
  for (const ModuleGroup& run : weights(main).modules) runs.push_back({run, false});
  if (runs.empty()) return;
  const int patches = lora_set(step);
  if (patches != 0) {
    for (ManagedGroup& run : runs) {
      run.patched = run.modules.castable && run.modules.bytes > 0;
      std::int64_t& extra = run.modules.extra_offload_bytes;
      // Streaming a patched weight takes two copies in the type it is computed in.
      if (run.patched) extra = times(extra > 0 ? extra : run.modules.bytes, 2);
    }
    if (manager_.settings().rules.streaming_buffer) sort_for_streaming(runs);
  }
  manager_.set_patches(main, patches, std::move(runs));
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
