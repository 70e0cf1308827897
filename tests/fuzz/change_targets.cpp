// SPDX-License-Identifier: Apache-2.0
// What changes a workflow's text: patches, their way back, and other packs' cleanup nodes.
#include <cstdio>
#include <cstdlib>

#include "ebb/ebb.h"
#include "ebb/patch.h"
#include "ebb/run.h"
#include "tests/fuzz/targets.h"

namespace ebb::fuzz {
namespace {

/// What only a bug can cause is told as such, and ends the run.
void refuse(bool bad, const std::string& what) {
  if (!bad) return;
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

void check_error(const Error& error) {
  refuse(error.code == ErrorCode::internal || to_string(error).empty(), to_string(error));
}

}  // namespace

void undo_workflow(std::string_view bytes) {
  const auto workflow = parse_workflow(std::string(bytes), "fuzz.json");
  if (!workflow) return;
  const auto undone = undo_patch(*workflow);
  if (!undone) return check_error(undone.error());
  const auto left = parse_again(*workflow, undone->text);
  refuse(!left, "what undo leaves is no workflow");
  refuse(is_patched(*left), "a node of ours is left");
}

void patch_workflow(std::string_view bytes) {
  const auto workflow = parse_workflow(std::string(bytes), "fuzz.json");
  if (!workflow) return;
  PatchWish wish;
  wish.between_models = handover("UnloadModels");
  wish.tile_decode = true;
  const auto patch = make_patch(*workflow, wish);
  if (!patch) return check_error(patch.error());
  if (patch->changes_nothing() || is_patched(*workflow)) return;
  const auto patched = parse_again(*workflow, patch->text);
  refuse(!patched, "a patch is no workflow");
  const auto undone = undo_patch(*patched);
  refuse(!undone, "a patch can't be taken out");
  refuse(!undone->exact || undone->text != whole_text(*workflow), "undo gives another file");
  if (const auto svg = patch_svg(*workflow, *patched); !svg) check_error(svg.error());
}

void clean_workflow(std::string_view bytes) {
  const auto workflow = parse_workflow(std::string(bytes), "fuzz.json");
  if (!workflow || find_cleaners(*workflow).empty()) return;
  const auto text = remove_cleaners(*workflow);
  if (!text) return check_error(text.error());
  const auto left = parse_again(*workflow, *text);
  if (left) refuse(!find_cleaners(*left).empty(), "a cleanup node is left");
}

}  // namespace ebb::fuzz
