// SPDX-License-Identifier: Apache-2.0
// One run of a prompt through the memory manager, classic or paged, step by step, with everybody
// who holds weights or results in RAM. Behind ebb/policy.h.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ebb/pass.h"
#include "policy/dynamic.h"
#include "policy/manager.h"
#include "policy/pins.h"

namespace ebb {

// Sizes in sums that absurd input may make absurd: they stop at kMostSummedBytes.
constexpr std::int64_t kMostSummedBytes = std::int64_t{1} << 60;
std::int64_t plus(std::int64_t a, std::int64_t b);
std::int64_t times(std::int64_t a, std::int64_t b);
/// 0 where unknown or negative.
std::int64_t known_bytes(const Quantity& quantity);

class Simulation {
 public:
  Simulation(const Passes& passes, const Machine& machine, const Levers& levers);
  /// `queued_at`: the step with which another prompt starts.
  Timeline run(int queued_at = -1);

 private:
  struct Holding {
    bool alive = false;    // ComfyUI holds it, in RAM or VRAM
    int last_step = -1;    // that reads or uses it
    bool cached = false;   // its file was read ahead and is in the page cache
    bool by_hand = false;  // an upscaler: its node moves it, the manager doesn't know it
  };

  const Weights& weights(int w) const { return passes_.weights[size_t(w)]; }
  Holding& held(int w) { return held_[size_t(w)]; }
  bool valid(int w) const { return w >= 0 && size_t(w) < held_.size(); }
  std::vector<int> valid(const std::vector<int>& list) const;

  void add_weights();
  ComfyVersion rules_known() const;
  bool copies_resident() const;
  bool given(std::string_view word) const;  // among the flags that change nothing by themselves
  void note_version();
  void note_limits();
  void find_last_steps(std::size_t begin, std::size_t end);
  void start_prompt(std::size_t first_step);
  void note(std::string text);

  void play(int index);
  void read(const Step& step);
  void count_read(int w, std::int64_t bytes);
  void read_ahead();
  void place(const std::vector<int>& reads);
  void place_diffusion(int w, bool checkpoint);
  void place_text_encoder(int w, bool checkpoint);
  void work_earlier(const Step& step);
  void use(const Step& step);
  void use_by_hand(const Step& step, int w);
  void call(const Step& step, const std::vector<int>& group);
  void bring_back(int w);
  void set_loras(const Step& step);
  int lora_set(const Step& step);
  void apply(const CallRecord& call);
  void apply(const Victim& victim);
  void add_load(const LoadRecord& record);
  void measure(const Step& step);
  void compute_seconds(const Step& step);
  void drop_unneeded(int index);
  void relieve_ram(int index);
  void cut(const CutStep& order);
  void drop(int w);

  // Where weights are paged (paged_run.cpp); the rest is common.
  bool paged() const { return pager_.has_value(); }
  void purge_paged(const std::vector<int>& keep);
  void call_paged(const Step& step, int w);
  void patch_paged(const Step& step, int w);
  void apply_paged(const std::vector<PagesLeft>& left);
  void pin_paged(int w, std::int64_t streamed_bytes);
  std::int64_t pinned_paged() const;
  void drop_pins(int w);

  std::int64_t free_vram() const { return pager_ ? pager_->free_bytes() : manager_.free_bytes(); }
  std::int64_t device_bytes(int w) const;
  void take(std::int64_t bytes) { paged() ? pager_->take(bytes) : manager_.take(bytes); }

  std::int64_t ram_bytes(int w) const;
  std::int64_t ram_of_weights() const;
  void peak_ram(std::int64_t extra_bytes, std::int64_t mapped_bytes = 0);
  std::int64_t disk_bytes(int w) const;

  const Passes& passes_;
  const Machine& machine_;
  const Levers& levers_;
  Manager manager_;
  std::optional<Pager> pager_;
  Pins pins_;
  std::vector<std::int64_t> pinned_;  // paged: by weights
  std::map<int, int> paged_set_;      // paged: by weights, the LoRA set in their pages
  std::vector<bool> in_use_;          // paged: by the step being played
  Timeline timeline_;
  std::vector<Holding> held_;
  std::map<std::vector<int>, int> lora_sets_;
  StepState state_;         // of the step being played; what a cut does goes to the step after it
  std::vector<int> ahead_;  // to be read while the next working step computes
  int now_ = -1;            // the step being played
  std::int64_t ahead_bytes_ = 0;
  std::int64_t warm_bytes_ = 0;                     // read from the page cache
  std::int64_t ram_now_ = 0;                        // weights in RAM
  std::int64_t data_bytes_ = 0;                     // results in RAM
  std::vector<std::pair<int, std::int64_t>> data_;  // (last consumer, bytes) where not all stay
};

}  // namespace ebb
