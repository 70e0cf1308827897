// SPDX-License-Identifier: Apache-2.0
// A scenario: a machine and a list of events (loader nodes, nodes that need a model), played
// through the memory manager of its version. Format: docs/formats/scenario.md.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/demand.h"
#include "ebb/machine.h"
#include "ebb/result.h"
#include "ebb/weights.h"
#include "json/document.h"
#include "policy/dynamic.h"
#include "policy/manager.h"
#include "policy/pins.h"

namespace ebb {

constexpr double kBytesPerMib = 1024.0 * 1024.0;
constexpr double kEverythingBytes = 1e30;  ///< a budget or requirement from here on is no number

enum class EventKind {
  load_vae,
  load_te,
  load_unet,
  load_checkpoint,
  lora,
  te_encode,
  sample,
  vae_encode,
  vae_decode,
  unload_all
};

struct Event {
  EventKind kind = EventKind::unload_all;
  WeightsIndex model;  ///< in Scenario::models
  WeightsIndex clip;   ///< load_checkpoint: its text encoder
  Shape shape;         ///< latent or picture
  double cfg = 1;
  int patched_weights = 0;
  std::int64_t activation_bytes = 0;  ///< dynamic: allocated before the first layer
  JsonValue json;
};

struct ScenarioModel {
  std::string name;  ///< as the scenario spells it, `:high` included
  Weights weights;
};

struct Scenario {
  std::string id;
  bool dynamic = false;
  Machine machine;
  std::optional<int> streams;
  List<ScenarioModel, WeightsIndex> models;
  std::vector<Event> events;
  JsonValue json;
};

/// Errors: what a scenario can't be played without is missing, unknown or absurd.
Result<Scenario> read_scenario(JsonValue json, const std::string& file, std::int64_t line);

/// One load_models_gpu. Models are indexes into Scenario::models.
struct CallResult {
  std::vector<WeightsIndex> models;
  double required_bytes = 0;
  std::optional<double> minimum_bytes;
  bool force_full = false;
  std::int64_t free_before_bytes = 0;
  CallRecord record;
};

/// What an event did; the parts that its kind has.
struct EventResult {
  std::vector<CallResult> calls;
  std::vector<FreeRecord> frees;        ///< of unload_all
  std::optional<bool> on_gpu;           ///< where a loader put the text encoder or checkpoint
  std::optional<bool> computes_on_gpu;  ///< a text encoder
  std::optional<double> asked_bytes, minimum_bytes;
  std::vector<int> forward_batches, vae_batches;
  std::vector<std::pair<WeightsIndex, std::int64_t>> resident;
  std::int64_t weights_bytes = 0, free_bytes = 0, pinned_bytes = 0;
  bool over_capacity = false;  ///< the scenario ends here

  // Dynamic.
  std::optional<PagedWork> work;
  std::vector<std::pair<WeightsIndex, std::int64_t>>
      pages;                         ///< of every model with an address range
  std::vector<WeightsIndex> listed;  ///< most recently used first
  std::int64_t used_bytes = 0;
};

/// Stops after an event that goes over the card's capacity.
std::vector<EventResult> play_classic(const Scenario& scenario);
std::vector<EventResult> play_dynamic(const Scenario& scenario);

/// The modules of a model when a LoRA patches its Linear weights, in load order, and how many.
std::vector<ManagedGroup> lora_runs(const ScenarioModel& model, bool streaming_buffer);

/// The scenario with its results filled in, on one line.
std::string write_scenario(const Scenario& scenario, const std::vector<EventResult>& results);

/// Differences between results and what the scenario recorded.
struct Differences {
  std::vector<std::string> lines;
  int equal = 0;
};
Differences check_scenario(const Scenario& scenario, const std::vector<EventResult>& results);

}  // namespace ebb
