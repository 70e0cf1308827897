// SPDX-License-Identifier: Apache-2.0
// One workflow on one machine, from what was typed to the plan and the patched file: the main path
// that the command and the C library share.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "ebb/machine.h"
#include "ebb/pass.h"
#include "ebb/patch.h"
#include "ebb/plan.h"
#include "ebb/report.h"
#include "ebb/weights.h"
#include "ebb/workflow.h"

namespace ebb {

/// The machine and the sizes as typed, with the names and spellings of the command's options; empty
/// means absent.
struct RunArguments {
  std::string gpu, vram, vram_free, ram, os, comfyui, machine_file;
  std::string input, output, temp;  ///< ComfyUI's folders of pictures and videos
  std::optional<std::string> flags;
  std::vector<std::string> models, bytes, frames, sizes;
  std::string object_info;  ///< address or file of a server's definitions; commands open it
};

/// One of them by its name in JSON; the command's option has hyphens for underscores.
struct OptionRow {
  const char* name;
  std::variant<std::string RunArguments::*, std::optional<std::string> RunArguments::*,
               std::vector<std::string> RunArguments::*>
      place;
  const char* group = nullptr;  ///< of the command's help; null: not an option of the command
  const char* what = nullptr;   ///< what stands for its value there
  const char* help = nullptr;
  bool lists = false;  ///< one word may hold several values, with commas between
};
/// In the order of the command's help.
std::span<const OptionRow> option_rows();

/// As understood.
struct RunOptions {
  MachineOptions machine;
  WeightsSearch search;
  SizeOverrides sizes;               ///< when --frames or --size names one value, it replaces
  std::vector<SizeOverrides> table;  ///< one row per value given
  MediaFolders media;
  std::vector<std::string> notes;  ///< what was detected in a ComfyUI folder
  /// Of a server; asked before the built-in table. May be null, must outlive every call.
  const NodeDefinitions* definitions = nullptr;
};

/// Errors: a value that is no size, count or version; a ComfyUI folder or file that can't be read.
Result<RunOptions> understand(const RunArguments& arguments);

/// What --comfyui may be: a version, or a folder that says more.
struct ComfyChoice {
  std::optional<ComfyVersion> version;  ///< nothing was given
  std::optional<Checkout> checkout;     ///< a folder was given
};

/// Errors: neither a version nor a ComfyUI folder.
Result<ComfyChoice> choose_comfyui(const std::string& text);

/// The version a machine's ComfyUI has; nothing if it is only assumed.
std::optional<ComfyVersion> known_version(const Machine& machine);

/// Finds pictures and videos in these folders and reads their headers, each once.
FindMedia find_media(MediaFolders folders);

/// How a workflow becomes a prompt of that version; of the version assumed where there is none.
/// `definitions` may be null, and must outlive the options.
PromptOptions prompt_options(const std::optional<ComfyVersion>& version,
                             const NodeDefinitions* definitions);

/// Errors found beyond reading do not know the file's name.
Error in_file(Error error, const std::string& file);

/// The prompt for a machine: what the front end would send to its ComfyUI. Errors: as to_prompt.
Result<Prompt> make_prompt(const Workflow& workflow, const NodeDefinitions* definitions,
                           const Machine& machine);

/// One workflow on one machine, predicted.
struct Run {
  std::shared_ptr<const Prompt> prompt;
  std::shared_ptr<const Order> order;
  FindWeights find;  ///< remembers what it found
  FindMedia media;   ///< the same
  Predict predict;
  Report report;  ///< file, trial and prediction
};

/// Errors: a prompt that cannot run, a broken model file; `prompt`'s own.
Result<Run> predict_run(Result<Prompt> prompt, const std::string& file, const Machine& machine,
                        const RunOptions& options);
/// The same with the machine that the options come to.
Result<Run> predict_run(const Workflow& workflow, const RunOptions& options);

/// All that is found by predicting the run again: fixes, the table, the largest frame count. With
/// `picture` the run with its best fix, too, to be drawn below it.
Result<Report> plan_run(Run run, const RunOptions& options, bool picture);

/// Which nodes shall go into a workflow: `with` at every switch of diffusion models, or of the
/// plan's fixes those that are worth it, `only` these, or without those of `skip` (ids of fixes).
struct FixChoice {
  std::string with;
  std::vector<std::string> only, skip;
};

/// Errors: a choice that makes no sense.
Result<Done> check_choice(const FixChoice& choice);

/// A line of the plan for a workflow: what is put in, what is left, why nothing, what it comes to.
struct PlanLine {
  enum Kind { plan, fix, left, effect } kind = plan;
  std::string words;
  std::string id;            ///< of the fix it is about; empty for the others
  std::string because = {};  ///< of a plan to do nothing: the reason alone

  /// `fix    tile-vae: decode in tiles: ...`, as the command prints it.
  std::string text() const;
};

/// What became of one workflow.
struct PatchResult {
  std::string file;
  std::string original;  ///< text before
  Patch patch;
  bool already = false;        ///< our nodes were there and stay as they are
  std::vector<PlanLine> plan;  ///< why nothing, or what the plan is
  std::string written;         ///< path; empty if nothing was written
  std::string error;           ///< of this file, in folders
  bool media = false;          ///< a picture or video carries the workflow
  bool changed() const { return error.empty() && !already && !patch.changes_nothing(); }
};

/// Plans a workflow and puts what was chosen into its text. A patch that is there already is taken
/// out first, where that can be done exactly. Errors: as predict_run and make_patch.
Result<PatchResult> patch_run(Workflow workflow, const FixChoice& choice,
                              const RunOptions& options);

/// One line of JSON: schema ebb.apply/1 (docs/patch.md); `with_text` adds the patched file's text.
std::string to_json(const PatchResult& result, bool with_text = false);

/// Parses the text of a patched workflow as what the workflow was: a graph or a prompt.
Result<Workflow> parse_again(const Workflow& workflow, std::string text);

/// What is uncertain and refused in a prompt, and its notes: schema ebb.convert/1; `with_prompt`
/// adds the prompt itself.
std::string doubts_json(const Prompt& prompt, const std::string& file, bool with_prompt = false);

}  // namespace ebb
