// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "ebb/machine.h"

namespace ebb {

/// The card in the line about the machine: `RTX 5090`, `RX 580 (AMD)`; empty if none was named.
std::string card_words(const Machine& machine);

/// By whose rules the run is predicted, where the card is not one of NVIDIA's that the table has.
std::string card_note(const Machine& machine);

/// Flags that this release of ComfyUI does not have, a sentence each.
std::vector<std::string> flag_notes(const Machine& machine);

}  // namespace ebb
