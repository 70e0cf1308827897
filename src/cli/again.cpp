// SPDX-License-Identifier: Apache-2.0
// `ebb plan --again`: what a second queue runs, reads and holds after one value was changed.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/json_text.h"
#include "cli/plan_options.h"
#include "cli/print.h"
#include "ebb/bytes.h"
#include "ebb/ebb.h"

namespace ebb::cli {
namespace {

constexpr std::size_t kMostChanges = 12;

struct Change {
  std::string what;  // `seed`; empty: the first run, or nothing changed
  NodeIndex node = {};
  int input = -1;
};

struct Again {
  Change change;
  std::vector<std::string> ids;      // of the nodes that run
  std::vector<std::string> weights;  // that they use
  std::int64_t read_bytes = 0, moved_bytes = 0, ram_peak_bytes = 0;
  bool ram_open = false;  ///< as in the timeline
};

/// `seed`, `text`, `frames`, or nothing for inputs that people don't change from run to run.
std::string kind_of(const PromptNode& node, const PromptInput& input) {
  if (input.link || input.value.empty()) return {};
  if (input.name == "seed" || input.name == "noise_seed") return "seed";
  const bool encoder = std::ranges::any_of(
      node.inputs, [](const PromptInput& i) { return i.link && i.type == "CLIP"; });
  if (encoder && input.value.front() == '"' && (input.name == "text" || input.name == "prompt")) {
    return "text";
  }
  for (const char* name : {"length", "num_frames", "video_frames", "frames"}) {
    if (input.name == name) return "frames";
  }
  return {};
}

std::vector<Change> changes_of(const Prompt& prompt, const Order& order) {
  std::vector<Change> changes;
  for (const char* wanted : {"seed", "text", "frames"}) {
    for (const NodeIndex n : order.nodes) {
      const PromptNode& node = prompt.nodes[n];
      for (std::size_t i = 0; i < node.inputs.size() && changes.size() < kMostChanges; ++i) {
        if (kind_of(node, node.inputs[i]) == wanted) {
          changes.push_back({wanted, n, static_cast<int>(i)});
        }
      }
    }
  }
  return changes;
}

/// Any other value of the same kind.
Prompt with_another_value(Prompt prompt, const Change& change) {
  std::string& value = prompt.nodes[change.node].inputs[change.input].value;
  if (value.front() == '"') {
    value.insert(1, "another ");
  } else {
    value = value == "1" ? "2" : "1";
  }
  return prompt;
}

Again sum_up(Change change, const Passes& passes, const Timeline& timeline) {
  Again again;
  again.change = std::move(change);
  again.ram_open = timeline.ram_open;
  for (const StepIndex s : passes.steps.indices()) {
    again.ids.push_back(passes.steps[s].id);
    for (const WeightsIndex w : passes.steps[s].uses) {
      const std::string& name = passes.weights[w].name;
      if (std::ranges::find(again.weights, name) == again.weights.end()) {
        again.weights.push_back(name);
      }
    }
    const StepState& state = timeline.steps[s];
    again.read_bytes += state.read_bytes;
    again.moved_bytes += state.moved_bytes;
    again.ram_peak_bytes = std::max(again.ram_peak_bytes, state.ram_needed_bytes);
  }
  return again;
}

/// The first run, and then one second run per change; sizes stay those of the file.
Result<std::vector<Again>> play(const Prompt& prompt, const Machine& machine,
                                const PlanOptions& options) {
  WeightsSearch search = options.search;
  search.comfyui = machine.comfyui;
  search.memo = make_folder_memo();
  search.fp32_vaes = card_rules(machine).fp32_vaes;
  const auto find = [&](const WeightsRequest& request) { return find_weights(request, search); };
  const auto demand =
      estimate_demand(prompt, find, machine, options.sizes, find_media(options.media));
  if (!demand) return demand.error();
  const auto first = order_steps(prompt, machine.comfyui, {}, machine.flags.cache);
  if (!first) return first.error();
  const Passes passes = build_passes(prompt, *first, *demand);
  if (auto error = too_large(passes)) return *std::move(error);
  std::vector<Again> runs{sum_up({"first run"}, passes, simulate(passes, machine))};
  const std::int64_t ram_free =
      std::max<std::int64_t>(0, machine.ram_total.bytes - machine.ram_others.bytes);
  std::vector<Change> changes = changes_of(prompt, *first);
  changes.insert(changes.begin(), Change{"nothing"});
  for (const Change& change : changes) {
    const Prompt second = change.node < 0 ? prompt : with_another_value(prompt, change);
    const auto queue =
        run_queue({{&prompt, {}}, {&second, {}}}, machine.comfyui, machine.flags, ram_free);
    if (!queue) return queue.error();
    const Passes again = build_passes(second, queue->back().order, *demand);
    runs.push_back(sum_up(change, again, simulate_again(passes, again, machine)));
  }
  return runs;
}

/// `    runs 3, 6, 9`, wrapped between items.
std::string list(const std::string& label, const std::vector<std::string>& items) {
  constexpr std::size_t kColumns = 100, kIndent = 9;
  std::string text = "    " + label;
  std::size_t column = kIndent - 1;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string item = items[i] + (i + 1 < items.size() ? "," : "");
    if (column + 1 + item.size() > kColumns && column > kIndent) {
      text += "\n" + std::string(kIndent - 1, ' ');
      column = kIndent - 1;
    }
    text += ' ' + item;
    column += 1 + item.size();
  }
  return text + '\n';
}

std::string cache_name(const Machine& machine) {
  switch (cache_of(machine.comfyui, machine.flags)) {
    case CacheKind::lru: return fmt::format("LRU, {} results", machine.flags.cache_lru_entries);
    case CacheKind::none: return "none";
    case CacheKind::ram: return "as RAM allows";
    default: return "classic";
  }
}

std::string gib_or_dash(std::int64_t bytes) { return bytes > 0 ? format_gib(bytes) : "-"; }

std::string to_text(const std::string& file, const Prompt& prompt, const Machine& machine,
                    const std::vector<Again>& runs) {
  std::string text = fmt::format(
      "{}: queued again with one value changed\nComfyUI {}, node cache: {}\n\n",
      file.substr(file.find_last_of('/') + 1), to_string(machine.comfyui), cache_name(machine));
  std::size_t wide = 0;
  std::vector<std::string> labels;
  for (const Again& run : runs) {
    std::string label = run.change.what;
    if (run.change.node >= 0) {
      label += " of " + prompt.nodes[run.change.node].label();
    }
    wide = std::max(wide, label.size());
    labels.push_back(std::move(label));
  }
  text += fmt::format("  {:<{}}  nodes  from disk  over link  RAM peak\n", "change", wide);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const Again& run = runs[i];
    text += fmt::format("  {:<{}}  {:>5}  {:>9}  {:>9}  {:>8}\n", labels[i], wide,
                        run.ids.empty() ? "-" : std::to_string(run.ids.size()),
                        gib_or_dash(run.read_bytes), gib_or_dash(run.moved_bytes),
                        (run.ram_open ? ">" : "") + gib_or_dash(run.ram_peak_bytes));
    if (i == 0 || run.ids.empty()) continue;
    text += list("runs", run.ids);
    if (!run.weights.empty()) text += list("with", run.weights);
  }
  return text + "\nAssumed: the first run went to its end, and the files it named are unchanged.\n";
}

std::string to_json(const std::string& file, const Prompt& prompt, const Machine& machine,
                    const std::vector<Again>& runs) {
  const auto strings = [](const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ", ") + quoted(word);
    return "[" + text + "]";
  };
  std::string text = fmt::format(
      "{{\"schema\": \"ebb.again/1\", \"file\": {}, \"comfyui\": {}, \"cache\": {}, \"runs\": [",
      quoted(file), quoted(to_string(machine.comfyui)), quoted(cache_name(machine)));
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const Again& run = runs[i];
    std::string node = "null", input = "null";
    if (run.change.node >= 0) {
      const PromptNode& changed = prompt.nodes[run.change.node];
      node = quoted(changed.id);
      input = quoted(changed.inputs[run.change.input].name);
    }
    text += fmt::format(
        "{}\n  {{\"change\": {}, \"node\": {}, \"input\": {}, \"nodes\": {}, \"weights\": {}, "
        "\"read_bytes\": {}, \"moved_bytes\": {}, \"ram_peak_bytes\": {}}}",
        i ? "," : "", quoted(run.change.what), node, input, strings(run.ids), strings(run.weights),
        run.read_bytes, run.moved_bytes,
        run.ram_open ? "null" : std::to_string(run.ram_peak_bytes));
  }
  return text + "\n]}\n";
}

}  // namespace

int run_again(const PlanArguments& arguments, const PlanOptions& options) {
  const auto machine = resolve_machine(options.machine);
  if (!machine) return fail("plan", machine.error());
  const auto prompt = read_prompt(arguments.file, arguments.object_info, *machine);
  if (!prompt) return fail("plan", prompt.error());
  const auto runs = play(*prompt, *machine, options);
  if (!runs) return fail("plan", runs.error());
  const std::string file = shown_name(arguments.file);
  const std::string text = arguments.json ? to_json(file, *prompt, *machine, *runs)
                                          : to_text(file, *prompt, *machine, *runs);
  return arguments.json ? answer_as_is(text) : answer(text);
}

}  // namespace ebb::cli
