// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/command.h"
#include "cli/print.h"
#include "ebb/version.h"

namespace ebb::cli {

Option Option::required() { return Option(option_->required()); }
Option Option::group(const char* heading) { return Option(option_->group(heading)); }
Option Option::separated_by_commas() { return Option(option_->delimiter(',')); }
Option Option::excludes(Option other) { return Option(option_->excludes(other.option_)); }
Option Option::help(const char* text) { return Option(option_->description(text)); }
Option Option::one_of(std::initializer_list<const char*> words) {
  const std::vector<std::string> list(words.begin(), words.end());
  return Option(option_->check(CLI::IsMember(list).description("")));
}

void Options::positional(const char* name, std::string& value, const char* help) {
  app_.add_option(name, value, help)->type_name(" ")->required();
}
void Options::positional(const char* name, std::vector<std::string>& values, const char* help) {
  app_.add_option(name, values, help)->type_name(" ")->required();
}
Option Options::flag(const char* name, bool& value, const char* help) {
  return Option(app_.add_flag(name, value, help));
}
Option Options::value(const std::string& names, std::string& value, const char* what,
                      const char* help) {
  return Option(app_.add_option(names, value, help)->type_name(what));
}
Option Options::value(const std::string& names, std::optional<std::string>& value, const char* what,
                      const char* help) {
  return Option(app_.add_option(names, value, help)->type_name(what));
}
Option Options::value(const std::string& names, std::optional<int>& value, const char* what,
                      const char* help) {
  return Option(app_.add_option(names, value, help)->type_name(what));
}
Option Options::value(const std::string& names, std::vector<std::string>& values, const char* what,
                      const char* help) {
  return Option(app_.add_option(names, values, help)->type_name(what)->allow_extra_args(false));
}
Option Options::declared(const char* name) { return Option(app_.get_option(name)); }
void Options::footer(const char* examples) { app_.footer(examples); }

namespace {

/// A word that is no command: the commands that there are.
int fail_command(std::span<const Command> commands, const std::string& word) {
  std::string names;
  for (const Command& command : commands) {
    names += (names.empty() ? "" : ", ") + std::string(command.name);
  }
  say(fmt::format(
      "ebb: there is no command \"{}\"\n  The commands are {}; ebb --help says what they "
      "do.\n",
      word, names));
  return kUsage;
}

}  // namespace

std::function<int()> parse(std::span<const Command> commands, std::vector<std::string> words,
                           const char* examples) {
  CLI::App app("Ebb tells a ComfyUI user, before anything is queued, what a workflow will hold.",
               "ebb");
  app.set_version_flag("--version", "ebb " EBB_VERSION);
  app.require_subcommand(0, 1);
  app.footer(examples);
  std::function<int()> chosen;
  for (const Command& command : commands) {
    CLI::App* sub = app.add_subcommand(command.name, command.description);
    sub->group(command.group);
    Options options(*sub);
    auto runner = command.declare(options);
    sub->callback([&chosen, runner] { chosen = runner; });
  }
  const std::string first = words[0];
  std::reverse(words.begin(), words.end());  // as CLI11 takes them
  const auto over = [](int code) { return [code] { return code; }; };
  try {
    app.parse(std::move(words));
  } catch (const CLI::Success& help) {
    return over(app.exit(help));
  } catch (const CLI::ParseError& error) {
    const bool known = !app.get_subcommands().empty();
    if (!known && first[0] != '-') return over(fail_command(commands, first));
    const std::string name =
        known ? std::string("ebb ") + app.get_subcommands()[0]->get_name() : "ebb";
    say(fmt::format("{}: {}\n  {} --help shows the arguments, with examples.\n", name, error.what(),
                    name));
    return over(kUsage);
  }
  return chosen;
}

}  // namespace ebb::cli
