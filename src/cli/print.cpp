// SPDX-License-Identifier: Apache-2.0
#include "cli/print.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "ebb/printable.h"

namespace ebb::cli {

void say(std::string_view text) {
  const std::string clean = printable_lines(text);
  std::fwrite(clean.data(), 1, clean.size(), stderr);
}

int answer(std::string_view text, int code) { return answer_as_is(printable_lines(text), code); }

int answer_as_is(std::string_view text, int code) {
  // What is larger than the buffer fails at once, the rest when it is flushed.
  const bool whole = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (whole && std::fflush(stdout) == 0) return code;
  say(std::string("ebb: the output cannot be written: ") + std::strerror(errno) + "\n");
  return kInput;
}

int answer_bytes(std::string_view text, int code) {
  return isatty(STDOUT_FILENO) ? answer(text, code) : answer_as_is(text, code);
}

}  // namespace ebb::cli
