// SPDX-License-Identifier: Apache-2.0
// What a command takes. CLI11, which stands behind it, is included by options.cpp alone.
#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace ebb::cli {

/// One option; the calls can be chained.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option required();
  Option group(const char* heading);
  Option separated_by_commas();
  Option excludes(Option other);
  Option one_of(std::initializer_list<const char*> words);
  Option help(const char* text);

 private:
  CLI::Option* option_;
};

/// Values must outlive the parsing; `what` stands for the value in --help.
class Options {
 public:
  explicit Options(CLI::App& app) : app_(app) {}
  /// What has to be given without a name; of a list at least one.
  void positional(const char* name, std::string& value, const char* help);
  void positional(const char* name, std::vector<std::string>& values, const char* help);
  Option flag(const char* name, bool& value, const char* help);
  Option value(const std::string& names, std::string& value, const char* what, const char* help);
  Option value(const std::string& names, std::optional<std::string>& value, const char* what,
               const char* help);
  Option value(const std::string& names, std::optional<int>& value, const char* what,
               const char* help);
  /// One value each time that it is given.
  Option value(const std::string& names, std::vector<std::string>& values, const char* what,
               const char* help);
  Option declared(const char* name);  ///< REQUIRES: there is one of this name
  void footer(const char* examples);

 private:
  CLI::App& app_;
};

/// One subcommand: declares its options and returns what runs it.
struct Command {
  const char* name;
  const char* description;
  std::function<int()> (*declare)(Options& options);
  const char* group;  ///< its heading in the list of commands
};

/// What the words ask for; where they ask for help or are wrong, that has been told, and what
/// is returned gives the exit code.
std::function<int()> parse(std::span<const Command> commands, std::vector<std::string> words,
                           const char* examples);

}  // namespace ebb::cli
