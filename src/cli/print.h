// SPDX-License-Identifier: Apache-2.0
// The way out of every command: what files put into names and messages reaches no terminal as a
// control character, and an answer that could not be written is told.
#pragma once

#include <string>
#include <string_view>

#include "cli/command.h"

namespace ebb::cli {

/// For people, on stderr.
void say(std::string_view text);

/// For people, on stdout: `code`, or kInput if not all of it could be written.
int answer(std::string_view text, int code = kAnswered);

/// The same for text that holds no control characters but our own colours, and for JSON.
int answer_as_is(std::string_view text, int code = kAnswered);

/// The same for bytes of a file: as they are, unless a terminal gets them.
int answer_bytes(std::string_view text, int code = kAnswered);

}  // namespace ebb::cli
