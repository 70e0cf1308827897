// SPDX-License-Identifier: Apache-2.0
#include "cli/wish.h"

#include <fmt/format.h>

namespace ebb::cli {

void declare_wish(CLI::App& app, WishArguments& a) {
  app.add_option("--with", a.with,
                 "UnloadModels or EbbCut: this node at every switch from one diffusion model to "
                 "another, whatever the plan says");
  app.add_option("--comfyui", a.plan.comfyui, "ComfyUI's version, such as 0.3.73");
}

Result<Done> check_wish(const WishArguments& a) {
  if (!a.with.empty() && !pass_node(a.with)) {
    return usage_error(fmt::format("--with: \"{}\" is no node that Ebb puts between passes", a.with),
                       "It is UnloadModels or EbbCut.");
  }
  const auto options = understand(a.plan);
  return options ? Result<Done>(Done{}) : options.error();
}

Result<Wish> make_wish(const WishArguments& a, const Workflow&) {
  Wish wish;
  const auto options = understand(a.plan);
  if (!options) return options.error();
  if (options->machine.comfyui) wish.version = *options->machine.comfyui;
  if (!a.with.empty()) {
    wish.wish.between_models = pass_node(a.with);
    return wish;
  }
  return wish;
}

}  // namespace ebb::cli
