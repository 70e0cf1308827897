// SPDX-License-Identifier: Apache-2.0
// The run as ComfyUI would do it: steps in order, passes with one set of weights in use, cuts
// between them; and the Timeline that a policy or a plan makes of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ebb/demand.h"
#include "ebb/machine.h"
#include "ebb/message.h"
#include "ebb/sum.h"
#include "ebb/weights.h"
#include "ebb/workflow.h"

namespace ebb {

/// A node that doesn't run because an identical one (class, inputs, all that feeds them) ran
/// before: ComfyUI hands out the same result, the same weights in memory included.
struct Served {
  NodeIndex node;
  NodeIndex from;       ///< the node that ran
  bool skipped = true;  ///< the scheduler comes by it; false: its result was there before

  bool operator==(const Served&) const = default;
};

/// The order in which ComfyUI executes a prompt.
struct Order {
  List<NodeIndex, StepIndex> nodes;  ///< only nodes that run
  std::vector<Served> served;
  std::vector<NodeIndex> left_out;  ///< output nodes that ComfyUI does not run; notes say why
  /// Another order of the output nodes changes the order among nodes that handle weights.
  bool depends_on_outputs = false;
  std::vector<Message> notes;
};

/// ComfyUI's scheduler for this version and kind of node cache, the cache empty. `outputs`
/// names the output nodes to run and their order; empty: all, as they
/// stand in the prompt. An output node that needs a cycle or a node that is not there is left out
/// with a note, as ComfyUI does. With --cache-none a node may run more than once. Errors: no output
/// node, or none of them left; with the node's label.
Result<Order> order_steps(const Prompt& prompt, const ComfyVersion& version,
                          const std::vector<NodeIndex>& outputs = {},
                          CacheKind cache = CacheKind::standard);

/// One of several prompts that are queued one after another.
struct QueuedPrompt {
  const Prompt* prompt = nullptr;  ///< must outlive the call
  std::vector<NodeIndex> outputs;  ///< as order_steps takes them
};

/// What running it does.
struct Queued {
  /// Nodes whose results an earlier prompt left in the node cache, as ComfyUI's message
  /// `execution_cached` names them; in the order of the prompt.
  std::vector<NodeIndex> kept;
  Order order;  ///< what runs; empty where everything was kept
};

/// ComfyUI's node cache over several prompts, the first of which finds it empty: what a second
/// queue runs again. Assumes that every prompt runs to its end, that files named by inputs don't
/// change, and that RAM does not run short of what a running prompt needs. `ram_free_bytes`, free
/// while it runs, decides whether results of earlier prompts stay from 0.23.0 on; 0: not known, as
/// little as most machines have. Errors: as order_steps.
Result<std::vector<Queued>> run_queue(const std::vector<QueuedPrompt>& queue,
                                      const ComfyVersion& version, const ComfyFlags& flags,
                                      std::int64_t ram_free_bytes = 0);

/// One execution of one node.
struct Step {
  NodeIndex node;
  std::string id;
  std::string class_type;
  StepKind kind = StepKind::other;
  std::vector<WeightsIndex> uses;   ///< main one first
  std::vector<WeightsIndex> reads;  ///< from disk by this step
  std::vector<WeightsIndex> loras;  ///< applied to uses[0]
  std::optional<Shape> shape;
  Demand demand;
  std::optional<EarlierWork> earlier;  ///< as NodeDemand has it
  bool model_known = true;             ///< as NodeDemand has it
  bool loads_unseen = false;           ///< as NodeDemand has it
  /// That still need this step's result; it stays in RAM until the prompt ends.
  std::vector<StepIndex> consumers;
};

/// A maximal run of steps with the same set of weights in use.
struct Pass {
  StepIndex first_step = 0;
  StepIndex last_step = 0;  ///< inclusive
  StepIndex main_step = 0;  ///< the step with the largest demand
  StepKind kind = StepKind::other;
  std::vector<WeightsIndex> weights;  ///< in use, main one first
};

/// Data that crosses a cut: it was made before and is needed after.
struct Crossing {
  std::string type;                   ///< `LATENT`, `CONDITIONING`, `IMAGE`
  std::string node;                   ///< id of the node that made it
  std::optional<std::int64_t> bytes;  ///< computed from its shape, where that is known
};

/// The boundary after pass `after_pass`.
struct Cut {
  PassIndex after_pass = 0;
  std::vector<Crossing> crossing;
};

/// What a lever or one of Ebb's nodes does at a cut.
enum class CutAction { keep, unload_all, park, drop, prefetch };
const char* to_string(CutAction action);

struct CutStep {
  PassIndex after_pass = 0;
  CutAction action = CutAction::keep;
  std::vector<WeightsIndex> weights = {};  ///< for park, drop (empty: all the pass used), prefetch
  StepIndex step =
      {};  ///< of Ebb's node that does it, which is when it happens; none: after the pass
};

/// Replaces ComfyUI's estimate for one sampler (the measured budget node).
struct Budget {
  WeightsIndex weights = 0;  ///< that it samples with
  std::int64_t minimum_bytes = 0;
  StepIndex step = 0;
};

/// Levers that act during the run, beside flags (in Machine) and sizes (in SizeOverrides).
struct Levers {
  std::vector<CutStep> cuts;
  std::vector<Budget> budgets;
};

struct Passes {
  List<Weights, WeightsIndex> weights;
  List<Step, StepIndex> steps;
  List<Pass, PassIndex> passes;
  List<Cut, PassIndex> cuts;  ///< after each pass but the last
  Levers own;                 ///< what Ebb's nodes in the prompt do
  std::optional<Shape> picture;
  std::vector<LoadedMedia> loaded;    ///< pictures and videos from files
  std::vector<WeightsIndex> unused;   ///< that are read, and taken by a node, in no pass
  std::vector<std::string> left_out;  ///< output nodes that don't run: `node 9 SaveImage`
  std::vector<Message> notes;
  bool too_many_crossings = false;  ///< so many cuts with so much across that they are not listed
};

/// Puts order and demand together.
Passes build_passes(const Prompt& prompt, const Order& order, PromptDemand demand);

/// ComfyUI's decision for one model at one load.
struct Load {
  WeightsIndex weights = 0;
  bool full = false;               ///< everything is on the GPU, parameters outside the list too
  std::int64_t free_bytes = 0;     ///< free VRAM when the budget was computed, own weights included
  std::int64_t minimum_bytes = 0;  ///< demand subtracted: the step's minimum or the floor
  std::int64_t reserve_bytes = 0;  ///< reserve subtracted with it
  std::int64_t usable_bytes = 0;   ///< the budget for weights; negative never
  std::int64_t loaded_bytes = 0;
  std::int64_t offloaded_bytes = 0;  ///< as ComfyUI logs it: listed modules left out
  std::int64_t buffer_bytes = 0;     ///< kept free for streaming, 0.8.0 and later
  std::int64_t size_bytes = 0;       ///< of all of it: loaded, offloaded, and the next two
  std::int64_t unlisted_bytes = 0;   ///< neither loaded nor offloaded: ComfyUI does not list it
  std::int64_t uncounted_bytes = 0;  ///< on the card, and not among the loaded
  std::vector<Part> parts;           ///< that the manager added up: usable_bytes
  std::string log;                   ///< ComfyUI's own line
};

struct Eviction {
  WeightsIndex weights = 0;
  std::int64_t bytes = 0;  ///< left VRAM
  bool partial = false;
};

/// State around one step. Lists over weights are in bytes.
struct StepState {
  List<std::int64_t, WeightsIndex> vram;  ///< resident while the step runs
  List<std::int64_t, WeightsIndex>
      ram;  ///< held in RAM while the step runs (offloaded parts, backups)
  std::int64_t vram_others_bytes = 0;
  std::int64_t live_bytes = 0;  ///< demand while it runs; 0 where unknown (see known)
  std::int64_t reserved_bytes = 0;
  std::int64_t slack_bytes = 0;  ///< that the allocator would reserve beside, and gives back
  bool demand_known = true;
  std::int64_t ram_pinned_bytes = 0;  ///< of the weights' RAM, page-locked: it can't be paged out
  std::int64_t ram_file_bytes = 0;    ///< pages of files being read: the system drops them at need
  std::int64_t ram_data_bytes = 0;    ///< latents, images, conditioning kept by the cache
  std::int64_t vram_peak_bytes = 0;   ///< the most during the step, demand (reserved) included
  std::int64_t ram_peak_bytes = 0;    ///< the most during the step, transfers and others included
  std::int64_t ram_needed_bytes = 0;  ///< the same without pages of files, which can be given back
  std::vector<Part> ram_parts;        ///< that make ram_needed_bytes
  std::int64_t read_bytes = 0;        ///< from disk
  std::int64_t moved_bytes = 0;       ///< over the link, both ways, before the step's work starts
  std::int64_t streamed_bytes = 0;    ///< over the link during the work, all repeats together
  std::vector<Load> loads;
  std::vector<Eviction> evictions;
  std::optional<double> read_seconds;
  std::optional<double> move_seconds;
  std::optional<double> stream_seconds;  ///< link time for streaming, hidden or not
  std::optional<double> stall_seconds;   ///< the part of it that compute does not hide
  std::optional<double> compute_seconds;
};

/// The memory manager that is played, and the release whose rules it goes by.
struct Policy {
  enum Kind { classic, paged } kind = classic;  ///< paged: weights come as a step uses them
  ComfyVersion rules;

  bool operator==(const Policy&) const = default;
};

/// What a policy or a plan makes of the passes; one state per step.
struct Timeline {
  Policy policy;
  List<StepState, StepIndex> steps;
  /// This release holds more in RAM than is counted here: peaks of RAM are lower bounds.
  bool ram_open = false;
  std::int64_t vram_limit_bytes = 0;
  std::int64_t ram_limit_bytes = 0;
  std::vector<Message> notes;

  /// Weights are paged in on demand: what nobody uses leaves by itself.
  bool paged() const { return policy.kind == Policy::paged; }
};

/// ComfyUI's decision for a pass's main weights: the last load of its main step, else of the pass;
/// null if there is none.
const Load* main_load(const Timeline& timeline, const Pass& pass);

/// may_run_out: a step may need more than the card has, and nothing catches that.
enum class Verdict { fits, tight, offloads, may_run_out, ram_short, spills, unknown };
const char* to_string(Verdict verdict);
/// Higher is worse; unknown is the worst.
int rank(Verdict verdict);

/// What becomes of a step that needs more than the card has.
enum class Then { nothing, spills, may_run_out, retries_in_tiles };
const char* to_string(Then then);

/// 90 % of RAM and more: what else runs may push it into the page file.
bool nearly_full(std::int64_t ram_peak_bytes, const Quantity& ram);

/// One pass summed up. Numbers are those of its main step, which has the demand, and of its main
/// weights.
struct PassOutcome {
  Verdict verdict = Verdict::unknown;
  std::vector<Message> causes;  ///< the terms that bind, the verdict's first; none when it fits
  Message lacking;              ///< what is not known of it: its numbers are lower bounds
  std::optional<std::int64_t> usable_bytes;
  std::optional<std::int64_t> loaded_bytes;
  std::optional<std::int64_t> offloaded_bytes;
  std::optional<std::int64_t> vram_peak_bytes;
  std::optional<std::int64_t> ram_peak_bytes;  ///< without pages of files, which can be given back
  std::int64_t ram_at_least_bytes = 0;         ///< the same, known or not
  /// Expected demand beyond the card: it spills, runs out of memory, or is retried in tiles.
  std::int64_t above_bytes = 0;
  Then then = Then::nothing;              ///< what that comes to
  std::int64_t ram_pinned_bytes = 0;      ///< of the RAM at the peak, page-locked
  std::int64_t ram_file_pages_bytes = 0;  ///< pages of files beside the peak, while they are read
  std::int64_t read_bytes = 0;
  std::optional<double> read_seconds;
  std::optional<double> stream_seconds;   ///< of one repeat
  std::optional<double> stall_seconds;    ///< of one repeat
  std::optional<double> compute_seconds;  ///< of one repeat
  std::optional<double> seconds;          ///< of the pass: reads, moves, stalls and compute
  int repeats = 1;
};

struct Outcome {
  Verdict verdict = Verdict::unknown;
  std::vector<Message> causes;  ///< of the worst pass, then of others that go above the card
  List<PassOutcome, PassIndex> passes;
  /// What is not known of the run. With some of it the verdict is unknown, and `known` is the
  /// verdict without it.
  std::vector<Message> lacking;
  Verdict known = Verdict::fits;
  PassIndex known_pass;  ///< the pass that `known` and, where the verdict is known, `causes` are of
  // Those of the passes of which they are known: where one is not, these are lower bounds.
  std::int64_t offloaded_bytes = 0;  ///< the most in one diffusion pass
  std::int64_t vram_peak_bytes = 0;
  std::int64_t ram_peak_bytes = 0;  ///< as in its passes
  bool ram_open = false;            ///< as in the timeline: no peak of RAM is known
  std::int64_t read_bytes = 0;
  double known_seconds = 0;       ///< of all that is known
  std::optional<double> seconds;  ///< of the whole run; nothing where a part is not known
};

/// Sums a timeline up, with a verdict per pass and for the run.
Outcome judge(const Passes& passes, const Timeline& timeline, const Machine& machine);

}  // namespace ebb
