// SPDX-License-Identifier: Apache-2.0
// Dynamic VRAM behind Memory: files are mapped, their bytes come from disk at first use, and what
// has no page is streamed in every repeat.
#include <algorithm>

#include "policy/memory.h"
#include "policy/pins.h"

namespace ebb {
namespace {

class PagedMemory final : public Memory {
 public:
  explicit PagedMemory(const Machine& machine)
      : machine_(machine), pager_(paged_card(machine), manager_settings(machine).streams) {}

  Policy policy() const override { return {Policy::paged, kPagesRecorded}; }
  bool maps_files() const override { return true; }
  // Weights that have a page keep a locked copy in RAM as well, which is not counted yet.
  bool ram_open() const override {
    return rules_for(machine_.comfyui).copies_resident && !machine_.flags.disable_pinned_memory &&
           !std::ranges::count(machine_.flags.other, "--fast-disk");
  }

  void add(const Weights& weights) override;
  bool place(WeightsIndex, bool /*checkpoint*/, std::int64_t /*free_ram*/) override {
    return false;
  }
  void patch(WeightsIndex w, int set, const std::vector<std::int64_t>& unpatched) override;

  Moves begin(const std::vector<WeightsIndex>& uses) override;
  Moves use(const Request& request) override;
  void end() override {
    for (Model& model : models_) model.in_use = false;
  }
  Moves make_room(std::int64_t bytes) override { return moves(pager_.make_room(bytes)); }
  void take(std::int64_t bytes) override { pager_.take(bytes); }
  Moves unload_all() override {
    for (Model& model : models_) model.pinned_bytes = 0;
    return moves(pager_.unload_all());
  }
  Moves unload(WeightsIndex w) override { return moves({{w, pager_.unload(w)}}); }
  std::int64_t forget(WeightsIndex w) override;

  std::int64_t free_bytes() const override { return pager_.free_bytes(); }
  std::int64_t vram(WeightsIndex w) const override {
    return on_cpu(w) ? 0 : std::min(pager_.device_bytes(w), models_[w].managed.size_bytes);
  }
  std::int64_t ram(WeightsIndex w) const override;
  std::int64_t pinned() const override;
  std::int64_t loaded(WeightsIndex w) const override { return pager_.pages(w) * kPageBytes; }
  std::vector<WeightsIndex> listed() const override { return pager_.listed(); }
  bool on_cpu(WeightsIndex w) const override { return models_[w].managed.on_cpu; }

 private:
  struct Model {
    const Weights* weights;
    Managed managed;
    std::int64_t pinned_bytes = 0;
    bool in_use = false;          // by the node at work
    std::optional<int> set = {};  // of LoRAs, in its pages
  };
  void work(WeightsIndex w, const Request& request, Moves& moves);
  void pin(WeightsIndex w, std::int64_t streamed_bytes, std::int64_t ram_bytes);
  Moves moves(const std::vector<PagesLeft>& left) const;

  const Machine& machine_;
  Pager pager_;
  List<Model, WeightsIndex> models_;
};

void PagedMemory::add(const Weights& weights) {
  Model model{&weights, managed_weights(weights, machine_, Policy::paged)};
  std::vector<ModuleGroup> modules;
  for (const ManagedGroup& run : model.managed.runs) modules.push_back(run.modules);
  pager_.add(modules, model.managed.size_bytes);
  models_.push_back(std::move(model));
}

// Rule 6 of paging: LoRAs are added to a weight when its page is filled, and to a streamed one
// every time. Another set than before leaves the pages where they are, with nothing in them that
// can be used.
void PagedMemory::patch(WeightsIndex w, int set, const std::vector<std::int64_t>& /*unpatched*/) {
  std::optional<int>& last = models_[w].set;
  if (last && *last != set) pager_.spoil(w);
  last = set;
}

// Rule 8 of paging. A node's own models stay, though it asks for them one after the other.
Moves PagedMemory::begin(const std::vector<WeightsIndex>& uses) {
  std::vector<PagesLeft> left;
  for (const WeightsIndex w : models_.indices()) {
    if (!machine_.flags.disable_smart_memory || !pager_.staged(w)) continue;
    if (std::ranges::count(uses, w) > 0) continue;
    left.push_back({w, pager_.unload(w)});
    models_[w].pinned_bytes = 0;
  }
  return moves(left);
}

Moves PagedMemory::use(const Request& request) {
  Moves result;
  for (const WeightsIndex w : request.weights) {
    models_[w].in_use = true;
    if (!on_cpu(w)) work(w, request, result);
  }
  return result;
}

void PagedMemory::work(WeightsIndex w, const Request& request, Moves& result) {
  PagedWork work = pager_.use(w, request.taken_bytes, request.once);
  for (Left& left : moves(work.left).left) result.left.push_back(std::move(left));
  result.gained_bytes = plus(result.gained_bytes, work.kept_bytes - work.hit_bytes);
  result.streamed_bytes = plus(result.streamed_bytes, work.streamed_bytes);
  pin(w, work.streamed_bytes, request.ram_bytes);
  Load load;
  load.weights = w;
  load.full = work.streamed_bytes == 0;
  load.reserve_bytes = pager_.kept_free_bytes();
  load.minimum_bytes = plus(request.taken_bytes, work.cast_buffer_bytes);
  load.usable_bytes = work.usable_bytes();
  load.free_bytes = work.free_bytes;
  load.loaded_bytes = load.full ? models_[w].managed.size_bytes : work.kept_bytes;
  load.offloaded_bytes = work.streamed_bytes;
  load.buffer_bytes = work.cast_buffer_bytes;
  load.size_bytes = models_[w].managed.size_bytes;
  load.unlisted_bytes = load.size_bytes - load.loaded_bytes - load.offloaded_bytes;
  load.parts = work.parts;
  result.loads.push_back(std::move(load));
  result.work = std::move(work);
}

// Copies of streamed weights are locked as they are made, and stay until somebody needs the room.
void PagedMemory::pin(WeightsIndex w, std::int64_t streamed_bytes, std::int64_t ram_bytes) {
  Model& model = models_[w];
  std::int64_t missing = machine_.ram_total.known()
                             ? model.managed.size_bytes - model.pinned_bytes - ram_bytes + pinned()
                             : 0;
  for (const WeightsIndex other : models_.indices()) {
    if (missing <= 0) break;
    if (other != w) missing -= std::exchange(models_[other].pinned_bytes, 0);
  }
  const std::int64_t more = std::max<std::int64_t>(streamed_bytes - model.pinned_bytes, 0);
  const std::int64_t room = pin_limit_bytes(machine_) - pinned();
  model.pinned_bytes += std::clamp<std::int64_t>(room, 0, more);
}

std::int64_t PagedMemory::forget(WeightsIndex w) {
  const std::int64_t bytes = vram(w);
  pager_.unload(w);
  models_[w].pinned_bytes = 0;
  return bytes;
}

// RAM must hold what a node streams and what is locked; the rest is in the mapped file.
std::int64_t PagedMemory::ram(WeightsIndex w) const {
  const Model& model = models_[w];
  if (model.weights->role == WeightsRole::upscaler) return model.managed.size_bytes;  // not paged
  return std::max(model.pinned_bytes, model.in_use ? model.weights->bytes - vram(w) : 0);
}

std::int64_t PagedMemory::pinned() const {
  std::int64_t bytes = 0;
  for (const Model& model : models_) bytes = plus(bytes, model.pinned_bytes);
  return bytes;
}

Moves PagedMemory::moves(const std::vector<PagesLeft>& left) const {
  Moves moves;
  for (const PagesLeft& pages : left) {
    if (pages.pages <= 0) continue;
    const WeightsIndex w = pages.weights;
    const std::int64_t bytes =
        std::min(times(pages.pages, kPageBytes), models_[w].managed.size_bytes);
    moves.left.push_back({{w, bytes, pager_.pages(w) > 0}, 0, true});
  }
  return moves;
}

}  // namespace

std::unique_ptr<Memory> make_paged_memory(const Machine& machine) {
  return std::make_unique<PagedMemory>(machine);
}

}  // namespace ebb
