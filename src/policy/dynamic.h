// SPDX-License-Identifier: Apache-2.0
// Dynamic VRAM (ComfyUI 0.16 and later, where the card allows it): weights are address ranges, and
// pages of 32 MiB come when a layer runs and go when somebody needs room.
//
// What is left in which order follows from a list of models, the last used first. A model's pages
// leave from the highest address down, models from the end of the list. What lies above a model's
// watermark, the lowest page that left while it was in use, is streamed in every repeat.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ebb/machine.h"
#include "ebb/sum.h"
#include "ebb/weights.h"

namespace ebb {

constexpr std::int64_t kPageBytes = 32_MiB;
constexpr std::int64_t kPageHeadroomBytes = 256_MiB;
constexpr ComfyVersion kPagesRecorded = {0, 18, 2};  ///< whose paging is played

/// Whether a ComfyUI started like this pages its weights.
bool uses_dynamic_vram(const Machine& machine);
/// Whether `--fast` names this feature, by itself or with no list, which names all.
bool fast_names(const ComfyFlags& flags, std::string_view feature);

/// The card as a pager sees it.
struct PagedCard {
  std::int64_t total_bytes = 0;
  std::int64_t others_bytes = 0;
  std::int64_t reserve_bytes = kPageHeadroomBytes;  ///< of the whole card, others' share included
  std::int64_t headroom_bytes = 0;                  ///< kept free beside that
};
PagedCard paged_card(const Machine& machine);

/// Pages that left one model.
struct PagesLeft {
  WeightsIndex weights = 0;
  std::int64_t pages = 0;
};

/// One node's use of one model, from its first repeat to its last.
struct PagedWork {
  std::int64_t span_pages = 0;
  std::int64_t resident_pages = 0;  ///< at the end
  std::int64_t watermark_pages = 0;
  std::int64_t staged_bytes = 0;        ///< all address ranges together
  std::int64_t force_loaded_bytes = 0;  ///< what can't be paged
  std::int64_t cast_buffer_bytes = 0;   ///< while something is streamed
  std::int64_t hit_bytes = 0;           ///< resident before the first repeat, and kept
  std::int64_t kept_bytes = 0;          ///< modules that stay from the second repeat on
  std::int64_t streamed_bytes = 0;      ///< in every repeat but the first, which may stream less
  std::int64_t free_bytes = 0;          ///< beside others and what can't be paged
  std::int64_t room_bytes = 0;          ///< for pages of all models together
  std::vector<Part> parts;              ///< of the room without the buffer
  std::vector<PagesLeft> left;          ///< in order of removal; the model itself may be among them

  /// For pages while it streams.
  std::int64_t usable_bytes() const {
    return std::max<std::int64_t>(room_bytes - cast_buffer_bytes, 0);
  }
};

class Pager {
 public:
  Pager(const PagedCard& card, int streams) : card_(card), streams_(streams) {}

  WeightsIndex add(const std::vector<ModuleGroup>& modules, std::int64_t size_bytes);

  /// The model runs beside `activation_bytes` of other memory, once or in several repeats.
  PagedWork use(WeightsIndex weights, std::int64_t activation_bytes, bool once);
  /// Other LoRAs: pages stay, but what is in them has to come again.
  void spoil(WeightsIndex weights) { models_[weights].spoiled = true; }
  /// Everything leaves, crumbs too. Returns the pages that did.
  std::vector<PagesLeft> unload_all();
  std::int64_t unload(WeightsIndex weights);  ///< the same for one model; its pages
  /// VRAM taken or given back by something that is not paged.
  void take(std::int64_t bytes) { card_.others_bytes += bytes, taken_bytes_ += bytes; }
  /// Makes pages leave until this much is free beside the headroom.
  std::vector<PagesLeft> make_room(std::int64_t bytes);

  std::int64_t pages(WeightsIndex weights) const { return models_[weights].pages; }
  /// On the card: pages and crumbs.
  std::int64_t device_bytes(WeightsIndex weights) const;
  std::int64_t used_bytes() const;
  bool staged(WeightsIndex weights) const { return models_[weights].staged; }
  const std::vector<WeightsIndex>& listed() const { return listed_; }  ///< last used first
  std::int64_t free_bytes() const { return card_.total_bytes - card_.others_bytes - used_bytes(); }
  /// What pages and steps may not use of it.
  std::int64_t kept_free_bytes() const {
    return std::max(kPageHeadroomBytes, card_.reserve_bytes - card_.others_bytes) +
           card_.headroom_bytes;
  }

 private:
  struct Range {
    std::int64_t bytes = 0;  // of one module's range
    std::int64_t count = 0;
    std::int64_t weight_bytes = 0;
  };
  struct Model {
    std::vector<Range> ranges;  // by address
    std::int64_t span_bytes = 0;
    std::int64_t crumbs_bytes = 0;
    std::int64_t pages = 0;
    bool staged = false;   // has its crumbs on the card
    bool spoiled = false;  // its pages hold nothing that can be used
  };

  // What one repeat leaves: pages that stay and the buffers it streamed through.
  struct Repeat {
    std::int64_t pages = 0;
    std::int64_t watermark = 0;
    std::int64_t cast_bytes = 0;
  };
  static std::vector<std::vector<double>> run_times(const Model& model);
  Repeat run_once(const Model& model, std::int64_t room_bytes, std::int64_t others_pages) const;
  Repeat settle(const Model& model, std::int64_t room_bytes) const;

  std::int64_t beside_crumbs() const;  // of the card, others' share aside
  std::int64_t room_for_pages(std::int64_t beside_bytes) const;
  void shrink_to(std::int64_t pages_allowed, std::vector<PagesLeft>& left);
  // Bytes of modules that end at or below a page, and the largest range that does not.
  static std::int64_t bytes_below(const Model& model, std::int64_t pages, std::int64_t* largest);

  void tell_room(PagedWork& work, WeightsIndex used, std::int64_t activation_bytes) const;

  PagedCard card_;
  std::int64_t taken_bytes_ = 0;  // among its others'
  int streams_;
  List<Model, WeightsIndex> models_;
  std::vector<WeightsIndex> listed_;
};

}  // namespace ebb
