// SPDX-License-Identifier: Apache-2.0
// Command lines of scripts: words, and how cmd.exe and a POSIX shell have them quoted.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ebb {

enum class Shell { posix, cmd };

/// Whether words or paths with these characters can stand on one line of a script: no line breaks,
/// NUL or other control characters.
bool can_be_quoted(std::string_view text);

/// `word` as it has to stand in a script so that the program started gets exactly it. Where
/// nothing needs quoting it stays bare. For cmd: in a batch file with delayed expansion off, for
/// programs that split their command line as Microsoft's C runtime does, Python among them.
/// REQUIRES: can_be_quoted(word).
std::string quote_word(std::string_view word, Shell shell);

/// `word` in quotation marks, for programs that split their command line as Microsoft's C runtime
/// does: backslashes count only before a quotation mark.
std::string quote_for_c_runtime(std::string_view word);

/// `text` as a comment that ends where it should: control characters become spaces, and for cmd
/// what it would expand or redirect even there is taken out.
std::string comment_text(std::string_view text, Shell shell);

/// The commands on the first line of `text` (continued lines joined), each as the words that the
/// program gets. `&`, `|` and `;` part commands; what a redirection takes, and comments, are left
/// out; variables stay as they are written. Nothing if a quotation does not end.
std::optional<std::vector<std::vector<std::string>>> line_commands(std::string_view text,
                                                                   Shell shell);

}  // namespace ebb
