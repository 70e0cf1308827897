// SPDX-License-Identifier: Apache-2.0
// From places in the prompt to edits of the file's text: one way for UI graphs, one for prompts.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "demand/tiles.h"
#include "patch/cuts.h"
#include "patch/text_edits.h"
#include "workflow/graph.h"
#include "workflow/resolve.h"
#include "workflow/state.h"

namespace ebb {

struct FileEdits {
  TextEdits edits;  ///< with kRecordHere in one of them, unless they are empty
  std::vector<Change> changes;
  std::vector<std::string> refusals, notes;
  std::vector<std::size_t> shared;  ///< insertions put where several instances have them
};

/// `tiles`: ids (of the prompt) of VAEDecode nodes to be decoded in tiles.
struct FileWish {
  const Placement& placement;
  std::vector<std::string> tiles;
  std::int64_t id_floor = 0;  ///< new node ids are above it
  bool record = true;         ///< the first node holds kRecordHere
};

Result<FileEdits> edit_graph(const JsonDocument& document, const JsonValue& root,
                             const std::string& file, const FileWish& wish,
                             const ConvertOptions& options);
Result<FileEdits> edit_prompt(const JsonDocument& document, const JsonValue& root,
                              const FileWish& wish);

/// A prompt, and for every place a name that renumbering does not touch: the path of positions.
struct Converted {
  Prompt prompt;
  std::unordered_map<std::string, std::string> id_of_path;  ///< empty for prompts
};
Result<Converted> convert(const Workflow& workflow, const PromptOptions& options);

/// How `after` differs from `before` with nothing but our nodes on its links and our tiled
/// decoders; a sentence each, empty if it does not. REQUIRES: both are of one format.
std::vector<std::string> contract(const Converted& before, const Converted& after,
                                  const Placement& placement);

/// `"ebb":{...}`, the mark on a node of ours; the first one of a patch holds the record.
std::string mark_json(const std::string& fix, bool first, const std::string& was = {});

/// The largest whole number in an id: 215 in `5285:215`; 0 if there is none.
std::int64_t largest_in_id(std::string_view id);
std::int64_t largest_in_id(const JsonValue& id);

}  // namespace ebb
