// SPDX-License-Identifier: Apache-2.0
// A patch is the edits that put a plan into a workflow: nodes on links, other node classes, the
// order of an API node's inputs. Bytes that no edit concerns stay as they are, and a patch can be
// taken out again. docs/patch.md explains every kind of edit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ebb/pass.h"
#include "ebb/workflow.h"

namespace ebb {

/// A node of Ebb's pack that hands on what it gets.
struct Handover {
  std::string class_type;  ///< `UnloadModels`
  std::string title;
  std::string input;                                         ///< `anything`, `model`
  std::string type = "*";                                    ///< of its input and output
  std::vector<std::pair<std::string, std::string>> widgets;  ///< name, value as JSON text
  int sockets = 1;                                           ///< its inputs that are no widgets
};

/// Ebb's node of this class with its default values; nothing if it has none that hands on.
std::optional<Handover> handover(std::string_view class_type);

/// Steps between which a node shall run, and after which of them; ids of the prompt.
struct CutWish {
  Handover node;
  std::string fix;                 ///< id of the fix it belongs to
  std::vector<std::string> after;  ///< all of these have run
};

/// A sampler that shall get its model through a node.
struct BudgetWish {
  Handover node;
  std::string fix;
  std::string sampler;  ///< id of the prompt
};

/// What a patch shall put into a workflow.
struct PatchWish {
  std::optional<Handover> between_models;  ///< at every switch from one diffusion model to another
  std::vector<CutWish> cuts;
  std::vector<BudgetWish> budgets;
  bool tile_decode = false;  ///< every VAEDecode becomes VAEDecodeTiled
};

/// One change in the words of the workflow.
struct Change {
  std::string kind;   ///< `add`, `link`, `class`, `inputs`
  std::string node;   ///< id of the node it is about, as in the file
  std::string words;  ///< a phrase: `between 57 KSamplerAdvanced and 58 KSamplerAdvanced (LATENT)`
  std::string fix;    ///< id of the fix it belongs to; `with` for --with
};

/// A span of the file and what stands there afterwards.
struct Span {
  std::int64_t offset = 0;  ///< in the file's text
  std::string removed, inserted;
};

struct Patch {
  std::string text;  ///< the whole file afterwards; the same as before if nothing changes
  std::vector<Change> changes;
  std::vector<Span> spans;            ///< ascending
  std::vector<std::string> refusals;  ///< what was wanted and is not done, whole sentences with why
  std::vector<std::string> notes;     ///< what the reader should know of what is done
  int switches = 0;                   ///< from one diffusion model to another, in the usual order
  std::string why_none;               ///< several are loaded and nothing switches: a sentence

  bool changes_nothing() const { return spans.empty(); }
};

/// Puts a wish into a workflow. A part that can't be done right is refused with its reason, the
/// rest is done. What is there already stays as it is, so that patching twice is patching once.
/// The prompt of the result is checked to be the prompt of the workflow with nothing but our nodes
/// on its links. Errors: a workflow whose prompt the front end refuses; a failed check (internal).
Result<Patch> make_patch(const Workflow& workflow, const PatchWish& wish,
                         const PromptOptions& options = PromptOptions());

/// The canvas around the nodes of a patch, before and after, as one SVG picture; of a prompt, which
/// has no canvas, its nodes in a row. Errors: nothing changed.
Result<std::string> patch_svg(const Workflow& before, const Workflow& after);

/// A file without Ebb's nodes.
struct Undone {
  std::string text;
  int nodes = 0;       ///< that were taken out or changed back
  bool exact = false;  ///< byte for byte the file before Ebb changed it
  std::vector<std::string> notes;
};

/// Takes Ebb's nodes out of a file's text: byte for byte where the file is as Ebb wrote it, else
/// node by node, each link going where it would without them. Errors: no workflow; none of ours.
Result<Undone> undo_patch(const Workflow& workflow);

/// A node of a pack that is there to free memory.
struct Cleaner {
  std::string node, class_type;
  std::string pack;
  std::string does;  ///< what its code does, a phrase
  std::string here;  ///< what its settings or its place change about that; may be empty
  bool switched_off = false;
};

/// The nodes of other packs in a file that are there to free memory, in the file's order.
std::vector<Cleaner> find_cleaners(const Workflow& workflow);

/// The file without these nodes (all of find_cleaners, or those named): what they got goes on to
/// where their outputs went. Errors: an output that has no input of its own is in use.
Result<std::string> remove_cleaners(const Workflow& workflow,
                                    const std::vector<std::string>& nodes = {});

/// The file's text before Ebb changed it, where it is still as Ebb wrote it.
std::optional<std::string> original_text(const Workflow& workflow);

/// Whether a file's text holds nodes that Ebb put there.
bool is_patched(const Workflow& workflow);

/// The whole text of the JSON that a workflow was read from.
std::string_view whole_text(const Workflow& workflow);

}  // namespace ebb
