// SPDX-License-Identifier: Apache-2.0
#include "cli/input.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "cli/print.h"
#include "ebb/run.h"

namespace ebb::cli {
namespace {

constexpr std::size_t kStdinMax = std::size_t{512} << 20;

Result<std::string> read_stdin() {
  std::string text, part(1 << 16, '\0');
  while (const std::size_t n = std::fread(part.data(), 1, part.size(), stdin)) {
    text.append(part, 0, n);
    if (text.size() > kStdinMax) {
      return input_error("has more than 536,870,912 bytes", "stdin", "",
                         "Is it the right input? A workflow is far smaller.");
    }
  }
  if (std::ferror(stdin) != 0) {
    return input_error("cannot be read", "stdin", "", "Give a file in place of -.");
  }
  return text;
}

/// `$XDG_CACHE_HOME/ebb`, else `~/.cache/ebb`; empty where there is no home.
std::string cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache == '/') {
    return std::string(cache) + "/ebb";
  }
  const char* home = std::getenv("HOME");
  return home && *home ? std::string(home) + "/.cache/ebb" : std::string();
}

}  // namespace

Result<Workflow> open_workflow(const std::string& file, WorkflowPart part) {
  if (file != "-") return read_workflow(file, part);
  auto text = read_stdin();
  if (!text) return std::move(text).error();
  return parse_workflow(std::move(*text), "stdin", part);
}

Result<std::optional<NodeDefinitions>> open_definitions(const std::string& file_or_url) {
  if (file_or_url.empty()) return std::optional<NodeDefinitions>();
  const bool address = file_or_url.find("://") != std::string::npos;
  auto read =
      address ? fetch_definitions(file_or_url, cache_folder()) : read_definitions(file_or_url);
  if (!read) return std::move(read).error();
  return std::optional<NodeDefinitions>(std::move(*read));
}

Result<PromptOptions> prompt_options(const std::string& version,
                                     const std::optional<NodeDefinitions>& definitions) {
  const auto comfyui = choose_comfyui(version);
  if (!comfyui) return comfyui.error();
  if (comfyui->checkout) say(to_string(*comfyui->checkout) + "\n");
  return ebb::prompt_options(comfyui->version, definitions ? &*definitions : nullptr);
}

Result<Prompt> read_prompt(const std::string& file, const std::string& object_info,
                           const Machine& machine) {
  const auto workflow = open_workflow(file);
  if (!workflow) return workflow.error();
  const auto definitions = open_definitions(object_info);
  if (!definitions) return definitions.error();
  return make_prompt(*workflow, *definitions ? &**definitions : nullptr, machine);
}

std::string shown_name(const std::string& file) { return file == "-" ? "stdin" : file; }

}  // namespace ebb::cli
