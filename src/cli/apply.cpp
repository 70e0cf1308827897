// SPDX-License-Identifier: Apache-2.0
// `ebb apply`: the plan's fixes, put into workflow files.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

#include "cli/command.h"
#include "cli/in_place.h"
#include "cli/input.h"
#include "cli/patch_text.h"
#include "cli/plan_options.h"
#include "cli/print.h"
#include "ebb/file.h"

namespace ebb::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    "Examples:\n"
    "  ebb apply flow.json --with UnloadModels            shows what would change, writes nothing\n"
    "  ebb apply flow.json --with UnloadModels -o new.json\n"
    "  ebb apply flow.json --gpu rtx5090 --in-place       the plan's fixes; keeps flow.json.bak\n"
    "  ebb apply folder --with UnloadModels --out folder2 --json\n"
    "  ebb apply folder --with UnloadModels --check       exit code 1 if a file would change\n"
    "  ebb undo new.json -o flow.json                     takes it out again, byte for byte\n"
    "Exit codes: 0 done, 1 --check and something would change, 2 bad usage, 3 bad input, "
    "4 internal error.";

struct Arguments {
  std::vector<std::string> paths;
  std::string output, out, svg;
  FixChoice choice;
  PlanArguments plan;
  bool in_place = false, force = false, check = false, json = false;
};

/// One file to patch. `relative` is its path below the folder that was named.
struct Job {
  std::string path, relative;
  bool from_folder = false;
};

Result<std::vector<Job>> jobs_of(const Arguments& arguments) {
  std::vector<Job> jobs;
  for (const std::string& path : arguments.paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      jobs.push_back({path, fs::path(path).filename().string(), false});
      continue;
    }
    std::vector<Job> found;
    fs::recursive_directory_iterator at(path, fs::directory_options::skip_permission_denied, error);
    for (const auto end = fs::recursive_directory_iterator(); !error && at != end;
         at.increment(error)) {
      if (!at->is_regular_file(error) || at->is_symlink(error)) continue;
      found.push_back({at->path().string(), fs::relative(at->path(), path, error).string(), true});
    }
    if (error) return input_error("cannot be read: " + error.message(), path);
    std::ranges::sort(found, {}, &Job::path);
    jobs.insert(jobs.end(), found.begin(), found.end());
  }
  return jobs;
}

Result<Done> check_usage(const Arguments& a, const std::vector<Job>& jobs) {
  const int writes = !a.output.empty() + !a.out.empty() + a.in_place + a.check;
  if (writes > 1) {
    return usage_error("-o, --out, --in-place and --check exclude each other",
                       "Choose one of them, or none to see what would change.");
  }
  const bool many = jobs.size() > 1 || (jobs.size() == 1 && jobs.front().from_folder);
  if (many && !a.svg.empty()) {
    return usage_error("--svg draws one file, but several are to be patched", "Name one file.");
  }
  if (many && !a.output.empty()) {
    return usage_error("-o names one file, but several are to be patched",
                       "--out DIR takes them all, --in-place changes them where they are.");
  }
  return Done{};
}

/// Where a file's result goes; empty if nothing is to be written.
std::string target_of(const Arguments& a, const Job& job, bool media) {
  if (!a.output.empty()) return a.output;
  const std::string ending = media ? ".json" : "";  // beside the picture, which stays as it is
  if (!a.out.empty()) return (fs::path(a.out) / (job.relative + ending)).string();
  return a.in_place ? job.path + ending : "";
}

Result<Done> write(const Arguments& a, const std::string& target, const PatchResult& result,
                   const std::optional<FileState>& was) {
  const fs::path folder = fs::path(target).parent_path();
  std::error_code error;
  if (!a.out.empty() && !fs::create_directories(folder, error) && error) {
    return input_error("cannot be made: " + error.message(), folder.string(), "",
                       "Choose a folder that can be written.");
  }
  const bool same_file = a.in_place && !result.media;
  return write_result({same_file, a.force, result.file, target}, was, result.patch.text);
}

/// What became of one file, and whose fault it is if nothing did.
struct Outcome {
  PatchResult result;
  enum class Failure { none, no_workflow, not_read, not_written } failure = Failure::none;
};

Outcome failed(const Job& job, const Error& error, Outcome::Failure failure) {
  Outcome outcome;
  outcome.result.file = job.path;
  outcome.result.error = to_string(error);
  outcome.failure = failure;
  return outcome;
}

/// The canvas before and after.
Result<Done> draw(const std::string& path, const PatchResult& result) {
  const auto read = read_workflow(result.file);
  if (!read) return read.error();
  const auto before = parse_again(*read, result.original);
  if (!before) return before.error();
  const auto after = parse_again(*read, result.patch.text);
  if (!after) return after.error();
  const auto svg = patch_svg(*before, *after);
  return svg ? write_file(path, *svg) : svg.error();
}

Result<PatchResult> patch_file(const Arguments& a, const RunOptions& options, const Job& job,
                               Outcome::Failure& failure) {
  failure = Outcome::Failure::not_read;
  const auto was = input_state(a.in_place, job.path, a.output);
  if (!was) return was.error();
  if (const auto size = file_size(job.path); !size) return size.error();
  if (const auto byte = read_range(job.path, 0, 1); !byte) return byte.error();
  failure = Outcome::Failure::no_workflow;
  auto read = read_workflow(job.path);
  if (!read) return read.error();
  auto patched = patch_run(*std::move(read), a.choice, options);
  if (!patched) return patched.error();
  PatchResult result = *std::move(patched);
  failure = Outcome::Failure::not_written;
  if (!a.svg.empty() && result.changed()) {
    if (auto done = draw(a.svg, result); !done) return done.error();
  }
  const std::string target = target_of(a, job, result.media);
  if (!target.empty() && result.changed()) {
    if (auto done = write(a, target, result, *was); !done) return done.error();
    result.written = target;
  }
  failure = Outcome::Failure::none;
  return result;
}

/// Files are independent of each other; results come in their order.
std::vector<Outcome> patch_all(const Arguments& a, const RunOptions& options,
                               const std::vector<Job>& jobs) {
  std::vector<Outcome> results(jobs.size());
  std::atomic<std::size_t> next = 0, done = 0;
  const bool progress = jobs.size() > 100 && isatty(STDERR_FILENO);
  const auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++) {
      auto failure = Outcome::Failure::none;
      auto result = patch_file(a, options, jobs[i], failure);
      results[i] = result ? Outcome{*std::move(result)} : failed(jobs[i], result.error(), failure);
      if (const std::size_t count = ++done; progress && count % 50 == 0) {
        fmt::print(stderr, "\r{} of {} files", count, jobs.size());
      }
    }
  };
  const std::size_t count =
      std::min<std::size_t>({jobs.size(), std::max(1U, std::thread::hardware_concurrency()), 8});
  std::vector<std::jthread> workers;
  for (std::size_t i = 1; i < count; ++i) workers.emplace_back(work);
  work();
  workers.clear();
  if (progress) fmt::print(stderr, "\r{:40}\r", "");
  return results;
}

std::string summary_of(const Outcome& outcome) {
  const PatchResult& result = outcome.result;
  if (outcome.failure == Outcome::Failure::not_written) return "not written: " + result.error;
  if (outcome.failure != Outcome::Failure::none) return "not read: " + result.error;
  if (result.already) return "Ebb's nodes are there already, nothing changes";
  if (result.changed()) {
    return fmt::format("{} change{}", result.patch.changes.size(),
                       result.patch.changes.size() == 1 ? "" : "s");
  }
  if (!result.patch.refusals.empty()) return "nothing changes: " + result.patch.refusals.front();
  if (!result.patch.why_none.empty()) return "nothing to change: " + result.patch.why_none;
  return result.patch.switches == 0
             ? "nothing to change: one diffusion model at most is sampled with"
             : "nothing to change";
}

std::string text_of(const Arguments& a, const PatchResult& result) {
  std::string text = fmt::format("{}: {}\n{}", result.file, summary_of({result}), words_of(result));
  if (!result.changed()) {
    return text + (!a.output.empty() || a.in_place ? "Nothing is written.\n" : "");
  }
  if (!result.written.empty()) {
    return text + fmt::format("Written: {}. `ebb undo` takes it out again.\n", result.written);
  }
  text += "\n" + lines_of(result);
  return text + (a.check ? "" : "\nNothing is written yet: -o FILE or --in-place does it.\n");
}

/// Several files: a line each. A folder holds files that are no workflows; what can't be read or
/// written is a failure all the same, and so is a run in which nothing could be read.
int patch_many(const Arguments& a, const RunOptions& options, const std::vector<Job>& jobs) {
  std::size_t changed = 0, unread = 0, unwritten = 0;
  bool failed = false;
  std::string text;
  for (const Outcome& outcome : patch_all(a, options, jobs)) {
    const bool no_workflow = outcome.failure == Outcome::Failure::no_workflow;
    const bool lost = outcome.failure == Outcome::Failure::not_written;
    changed += outcome.result.changed();
    unwritten += lost;
    unread += !lost && outcome.failure != Outcome::Failure::none;
    failed |= outcome.failure != Outcome::Failure::none && !no_workflow;
    text += a.json ? to_json(outcome.result)
                   : fmt::format("{}: {}\n", outcome.result.file, summary_of(outcome));
  }
  if (!a.json) {
    text += fmt::format("{} files: {} {}, {} not read{}\n", jobs.size(), changed,
                        a.check || (a.out.empty() && !a.in_place) ? "would change" : "changed",
                        unread, unwritten ? fmt::format(", {} not written", unwritten) : "");
  }
  failed |= !jobs.empty() && unread == jobs.size();
  const int code = failed ? kInput : a.check && changed > 0 ? kWorse : kAnswered;
  return a.json ? answer_as_is(text, code) : answer(text, code);
}

int run(const Arguments& a) {
  const auto jobs = jobs_of(a);
  if (!jobs) return fail("apply", jobs.error());
  if (auto sound = check_usage(a, *jobs); !sound) return fail("apply", sound.error());
  if (auto sound = check_choice(a.choice); !sound) return fail("apply", sound.error());
  auto options = understand(a.plan);
  if (!options) return fail("apply", options.error());
  const auto definitions = open_definitions(options->object_info);
  if (!definitions) return fail("apply", definitions.error());
  if (*definitions) options->definitions = &**definitions;
  if (jobs->size() == 1 && !jobs->front().from_folder) {
    auto failure = Outcome::Failure::none;
    const auto result = patch_file(a, *options, jobs->front(), failure);
    if (!result) return fail("apply", result.error());
    const int code = a.check && result->changed() ? kWorse : kAnswered;
    return a.json ? answer_as_is(to_json(*result), code) : answer(text_of(a, *result), code);
  }
  return patch_many(a, *options, *jobs);
}

}  // namespace

std::function<int()> declare_apply(Options& options) {
  auto a = std::make_shared<Arguments>();
  options.positional("PATH", a->paths, "workflow files or folders of them");
  options.value("-o,--output", a->output, "FILE", "write the patched workflow to this file");
  options.value("--out", a->out, "DIR", "write patched workflows into this folder");
  options.value("--svg", a->svg, "FILE",
                "write a picture of the canvas before and after to this file");
  options.flag("--in-place", a->in_place, "change the file itself and keep FILE.bak");
  options.flag("--force", a->force, "write over files that are there");
  options.flag("--check", a->check, "write nothing, exit with 1 if a file would change");
  options.flag("--json", a->json, "one line of JSON a file (docs/patch.md)");
  options.value("--with", a->choice.with, "NODE",
                "UnloadModels or EbbCut: this node at every switch from one diffusion model to "
                "another, whatever the plan says");
  options.value("--only", a->choice.only, "NAME", "of the plan's fixes only these, by name")
      .separated_by_commas();
  options.value("--skip", a->choice.skip, "NAME", "the plan's fixes without these")
      .separated_by_commas();
  declare_machine(options, a->plan);
  options.footer(kExamples);
  return [a] { return run(*a); };
}

}  // namespace ebb::cli
