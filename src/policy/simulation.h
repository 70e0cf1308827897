// SPDX-License-Identifier: Apache-2.0
// One run of a prompt through a memory manager, step by step, with everybody who holds weights or
// results in RAM. Behind ebb/policy.h.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ebb/pass.h"
#include "policy/memory.h"

namespace ebb {

/// 0 where unknown or negative.
std::int64_t known_bytes(const Quantity& quantity);
/// What of this machine and these passes is not played as ComfyUI does it, or not known of it.
std::vector<Message> limits(const Passes& passes, const Machine& machine, const Levers& levers,
                            const Timeline& timeline);

class Simulation {
 public:
  Simulation(const Passes& passes, const Machine& machine, const Levers& levers);
  /// `queued_at`: the step with which another prompt starts.
  Timeline run(StepIndex queued_at = {});

 private:
  struct Holding {
    bool alive = false;    // ComfyUI holds it, in RAM or VRAM
    StepIndex last_step;   // that reads or uses it
    bool cached = false;   // its file was read ahead and is in the page cache
    bool by_hand = false;  // an upscaler: its node moves it, the manager doesn't know it
  };

  const Weights& weights(WeightsIndex w) const { return passes_.weights[w]; }
  Holding& held(WeightsIndex w) { return held_[w]; }
  std::vector<WeightsIndex> valid(const std::vector<WeightsIndex>& list) const;

  void find_last_steps(StepIndex begin, StepIndex end);
  void start_prompt(StepIndex first_step);
  void note(const Message& message);

  void play(StepIndex index);
  void read(const Step& step);
  void count_read(WeightsIndex w, std::int64_t bytes);
  void read_ahead();
  void work_earlier(const Step& step);
  void use(const Step& step);
  void use_by_hand(const Step& step, WeightsIndex w);
  void request(const Step& step, const std::vector<WeightsIndex>& group);
  void bring_back(WeightsIndex w);
  int lora_set(const Step& step);
  void apply(const Moves& moves);
  void count_moved();
  void measure(const Step& step);
  void compute_seconds(const Step& step);
  void drop_unneeded(StepIndex index);
  void relieve_ram(StepIndex index);
  void cut(const CutStep& order);
  void drop(WeightsIndex w);

  std::int64_t ram_for_weights() const;
  std::int64_t ram_bytes(WeightsIndex w) const;
  std::int64_t ram_of_weights() const;
  void count_ram();
  void add_ram(WeightsIndex w, std::int64_t bytes);
  void tell_ram(std::int64_t extra_bytes);
  bool on_cpu(const Step& step) const;
  std::int64_t within_room(std::int64_t live, std::int64_t reserved) const;
  void peak_vram(std::int64_t taken_bytes);
  void peak_ram(std::int64_t extra_bytes, std::int64_t mapped_bytes = 0);
  std::int64_t disk_bytes(WeightsIndex w) const;

  const Passes& passes_;
  const Machine& machine_;
  const Levers& levers_;
  std::unique_ptr<Memory> memory_;
  Timeline timeline_;
  List<Holding, WeightsIndex> held_;
  std::map<std::vector<WeightsIndex>, int> lora_sets_;
  StepState state_;  // of the step being played; what a cut does goes to the step after it
  std::vector<WeightsIndex> ahead_;  // to be read while the next working step computes
  StepIndex now_;                    // the step being played
  std::int64_t ahead_bytes_ = 0;
  std::int64_t warm_bytes_ = 0;                // read from the page cache
  List<std::int64_t, WeightsIndex> ram_each_;  // weights in RAM
  std::int64_t ram_now_ = 0;                   // all of them
  std::int64_t data_bytes_ = 0;                // results in RAM
  std::vector<std::pair<StepIndex, std::int64_t>>
      data_;  // (last consumer, bytes) where not all stay
};

}  // namespace ebb
