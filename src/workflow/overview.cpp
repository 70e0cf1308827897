// SPDX-License-Identifier: Apache-2.0
// What is in a workflow file, counted for people.
#include <algorithm>
#include <map>

#include "base/text.h"
#include "json/write.h"
#include "workflow/js_value.h"
#include "workflow/state.h"

namespace ebb {
namespace {

constexpr std::string_view kModelEndings[] = {".safetensors", ".sft", ".gguf", ".ckpt", ".pt",
                                              ".pth",         ".bin", ".onnx", ".pkl"};
constexpr std::size_t kNameMax = 1'000;  // longer texts are prompts, not file names
constexpr std::size_t kModelsMax = 100'000;
constexpr std::size_t kNodeNameMax = 200;

using Counts = std::map<std::string, std::int64_t>;

/// By count, then by name.
std::vector<NameCount> sorted(const Counts& counts) {
  std::vector<NameCount> list;
  for (const auto& [name, count] : counts) list.push_back({name, count});
  std::ranges::stable_sort(list, std::greater(), &NameCount::count);
  return list;
}

bool names_model(std::string_view text) {
  if (text.size() > kNameMax) return false;
  return std::ranges::any_of(kModelEndings, [&](std::string_view ending) {
    return text.size() > ending.size() &&
           equal_ignoring_case(text.substr(text.size() - ending.size()), ending);
  });
}

std::string label(const GraphNode& node) { return "node " + node.id + " " + node.type; }

class Describer {
 public:
  explicit Describer(Overview& overview) : overview_(overview) {}

  void describe(GraphSet& set) {
    add_graph(set, set.root);
    for (Graph& graph : set.definitions) add_graph(set, graph);
    overview_.classes = sorted(classes_);
    overview_.canvas_only = sorted(canvas_);
    overview_.subgraphs = sorted(subgraphs_);
    overview_.packs = sorted(packs_);
    overview_.unknown = sorted(unknown_);
  }

  void describe(const Prompt& prompt) {
    for (const PromptNode& node : prompt.nodes) {
      ++overview_.nodes;
      ++classes_[node.class_type];
      if (!node.known) ++unknown_[node.class_type];
      for (const PromptInput& input : node.inputs) {
        overview_.links += input.link.has_value();
        const auto text = input.text();
        if (text && names_model(*text)) add_model({*text, node.id, node.class_type, input.name});
      }
    }
    overview_.classes = sorted(classes_);
    overview_.unknown = sorted(unknown_);
  }

 private:
  void add_graph(GraphSet& set, const Graph& graph) {
    overview_.links += static_cast<std::int64_t>(graph.links.size());
    for (const GraphNode& node : graph.nodes) {
      ++overview_.nodes;
      if (node.muted()) overview_.muted.push_back(label(node));
      if (node.bypassed()) overview_.bypassed.push_back(label(node));
      add_pack(node);
      if (node.role == NodeRole::instance) {
        ++subgraphs_[set.definitions[std::size_t(node.definition_graph)].name];
      } else if (node.role != NodeRole::ordinary) {
        ++canvas_[node.type];
      } else if (!node.muted() && !node.bypassed()) {
        ++classes_[node.type];
        if (!node.definition) ++unknown_[node.type];
        add_models(node);
      }
    }
  }

  void add_pack(const GraphNode& node) {
    const JsonValue properties = node.json.find("properties");
    std::string pack = properties.find("cnr_id").text_or("");
    if (pack.empty()) pack = properties.find("aux_id").text_or("");
    if (!pack.empty() && pack != "comfy-core") ++packs_[pack];
  }

  /// Values with names, and those that nobody names.
  void add_models(const GraphNode& node) {
    for (const Widget& widget : node.widgets) {
      if (!widget.value || widget.value->size() > kNameMax) continue;
      const std::string text = model_in(*widget.value);
      if (names_model(text)) add_model({text, node.id, node.type, widget.name});
    }
    if (node.unnamed_from < 0) return;
    int place = 0;
    for (const JsonValue value : node.json.find("widgets_values")) {
      if (place++ < node.unnamed_from || !value.is_string()) continue;
      if (names_model(value.string())) add_model({value.string(), node.id, node.type, ""});
    }
  }

  /// The file's name in a widget's value: a text, or an object such as rgthree's LoRA rows.
  static std::string model_in(const std::string& value) {
    if (value.starts_with('"')) return json_unquote(value);
    if (!value.starts_with('{')) return {};
    const auto document = JsonDocument::parse(value);
    return document ? document->root().find("lora").text_or("") : std::string();
  }

  void add_model(NamedModel model) {
    // A node of many models names itself with each of them.
    for (std::string* name : {&model.node, &model.class_type, &model.input}) {
      *name = cut_text(*name, kNodeNameMax);
    }
    if (overview_.models.size() < kModelsMax) overview_.models.push_back(std::move(model));
  }

  Overview& overview_;
  Counts classes_, canvas_, subgraphs_, packs_, unknown_;
};

std::string format_of(const Workflow::State& state) {
  std::string format = "API prompt";
  if (state.format == WorkflowFormat::ui_graph) {
    const JsonValue version = state.root.find("version");
    format = "UI graph";
    if (version.is_number()) format += " " + js_text(version);
  }
  if (!state.carrier.empty()) format += " in " + state.carrier;
  return format;
}

void keep(const Result<Prompt>& prompt, Overview& overview) {
  if (!prompt) {
    overview.refused = prompt.error();
    return;
  }
  overview.sent = static_cast<std::int64_t>(prompt->nodes.size());
  overview.uncertain = prompt->uncertain;
  for (const Refusal& refusal : prompt->refused) {
    overview.faults.push_back(prompt->find(refusal.node)->label() + ": " + refusal.why);
  }
}

}  // namespace

Overview describe(const Workflow& workflow, const PromptOptions& options) {
  const auto& state = workflow.state();
  const ConvertOptions convert{.version = options.version,
                               .definitions = options.definitions,
                               .repair = options.repair,
                               .version_assumed = options.version_assumed,
                               .input_bytes = state.input_bytes};
  Overview overview;
  overview.format = format_of(state);
  if (state.format == WorkflowFormat::api_prompt) {
    const auto prompt = read_api_prompt(state.root, state.file, convert);
    keep(prompt, overview);
    if (prompt) Describer(overview).describe(*prompt);
    return overview;
  }
  auto set = read_ui_graph(state.root, state.file, convert);
  if (!set) {
    overview.refused = set.error();
    return overview;
  }
  Describer(overview).describe(*set);
  keep(convert_set(*set, convert), overview);
  return overview;
}

}  // namespace ebb
