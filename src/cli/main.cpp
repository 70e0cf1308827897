// SPDX-License-Identifier: Apache-2.0
// The command: a table of subcommands over the library.
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <iostream>

#include "cli/command.h"
#include "cli/print.h"
#include "ebb/version.h"

namespace ebb::cli {
namespace {

constexpr Command kCommands[] = {
    {"plan", "What will this workflow hold, pass by pass, and what is the cheapest fix?",
     declare_plan},
    {"explain", "Why these numbers? The arithmetic of one pass, term by term.", declare_explain},
    {"compare", "What changes between versions, cards, flags and sizes? One table.",
     declare_compare},
    {"apply", "Puts the plan's fixes, or an unload node between the passes, into the workflow.",
     declare_apply},
    {"undo", "Takes out again what `ebb apply` put into a workflow.", declare_undo},
    {"clean", "Which nodes are there to free memory, what do they really do, and out with them.",
     declare_clean},
    {"launch", "The script that starts ComfyUI with the flags that suit these workflows.",
     declare_launch},
    {"simulate", "What would ComfyUI's memory manager load and evict in these scenarios?",
     declare_simulate},
    {"convert", "The prompt that ComfyUI's front end would send for this workflow.",
     declare_convert},
    {"show", "What is in a workflow file: nodes, models, packs, subgraphs, what is switched off.",
     declare_show},
    {"calibrate", "Does the demand table agree with the model code of a ComfyUI checkout?",
     declare_calibrate},
};

/// A word that is no command, or none at all: the commands that there are.
int fail_command(const std::string& word) {
  std::string names;
  for (const Command& command : kCommands) {
    names += (names.empty() ? "" : ", ") + std::string(command.name);
  }
  say(fmt::format("ebb: {}\n  The commands are {}; ebb --help says what they do.\n",
                  word.empty() ? "no command is given" : "there is no command \"" + word + "\"",
                  names));
  return kUsage;
}

int run(int argc, char** argv) {
  CLI::App app("Ebb tells a ComfyUI user, before anything is queued, what a workflow will hold.",
               "ebb");
  app.set_version_flag("--version", "ebb " EBB_VERSION);
  app.require_subcommand(0, 1);
  app.footer(
      "Start with: ebb plan my_workflow.json --gpu rtx5090\n"
      "Each command has its own --help with examples.");
  std::function<int()> chosen;
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.description);
    auto runner = command.declare(*sub);
    sub->callback([&chosen, runner] { chosen = runner; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    const bool known = argc > 1 && !app.get_subcommands().empty();
    const std::string name =
        known ? std::string("ebb ") + app.get_subcommands()[0]->get_name() : "ebb";
    if (!known && argc > 1 && argv[1][0] != '-') return fail_command(argv[1]);
    say(fmt::format("{}: {}\n  {} --help shows the arguments, with examples.\n", name,
                    error.what(), name));
    return kUsage;
  }
  return chosen ? chosen() : fail_command("");
}

}  // namespace

int fail(const std::string& command, const Error& error) {
  say(fmt::format("ebb {}: {}\n", command, to_string(error)));
  switch (error.code) {
    case ErrorCode::usage: return kUsage;
    case ErrorCode::input: return kInput;
    case ErrorCode::internal: return kInternal;
  }
  return kInternal;
}

bool stdout_wants_colour() {
  const char* term = std::getenv("TERM");
  return isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR") && term && std::string(term) != "dumb";
}

}  // namespace ebb::cli

int main(int argc, char** argv) {
  // The library throws nothing of its own; what the standard library throws is caught here, once.
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error like a full disk
  try {
    return ebb::cli::run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("ebb: there is not enough memory for this\n", stderr);
    return ebb::cli::kInternal;
  } catch (const std::exception& error) {
    std::fputs(("ebb: internal error: " + std::string(error.what()) + "\n").c_str(), stderr);
    return ebb::cli::kInternal;
  }
}
