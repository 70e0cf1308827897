// SPDX-License-Identifier: Apache-2.0
// ComfyUI's memory manager as a run sees it: what a request moves, and what is where. Simulated
// runs and recorded scenarios play through this; tests/policy/memory_test.cpp has what every
// manager keeps. Another manager is another class, and a line in make_memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ebb/pass.h"
#include "policy/dynamic.h"
#include "policy/manager.h"

namespace ebb {

// Sizes in sums that absurd input may make absurd: they stop at kMostSummedBytes.
constexpr std::int64_t kMostSummedBytes = std::int64_t{1} << 60;
std::int64_t plus(std::int64_t a, std::int64_t b);
std::int64_t times(std::int64_t a, std::int64_t b);

/// A node asks for weights.
struct Request {
  std::vector<WeightsIndex> weights;         ///< main one first
  double asked_bytes = 0;                    ///< ComfyUI's estimate; a sampler's is for two batches
  std::optional<double> minimum_bytes = {};  ///< the estimate for one, where the caller names it
  bool measured = false;                     ///< both are those of a measured budget
  bool full = false;                         ///< a loader's own request: no budget
  std::int64_t taken_bytes = 0;              ///< beside the weights while they work
  bool once = false;                         ///< they work in a single repeat
  std::int64_t ram_bytes = 0;                ///< that nothing but weights holds
};

/// Weights that left the card, whole or in part.
struct Left {
  Eviction eviction;
  std::int64_t copied_bytes = 0;  ///< of these, copied to RAM
  bool adds_up = false;           ///< page by page: to what left before in the same step
};

/// What one request did.
struct Moves {
  std::vector<Left> left;  ///< in order
  std::vector<Load> loads;
  std::int64_t gained_bytes = 0;    ///< came to the card before the work starts
  std::int64_t streamed_bytes = 0;  ///< come in every repeat and forward
  CallRecord record;                ///< classic: the same as ComfyUI logs it, for scenarios
  std::optional<PagedWork> work;    ///< paged: likewise
};

class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  virtual ~Memory() = default;

  /// Which manager this is, and the release whose rules are played: the machine's own where its
  /// code was read or recorded, else the nearest one that was.
  virtual Policy policy() const = 0;
  /// Files are mapped, and weights come from them as each model works, one model after the other.
  /// Else loaders read files, and the models of one request come together.
  virtual bool maps_files() const = 0;
  /// More is held in RAM than `ram` says.
  virtual bool ram_open() const = 0;

  /// All weights of the run, in the order of their indexes; they must outlive this.
  virtual void add(const Weights& weights) = 0;
  /// A loader made the weights, by themselves or as part of a checkpoint. True: it put them on the
  /// card and asks for them (Request::full).
  virtual bool place(WeightsIndex weights, bool checkpoint, std::int64_t free_ram_bytes) = 0;
  /// The next request is for the weights with this set of LoRAs (0: none). `unpatched`: sizes of
  /// modules that it leaves alone.
  virtual void patch(WeightsIndex weights, int set, const std::vector<std::int64_t>& unpatched) = 0;

  /// A node is about to use these, in one request or several.
  virtual Moves begin(const std::vector<WeightsIndex>& uses) = 0;
  virtual Moves use(const Request& request) = 0;
  /// The node is done.
  virtual void end() = 0;
  /// What nodes that manage a model themselves (upscalers) ask for, take and give back (below 0).
  virtual Moves make_room(std::int64_t bytes) = 0;
  virtual void take(std::int64_t bytes) = 0;
  virtual Moves unload_all() = 0;
  virtual Moves unload(WeightsIndex weights) = 0;
  /// The weights cease to exist: nothing is copied anywhere. Returns the bytes that left the card.
  virtual std::int64_t forget(WeightsIndex weights) = 0;

  virtual std::int64_t free_bytes() const = 0;
  virtual std::int64_t vram(WeightsIndex weights) const = 0;
  /// Of weights that are alive; RAM that can't be dropped.
  virtual std::int64_t ram(WeightsIndex weights) const = 0;
  virtual std::int64_t pinned() const = 0;  ///< page-locked RAM, as of the last `end`
  /// On the card as the manager itself counts: modules, or whole pages.
  virtual std::int64_t loaded(WeightsIndex weights) const = 0;
  virtual std::vector<WeightsIndex> listed() const = 0;  ///< by the manager, last used first
  virtual bool on_cpu(WeightsIndex weights) const = 0;   ///< works there, and takes no VRAM
};

/// The manager that ComfyUI starts with on this machine, or the one that is named.
std::unique_ptr<Memory> make_memory(const Machine& machine);
std::unique_ptr<Memory> make_memory(const Machine& machine, Policy::Kind kind);
std::unique_ptr<Memory> make_classic_memory(const Machine& machine);
std::unique_ptr<Memory> make_paged_memory(const Machine& machine);

/// Weights as a manager takes them, on the CPU where flags say so.
Managed managed_weights(const Weights& weights, const Machine& machine, Policy::Kind kind);

}  // namespace ebb
