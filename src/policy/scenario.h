// SPDX-License-Identifier: Apache-2.0
// A scenario: a machine and a list of events (loader nodes, nodes that need a model), played
// through the memory manager of its version. Format: docs/formats/scenario.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/demand.h"
#include "ebb/machine.h"
#include "ebb/result.h"
#include "ebb/weights.h"
#include "json/document.h"

namespace ebb {

constexpr double kBytesPerMib = 1024.0 * 1024.0;

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

struct Scenario {
  std::string id;
  bool dynamic = false;
  Machine machine;
  List<Weights, WeightsIndex> models;  ///< `id`: as the scenario spells it, `:high` included
  std::vector<Event> events;
  JsonValue json;
};

/// Errors: what a scenario can't be played without is missing, unknown or absurd.
Result<Scenario> read_scenario(JsonValue json, const std::string& file, std::int64_t line);

/// The scenario with its results filled in, on one line. It ends after an event that goes over the
/// card's capacity.
std::string play(const Scenario& scenario);

/// Sizes of a recorded model's modules that can be streamed and that no LoRA patches.
std::vector<std::int64_t> unpatched_sizes(std::string_view model);

/// Differences between what was played and what the scenario recorded.
struct Differences {
  std::vector<std::string> lines;
  int equal = 0;
};
Differences check_scenario(const Scenario& scenario, const std::string& played);

}  // namespace ebb
