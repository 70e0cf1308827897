// SPDX-License-Identifier: Apache-2.0
// The command: a table of subcommands over the library.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/print.h"

namespace ebb::cli {
namespace {

constexpr const char* kAsk = "Before a run";
constexpr const char* kEdit = "Workflow files";
constexpr const char* kStart = "Starting ComfyUI";
constexpr const char* kDevelop = "For developers";

constexpr Command kCommands[] = {
    {"plan", "What will this workflow hold, pass by pass, and what is the cheapest fix?",
     declare_plan, kAsk},
    {"explain", "Why these numbers? The arithmetic of one pass, term by term.", declare_explain,
     kAsk},
    {"compare", "What changes between versions, cards, flags and sizes? One table.",
     declare_compare, kAsk},
    {"apply", "Puts the plan's fixes, or an unload node between the passes, into the workflow.",
     declare_apply, kEdit},
    {"undo", "Takes out again what `ebb apply` put into a workflow.", declare_undo, kEdit},
    {"clean", "Which nodes are there to free memory, what do they really do, and out with them.",
     declare_clean, kEdit},
    {"show", "What is in a workflow file: nodes, models, packs, subgraphs, what is switched off.",
     declare_show, kEdit},
    {"convert", "The prompt that ComfyUI's front end would send for this workflow.",
     declare_convert, kEdit},
    {"launch", "The script that starts ComfyUI with the flags that suit these workflows.",
     declare_launch, kStart},
    {"simulate", "What would ComfyUI's memory manager load and evict in these scenarios?",
     declare_simulate, kDevelop},
    {"calibrate", "Does the demand table agree with the model code of a ComfyUI checkout?",
     declare_calibrate, kDevelop},
};

constexpr const char* kFooter =
    "Examples:\n"
    "  ebb plan my_workflow.json                              for this machine\n"
    "  ebb plan my_workflow.json --gpu rtx4070 --ram 32GB     for another\n"
    "  ebb plan my_workflow.json --comfyui ~/ComfyUI          its version, models and pictures\n"
    "  ebb help plan                                          all options, with examples";

/// `ebb help`, `ebb help plan` and `ebb` alone mean --help.
std::vector<std::string> words_of(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty()) return {"--help"};
  if (words[0] != "help") return words;
  words.erase(words.begin());
  if (words.size() > 1) words.resize(1);
  const bool known = words.empty() ||
                     std::any_of(std::begin(kCommands), std::end(kCommands),
                                 [&](const Command& command) { return words[0] == command.name; });
  if (!known) return words;
  words.push_back("--help");
  return words;
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
    using namespace ebb::cli;
    return parse(kCommands, words_of(argc, argv), kFooter)();
  } catch (const std::bad_alloc&) {
    std::fputs("ebb: there is not enough memory for this\n", stderr);
    return ebb::cli::kInternal;
  } catch (const std::exception& error) {
    std::fputs(("ebb: internal error: " + std::string(error.what()) + "\n").c_str(), stderr);
    return ebb::cli::kInternal;
  }
}
