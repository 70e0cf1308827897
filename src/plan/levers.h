// SPDX-License-Identifier: Apache-2.0
// A lever is a change of the trial that may help: what it is called, what it costs, and the trial
// with it applied. Which ones make sense is decided here, what they do by predicting.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ebb/plan.h"

namespace ebb {

/// Frames between two latent frames of the diffusion model in use; nothing without a video.
std::optional<int> stride_of(const Passes& passes);

struct Lever {
  std::string id;
  FixKind kind = FixKind::nothing;
  Message title;
  std::vector<Message> costs;
  Message limit;          ///< the largest frame count that stays whole, where it moves
  bool expected = false;  ///< listed even if it changes nothing
  Trial trial;
  Message same = {};    ///< the effect where VRAM stays the same
  Message remedy = {};  ///< what it mends, whatever becomes of the sums; empty: nothing
};

/// Flags the user gave that cost memory, left out one by one; where RAM is short, a flag that
/// saves it, added.
std::vector<Lever> flag_levers(const Trial& base, const Prediction& before, const Predict& predict);

/// Ebb's demand in place of ComfyUI's estimate, on every diffusion model that offloads.
std::vector<Lever> budget_levers(const Trial& base, const Prediction& before,
                                 const Predict& predict);

/// Decoding in tiles, where a decode pass does not simply fit.
std::vector<Lever> tile_levers(const Trial& base, const Prediction& before);

/// What nodes at cuts can do: unload, drop, prefetch.
std::vector<Lever> cut_levers(const Trial& base, const Prediction& before);

/// Fewer frames or pixels: the most that keeps every diffusion model whole.
std::vector<Lever> size_levers(const Trial& base, const Prediction& before, const Predict& predict);

}  // namespace ebb
