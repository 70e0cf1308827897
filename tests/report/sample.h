// SPDX-License-Identifier: Apache-2.0
// Reports built by hand for tests of their forms: no other part of the library is needed.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ebb/report.h"

namespace ebb::test {

/// The user's case: Wan 2.2, two experts, 81 frames of 832x1216, RTX 5090 with --reserve-vram 4.
Report wan_two_passes();

/// An SDXL picture that fits whole on a card of 12 GiB.
Report picture_that_fits();

/// The same with 161 frames: ComfyUI's floor of 128 MiB is all that is left for weights.
Report wan_at_the_floor();

/// The picture on Windows with a decode that needs more than the card has.
Report picture_that_spills();

/// A model of unknown size and architecture: asked, live and seconds are unknown too.
Report unknown_weights();

/// Twenty rounds of sample and decode with the same two models.
Report forty_passes();

/// Anything: hostile names, absurd sizes, indices out of range, missing vectors.
Report random_report(std::uint64_t seed);

/// All of the named ones, with a name for messages and files.
std::vector<std::pair<std::string, Report>> named_reports();

}  // namespace ebb::test
