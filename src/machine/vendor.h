// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "ebb/machine.h"

namespace ebb {

/// Whose card a name means; nothing where no word of it says.
std::optional<Card> card_by_name(std::string_view name);

}  // namespace ebb
