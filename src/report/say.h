// SPDX-License-Identifier: Apache-2.0
// The words of codes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ebb/report.h"
#include "json/write.h"

namespace ebb {

/// Models' names, and how a report calls them.
using ShortNames = std::map<std::string, std::string, std::less<>>;

/// As ebb/report.h has them, with other names for models.
std::string say(const Message& message, const ShortNames& names);
std::string say(const std::vector<Message>& messages, const ShortNames& names);

/// Member `key`: an array of `{"code": ..., "arguments": [...]}`.
void write_codes(JsonWriter& json, std::string_view key, const std::vector<Message>& messages);

}  // namespace ebb
