// SPDX-License-Identifier: Apache-2.0
#include "policy/dynamic.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "machine/versions.h"

namespace ebb {
namespace {

constexpr double kMostGib = 1 << 20;
constexpr std::int64_t kRangeAlignment = 1024;
constexpr std::int64_t kSmallModuleBytes = 64 * 1024;  // these come first in the address range
constexpr std::int64_t kSamplingTableBytes = 40'000;   // a model's buffers, which can't be paged
constexpr std::int64_t kMostSpanBytes = std::int64_t{1} << 46;
constexpr std::size_t kMostLayers = 100'000;

std::int64_t span_pages(std::int64_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes; }

}  // namespace

bool fast_names(const ComfyFlags& flags, std::string_view feature) {
  const auto end = flags.other.end();
  const auto fast = std::find(flags.other.begin(), end, "--fast");
  if (fast == end) return false;
  const auto last =
      std::find_if(fast + 1, end, [](const std::string& word) { return word.starts_with("--"); });
  return last == fast + 1 || std::find(fast + 1, last, feature) != last;
}

PagedCard paged_card(const Machine& machine) {
  PagedCard card{machine.vram_total.bytes, machine.vram_others_bytes()};
  if (!rules_for(machine.comfyui).headroom_flags) return card;
  const auto gib = [](double value) {
    return static_cast<std::int64_t>(std::clamp(value, 0.0, kMostGib) * static_cast<double>(1_GiB));
  };
  if (machine.flags.reserve_vram_gib) card.reserve_bytes = gib(*machine.flags.reserve_vram_gib);
  card.headroom_bytes = gib(machine.flags.vram_headroom_gib.value_or(0));
  return card;
}

bool uses_dynamic_vram(const Machine& machine) {
  const ComfyFlags& flags = machine.flags;
  const Rules& rules = rules_for(machine.comfyui);
  const bool forced = std::find(flags.other.begin(), flags.other.end(), "--enable-dynamic-vram") !=
                      flags.other.end();
  if (forced && rules.pages) return true;
  if (flags.gpu_only || flags.vram_state == VramState::high || !card_rules(machine).pages) {
    return false;
  }
  if (rules.pages_on_wish) return fast_names(flags, "dynamic_vram");
  return rules.pages && !flags.disable_dynamic_vram && !flags.cpu &&
         flags.vram_state != VramState::none;
}

WeightsIndex Pager::add(const std::vector<ModuleGroup>& modules, std::int64_t size_bytes) {
  Model model;
  std::int64_t listed = 0;
  std::vector<ModuleGroup> runs;
  for (const ModuleGroup& run : modules) {
    if (run.bytes <= 0 || run.count <= 0 || run.bytes > kMostSpanBytes / run.count) continue;
    if (listed > kMostSpanBytes - run.bytes * run.count) continue;
    listed += run.bytes * run.count;
    if (run.castable) {
      runs.push_back(run);
    } else {
      model.crumbs_bytes += run.bytes * run.count;
    }
  }
  const auto weight = [](const ModuleGroup& r) {
    return r.bytes + std::clamp<std::int64_t>(r.extra_offload_bytes, 0, kMostSpanBytes);
  };
  std::stable_sort(runs.begin(), runs.end(), [&](const ModuleGroup& a, const ModuleGroup& b) {
    const bool small_a = weight(a) < kSmallModuleBytes, small_b = weight(b) < kSmallModuleBytes;
    return small_a != small_b ? small_a : weight(a) > weight(b);
  });
  for (const ModuleGroup& run : runs) {
    const std::int64_t range =
        (run.bytes + kRangeAlignment - 1) / kRangeAlignment * kRangeAlignment;
    model.ranges.push_back({range, run.count, run.bytes});
    model.span_bytes += range * run.count;
  }
  model.crumbs_bytes += std::clamp<std::int64_t>(size_bytes - listed, 0, kSamplingTableBytes);
  models_.push_back(std::move(model));
  return models_.end_index() - 1;
}

std::int64_t Pager::bytes_below(const Model& model, std::int64_t pages, std::int64_t* largest) {
  const std::int64_t limit = pages * kPageBytes;
  std::int64_t address = 0, bytes = 0, out = 0;
  for (const Range& range : model.ranges) {
    const std::int64_t fitting =
        address >= limit ? 0 : std::min(range.count, (limit - address) / range.bytes);
    bytes += fitting * range.weight_bytes;
    if (fitting < range.count) out = std::max(out, range.bytes);
    address += range.count * range.bytes;
  }
  if (largest) *largest = out;
  return bytes;
}

std::int64_t Pager::device_bytes(WeightsIndex weights) const {
  const Model& model = models_[weights];
  return model.pages * kPageBytes + (model.staged ? model.crumbs_bytes : 0);
}

std::int64_t Pager::used_bytes() const {
  std::int64_t bytes = 0;
  for (const WeightsIndex w : models_.indices()) bytes += device_bytes(w);
  return bytes;
}

std::int64_t Pager::beside_crumbs() const {
  std::int64_t bytes = card_.total_bytes - card_.others_bytes;
  for (const Model& model : models_) bytes -= model.staged ? model.crumbs_bytes : 0;
  return bytes;
}

std::int64_t Pager::room_for_pages(std::int64_t beside_bytes) const {
  return std::max<std::int64_t>(beside_crumbs() - kept_free_bytes() - beside_bytes, 0);
}

// Rule 3 of paging.
void Pager::shrink_to(std::int64_t pages_allowed, std::vector<PagesLeft>& left) {
  std::int64_t pages = 0;
  for (const Model& model : models_) pages += model.pages;
  for (auto it = listed_.rbegin(); it != listed_.rend() && pages > pages_allowed; ++it) {
    Model& model = models_[*it];
    const std::int64_t leaving = std::min(model.pages, pages - pages_allowed);
    if (leaving == 0) continue;
    model.pages -= leaving;
    pages -= leaving;
    left.push_back({*it, leaving});
  }
}

// Rule 4 of paging, from the second repeat on: the lowest addresses stay, the rest is streamed
// through buffers. These take room of pages themselves, so that more is streamed, perhaps something
// larger: hence several rounds.
Pager::Repeat Pager::settle(const Model& model, std::int64_t room_bytes) const {
  Repeat repeat;
  repeat.pages = std::min(span_pages(model.span_bytes), room_bytes / kPageBytes);
  for (int round = 0; round < 8 && repeat.pages < span_pages(model.span_bytes); ++round) {
    std::int64_t largest = 0;
    bytes_below(model, repeat.pages, &largest);
    const std::int64_t needed = largest * std::max(streams_, 1);
    if (needed <= repeat.cast_bytes) break;
    repeat.cast_bytes = needed;
    repeat.pages = std::max<std::int64_t>(room_bytes - needed, 0) / kPageBytes;
  }
  repeat.watermark = repeat.pages;
  return repeat;
}

// Rule 7 of paging: when the modules of each range run, from 0 to 1. Modules of one size have their
// addresses in the order of their names as texts (block 10 before block 2) and run in that of their
// numbers. Names are not in the module table: a range is taken to be spread evenly over numbered
// blocks, as many as the smallest range that may be one module of each block.
std::vector<std::vector<double>> Pager::run_times(const Model& model) {
  constexpr std::int64_t kFewestBlocks = 8, kMostBlocks = 64;
  std::int64_t usual = kMostBlocks;
  for (const Range& range : model.ranges) {
    if (range.count >= kFewestBlocks) usual = std::min(usual, range.count);
  }
  std::vector<std::vector<double>> times;
  for (const Range& range : model.ranges) {
    const std::int64_t blocks = range.count <= kMostBlocks ? range.count : usual;
    std::vector<std::string> names;
    for (std::int64_t b = 0; b < blocks; ++b) names.push_back(std::to_string(b));
    std::sort(names.begin(), names.end());
    std::vector<double>& of_range = times.emplace_back();
    for (std::int64_t i = 0; i < range.count && of_range.size() < kMostLayers; ++i) {
      const double block = std::stod(names[i * blocks / range.count]);
      of_range.push_back((block + 0.5) / static_cast<double>(blocks));
    }
  }
  return times;
}

// A single repeat, layer by layer: it is over before anything settles (rules 3, 4 and 7 of paging
// in docs/policy.md). Room for a page comes from the other models first, then from this one's
// highest page; that one was in use, so what lies above it is streamed from then on, whether there
// would be room or not. Streaming takes a buffer, which leaves less room to the layers that follow.
Pager::Repeat Pager::run_once(const Model& model, std::int64_t room_bytes,
                              std::int64_t others_pages) const {
  struct Layer {
    double when;
    std::int64_t begin, bytes;
  };
  std::vector<Layer> layers;
  std::int64_t address = 0;
  const auto times = run_times(model);
  for (std::size_t r = 0; r < model.ranges.size(); ++r) {
    const Range& range = model.ranges[r];
    for (std::size_t i = 0; i < times[r].size() && layers.size() < kMostLayers; ++i) {
      layers.push_back({times[r][i], address + std::int64_t(i) * range.bytes, range.bytes});
    }
    address += range.count * range.bytes;
  }
  std::stable_sort(layers.begin(), layers.end(),
                   [](const Layer& a, const Layer& b) { return a.when < b.when; });
  Repeat repeat;
  repeat.watermark = span_pages(model.span_bytes);
  std::vector<bool> resident(size_t(repeat.watermark), false);
  std::fill_n(resident.begin(), std::min(model.pages, repeat.watermark), true);
  repeat.pages = std::min(model.pages, repeat.watermark);
  std::int64_t top = repeat.pages;  // no page at or above it is resident
  const auto make_room = [&](std::int64_t wanted) {
    const std::int64_t allowed =
        std::max<std::int64_t>(room_bytes - repeat.cast_bytes, 0) / kPageBytes;
    while (others_pages + repeat.pages + wanted > allowed && others_pages > 0) --others_pages;
    while (repeat.pages + wanted > allowed && repeat.pages > 0) {
      while (!resident[top - 1]) --top;
      resident[--top] = false;
      --repeat.pages;
      repeat.watermark = std::min(repeat.watermark, top);
    }
    if (repeat.pages + wanted <= allowed) return true;
    repeat.watermark = 0;  // not a single page
    return false;
  };
  for (const Layer& layer : layers) {
    const std::int64_t end = span_pages(layer.begin + layer.bytes);
    bool fits = end <= repeat.watermark;
    for (std::int64_t p = layer.begin / kPageBytes; fits && p < end; ++p) {
      if (resident[p]) continue;
      fits = make_room(1) && end <= repeat.watermark;
      if (!fits) break;
      resident[p] = true;
      ++repeat.pages;
      top = std::max(top, p + 1);
    }
    if (fits) continue;
    repeat.cast_bytes = std::max(repeat.cast_bytes, layer.bytes * std::max(streams_, 1));
    make_room(0);
  }
  return repeat;
}

PagedWork Pager::use(WeightsIndex weights, std::int64_t activation_bytes, bool once) {
  Model& model = models_[weights];
  PagedWork work;
  model.staged = true;
  std::erase(listed_, weights);
  listed_.insert(listed_.begin(), weights);
  work.staged_bytes = model.span_bytes;
  work.force_loaded_bytes = model.crumbs_bytes;
  work.span_pages = span_pages(model.span_bytes);

  work.free_bytes = beside_crumbs();
  work.room_bytes = room_for_pages(activation_bytes);
  shrink_to(work.room_bytes / kPageBytes, work.left);
  const std::int64_t before = model.pages;
  std::int64_t others = -before;
  for (const Model& other : models_) others += other.pages;
  const bool streams = work.span_pages > work.room_bytes / kPageBytes;
  const Repeat repeat =
      once && streams ? run_once(model, work.room_bytes, others) : settle(model, work.room_bytes);
  work.cast_buffer_bytes = repeat.cast_bytes;
  // The pages of others that are in the way leave; then those of the model that it can't keep.
  model.pages = 0;
  const std::int64_t room = std::max<std::int64_t>(work.room_bytes - repeat.cast_bytes, 0);
  shrink_to(std::max<std::int64_t>(room / kPageBytes - repeat.pages, 0), work.left);
  if (before > repeat.pages) work.left.push_back({weights, before - repeat.pages});
  model.pages = repeat.pages;
  work.resident_pages = repeat.pages;
  work.watermark_pages = repeat.watermark;
  work.kept_bytes = bytes_below(model, repeat.pages, nullptr);
  if (!model.spoiled) work.hit_bytes = bytes_below(model, std::min(before, repeat.pages), nullptr);
  model.spoiled = false;
  work.streamed_bytes = bytes_below(model, work.span_pages, nullptr) - work.kept_bytes;
  tell_room(work, weights, activation_bytes);
  return work;
}

void Pager::tell_room(PagedWork& work, WeightsIndex used, std::int64_t activation_bytes) const {
  const auto tell = [&work](Say what, std::int64_t bytes, WeightsIndex weights = {}) {
    work.parts.push_back({what, static_cast<double>(bytes), weights});
  };
  tell(Say::free_before_any_model, card_.total_bytes - card_.others_bytes + taken_bytes_);
  if (taken_bytes_ != 0) tell(Say::held_by_a_node, -taken_bytes_);
  for (const WeightsIndex w : models_.indices()) {
    if (!models_[w].staged || models_[w].crumbs_bytes == 0) continue;
    tell(w == used ? Say::what_is_not_paged : Say::still_on_the_card, -models_[w].crumbs_bytes, w);
  }
  tell(Say::reserved_by_the_step, -activation_bytes);
  if (work.cast_buffer_bytes > 0) tell(Say::buffer_to_stream, -work.cast_buffer_bytes);
  tell(Say::headroom, -kept_free_bytes());
  const std::int64_t left =
      work.free_bytes - activation_bytes - work.cast_buffer_bytes - kept_free_bytes();
  if (left < 0) tell(Say::raised_to_nothing, -left);
  assert(comes_to(work.parts, static_cast<double>(work.usable_bytes())));
}

std::vector<PagesLeft> Pager::unload_all() {
  std::vector<PagesLeft> left;
  for (auto it = listed_.rbegin(); it != listed_.rend(); ++it) {
    left.push_back({*it, models_[*it].pages});
    models_[*it].pages = 0;
    models_[*it].staged = false;
  }
  listed_.clear();
  return left;
}

std::int64_t Pager::unload(WeightsIndex weights) {
  Model& model = models_[weights];
  const std::int64_t pages = model.pages;
  model.pages = 0;
  model.staged = false;
  std::erase(listed_, weights);
  return pages;
}

std::vector<PagesLeft> Pager::make_room(std::int64_t bytes) {
  std::vector<PagesLeft> left;
  shrink_to(room_for_pages(bytes) / kPageBytes, left);
  return left;
}

}  // namespace ebb
