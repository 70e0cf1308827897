// SPDX-License-Identifier: Apache-2.0
// One report, four forms: text for a terminal, JSON for programs, SVG and HTML for people.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ebb/message.h"
#include "ebb/plan.h"

namespace ebb {

/// Everything `ebb plan` found out. Plain data: the forms below add nothing to it.
struct Report {
  std::string file;  ///< as the user gave it
  Trial trial;
  Prediction prediction;
  std::vector<std::string> order;  ///< node ids as ComfyUI executes them
  bool order_depends_on_outputs = false;
  std::vector<Fix> fixes;
  std::vector<SweepRow> table;
  std::optional<std::int64_t> largest_resident_frames;
  /// The best fix that changes the run, predicted: drawn under the picture on the same scale.
  std::optional<Prediction> after;
  Message after_title;
  std::vector<Message> notes;  ///< of the machine, the workflow and the order
};

/// A message in words: not yet a sentence, printable where its arguments are.
std::string say(const Message& message);
/// The same as a sentence.
std::string sentence(const Message& message);
/// Several, with `; ` between them.
std::string say(const std::vector<Message>& messages);

/// At most 100 columns; colour (only of the verdict) if asked.
std::string to_text(const Report& report, bool colour);
/// The object documented in docs/json.md, schema ebb.plan/1.
std::string to_json(const Report& report);
/// The picture alone.
std::string to_svg(const Report& report);
/// One self-contained page: the picture, then the same tables.
std::string to_html(const Report& report);

}  // namespace ebb
