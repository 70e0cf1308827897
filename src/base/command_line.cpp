// SPDX-License-Identifier: Apache-2.0
#include "base/command_line.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"

namespace ebb {

// Backslashes count only before a quotation mark: there, and at the end, they are doubled.
std::string quote_for_c_runtime(std::string_view word) {
  std::string text = "\"";
  std::size_t backslashes = 0;
  for (const char c : word) {
    if (c == '"') text.append(backslashes + 1, '\\');
    backslashes = c == '\\' ? backslashes + 1 : 0;
    text += c;
  }
  text.append(backslashes, '\\');
  return text + "\"";
}

namespace {

bool is_bare(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) ||
         std::string_view("-_.:/").find(c) != std::string_view::npos;
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

std::string quote_posix(std::string_view word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string quote_cmd(std::string_view word) {
  const std::string for_program = quote_for_c_runtime(word);
  // cmd does not know `\"`: with a quotation mark inside, every mark is hidden from it and what
  // stands between them is no longer protected by them.
  const bool hide = word.find('"') != std::string_view::npos;
  std::string text;
  for (const char c : for_program) {
    if (hide && std::string_view("\"&|<>()^!").find(c) != std::string_view::npos) text += '^';
    if (c == '%') text += '%';
    text += c;
  }
  return text;
}

/// Splits as both shells do, each by its own rules.
class Reader {
 public:
  Reader(std::string_view text, Shell shell) : text_(text), cmd_(shell == Shell::cmd) {}

  std::optional<std::vector<std::vector<std::string>>> read() {
    while (at_ < text_.size() && !ended_) {
      cmd_ ? step_cmd() : step_posix();
    }
    finish();
    // Of cmd, a quotation lasts to the end of the line at most.
    if (quote_ != 0 && !cmd_) return std::nullopt;
    return std::move(commands_);
  }

 private:
  char next(std::size_t ahead = 1) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  std::size_t line_break(std::size_t at) const {
    const std::string_view rest = text_.substr(std::min(at, text_.size()));
    return rest.starts_with("\r\n") ? 2 : rest.starts_with("\n") ? 1 : 0;
  }
  void take(char c) {
    word_ += c;
    in_word_ = true;
    ++at_;
  }
  void finish() {
    if (in_word_ && !redirected_) commands_.back().push_back(std::move(word_));
    redirected_ &= !in_word_;
    word_.clear();
    in_word_ = false;
  }
  void skip_space() {
    finish();
    ++at_;
  }
  void next_command() {
    finish();
    commands_.emplace_back();
    ++at_;
  }
  /// `2>&1`, `> log`: what is redirected and where to are no words of the command.
  void redirect() {
    if (parse_int(word_)) in_word_ = false;
    finish();
    redirected_ = true;
    at_ = std::min(text_.find_first_not_of("<>&", at_), text_.size());
  }

  void step_posix() {
    const char c = text_[at_];
    if (quote_ == '\'') {
      c == '\'' ? close() : take(c);
    } else if (c == '\\' && line_break(at_ + 1) > 0) {
      at_ += 1 + line_break(at_ + 1);
    } else if (quote_ == '"') {
      if (c == '"') return close();
      if (c == '\\' && std::string_view("\"\\$`").find(next()) != std::string_view::npos) ++at_;
      take(text_[at_]);
    } else if (c == '\\' && next() != '\0') {
      ++at_;
      take(text_[at_]);
    } else if (c == '"' || c == '\'') {
      open(c);
    } else if (c == '\n' || (c == '#' && !in_word_)) {
      ended_ = true;
    } else if (c == '<' || c == '>') {
      redirect();
    } else if (c == '&' || c == '|' || c == ';') {
      next_command();
    } else if (c == ' ' || c == '\t' || c == '\r') {
      skip_space();
    } else {
      take(c);
    }
  }

  // What cmd hands on is split by the C runtime: both sets of rules in one pass. cmd's own view of
  // what is quoted (`shown_`) follows every bare mark, the runtime's (`quote_`) those not escaped.
  void step_cmd() {
    const char c = text_[at_];
    if (line_break(at_) > 0) {
      ended_ = true;
    } else if (c == '^' && !shown_) {
      if (const std::size_t breaks = line_break(at_ + 1); breaks > 0) {
        at_ += 1 + breaks;
      } else if (++at_ < text_.size()) {
        runtime(true);
      }
    } else if (!shown_ && (c == '<' || c == '>')) {
      redirect();
    } else if (!shown_ && (c == '&' || c == '|')) {
      next_command();
    } else {
      runtime(false);
    }
  }

  void runtime(bool hidden) {
    const char c = text_[at_];
    if (c == '%' && next() == '%') ++at_;
    if (c == '"' && !hidden) shown_ = !shown_;
    if (c == '"') {
      const bool escaped = backslashes_ % 2 == 1;
      word_.resize(word_.size() - (backslashes_ + 1) / 2);
      backslashes_ = 0;
      if (escaped) return take('"');
      return quote_ != 0 ? close() : open('"');
    }
    backslashes_ = c == '\\' ? backslashes_ + 1 : 0;
    if (quote_ == 0 && (c == ' ' || c == '\t')) return skip_space();
    take(c);
  }

  void open(char quote) {
    quote_ = quote;
    in_word_ = true;
    ++at_;
  }
  void close() {
    quote_ = '\0';
    ++at_;
  }

  std::string_view text_;
  bool cmd_;
  std::size_t at_ = 0;
  char quote_ = '\0';
  bool shown_ = false;
  bool ended_ = false;
  std::size_t backslashes_ = 0;
  bool in_word_ = false;
  bool redirected_ = false;
  std::string word_;
  std::vector<std::vector<std::string>> commands_ = {{}};
};

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

}  // namespace

bool can_be_quoted(std::string_view text) {
  return std::none_of(text.begin(), text.end(), is_control);
}

std::string quote_word(std::string_view word, Shell shell) {
  const bool bare = !word.empty() && std::all_of(word.begin(), word.end(), [&](char c) {
    return is_bare(c) || (shell == Shell::cmd && c == '\\');
  });
  if (bare) return std::string(word);
  return shell == Shell::cmd ? quote_cmd(word) : quote_posix(word);
}

std::string comment_text(std::string_view text, Shell shell) {
  std::string comment(text);
  for (char& c : comment) {
    if (is_control(c)) c = ' ';
  }
  if (shell == Shell::posix) return comment;
  replace_all(comment, "->", "to");
  replace_all(comment, "%", "%%");
  for (char& c : comment) {
    if (std::string_view("&|<>^").find(c) != std::string_view::npos) c = ' ';
  }
  return comment;
}

std::optional<std::vector<std::vector<std::string>>> line_commands(std::string_view text,
                                                                   Shell shell) {
  return Reader(text, shell).read();
}

}  // namespace ebb
