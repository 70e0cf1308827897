// SPDX-License-Identifier: Apache-2.0
// From graph to prompt, as the front end does it; docs/reading.md has the rules.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"
#include "json/write.h"
#include "workflow/js_value.h"
#include "workflow/resolve.h"
#include "workflow/state.h"
#include "workflow/texts.h"

namespace ebb {
namespace {

constexpr std::size_t kOutputsMax = 1'000;  // of one node that are taken from the file
constexpr std::size_t kLeftOutMax = 1'000;  // values of one node that are listed one by one

const char* computed_doubt(const GraphNode& node, const Widget& widget);

class Converter {
 public:
  Converter(GraphSet& set, const PlacedGraph& placed, const ConvertOptions& options)
      : set_(set),
        placed_(placed),
        resolver_(set, placed),
        names_(set),
        repair_(options.repair),
        assumed_(options.version_assumed) {
    later_.all = set.age == Age::later;
  }

  Result<Prompt> run(NodeFinder finder);
  const Later& later() const { return later_; }

 private:
  std::vector<bool> sent_places() const;
  std::optional<Error> add_node(int place);
  void add_widgets(const GraphNode& node, PromptNode& out);
  std::optional<Error> add_links(int place, const GraphNode& node);
  std::string sent_value(const GraphNode& node, const Widget& widget, const std::string& label);
  void doubt(const std::string& input, std::string why) { doubts_[input] = std::move(why); }
  std::vector<Uncertain> take_doubts(const GraphNode& node, const PromptNode& out);
  void put(PromptInput input);
  void note(std::string text);
  void drop_dangling();
  void guess_starts();
  void order_nodes();
  void note_unknown();

  GraphNode& node_at(const PlacedNode& place) {
    return set_.graph(place.graph).nodes[std::size_t(place.node)];
  }

  GraphSet& set_;
  const PlacedGraph& placed_;
  Resolver resolver_;
  NameReplacer names_;
  bool repair_, assumed_;
  Prompt prompt_;
  Later later_;
  InputList inputs_;                                   ///< of the node in the making
  std::map<std::string, std::string> doubts_;          ///< of the node in the making: input -> why
  List<std::vector<Uncertain>, NodeIndex> uncertain_;  ///< per node of the prompt

  struct Unknown {
    std::vector<std::string> ids;
    bool by_place = false, by_pack = false, left_out = false, starts = false;
  };
  std::map<std::string, Unknown> unknown_;
  std::map<std::string, std::vector<std::string>> newer_;  ///< class -> node ids
};

/// Virtual, muted and bypassed nodes are not sent. What is inside a muted or bypassed instance is
/// not sent either, if that instance is in the root.
std::vector<bool> Converter::sent_places() const {
  std::vector<bool> open(placed_.places.size(), true), sent(placed_.places.size());
  for (std::size_t i = 0; i < placed_.places.size(); ++i) {
    const PlacedNode& place = placed_.places[i];
    const GraphNode& node = set_.graph(place.graph).nodes[std::size_t(place.node)];
    const bool off = node.muted() || node.bypassed();
    const bool inside = place.parent < 0 || open[std::size_t(place.parent)];
    open[i] = inside && !(off && place.parent < 0);
    sent[i] = inside && !off && node.role == NodeRole::ordinary;
  }
  return sent;
}

Result<Prompt> Converter::run(NodeFinder finder) {
  const auto sent = sent_places();
  prompt_.notes = std::move(set_.notes);
  for (std::size_t i = 0; i < placed_.places.size(); ++i) {
    if (!sent[i]) continue;
    if (auto error = add_node(static_cast<int>(i))) return std::move(*error);
    if (set_.allowance.spent()) return Allowance::error(set_.file);
  }
  drop_dangling();
  guess_starts();
  order_nodes();
  note_unknown();
  settle_match_types(prompt_, finder);
  drop_misfits(prompt_, finder);
  return std::move(prompt_);
}

/// What goes into the prompt is there once more for every instance of a subgraph, and a value for
/// every widget that it drives: all of it counts.
void Converter::put(PromptInput input) {
  const std::size_t texts = input.name.size() + input.type.size() + input.value.size();
  const std::size_t link = input.link ? input.link->node.size() : 0;
  if (set_.allowance.hold(sizeof input + texts + link)) inputs_.put(std::move(input));
}

void Converter::note(std::string text) {
  if (set_.allowance.hold(sizeof text + text.size())) prompt_.notes.push_back(std::move(text));
}

/// Outputs that the file has beyond the definition: it was saved with a later one.
bool add_later_outputs(const GraphNode& node, PromptNode& out) {
  const std::size_t known = out.output_types.size();
  std::size_t place = 0;
  for (const JsonValue output : node.json.find("outputs")) {
    if (place++ < out.output_types.size()) continue;
    if (place > kOutputsMax) break;
    out.output_types.push_back(output.find("type").text_or(""));
  }
  return out.output_types.size() > known;
}

std::optional<Error> Converter::add_node(int at) {
  const PlacedNode& place = placed_.places[std::size_t(at)];
  const GraphNode& node = node_at(place);
  PromptNode out;
  out.id = place.id;
  out.class_type = node.type;
  out.title = node.title;
  out.output_types = node.output_types;
  if (node.definition) {
    out.known = true;
    out.output_node = node.definition->output_node;
    if (out.title.empty()) out.title = node.definition->display_name;
    const bool more = add_later_outputs(node, out) && assumed_;
    if (more || (node.later && set_.age != Age::fits)) later_.nodes.insert(out.id);
    if (node.definition->newer) newer_[node.type].push_back(out.id);
  }
  if (out.title.empty()) out.title = node.type;
  const auto links = std::ranges::count_if(node.inputs, [](const Socket& socket) {
    return socket.widget < 0 && socket.link != kNoLink;
  });
  if (auto error = check_id(out, set_.file)) return error;
  inputs_.start(out.inputs, node.widgets.size() + std::size_t(links));
  doubts_.clear();
  if (node.type == "WebcamCapture" && !repair_) {
    return input_error("takes its picture from a camera when it is queued, and none is in the file",
                       set_.file, out.label(), "Replace it by LoadImage, or bypass it.");
  }
  add_widgets(node, out);
  if (auto error = add_links(at, node)) return error;
  auto uncertain = take_doubts(node, out);
  std::size_t bytes = sizeof out + 2 * out.id.size() + out.class_type.size() + out.title.size();
  for (const std::string& type : out.output_types) bytes += sizeof type + type.size();
  set_.allowance.hold(bytes);
  if (!node.definition) {
    Unknown& unknown = unknown_[node.type];
    unknown.ids.push_back(out.id);
    unknown.by_place |= node.values == Values::by_place;
    unknown.by_pack |= node.values == Values::by_pack;
    unknown.left_out |= node.unnamed_from >= 0;
  }
  const auto [found, fresh] = prompt_.index.try_emplace(out.id, prompt_.nodes.end_index());
  if (fresh) {
    prompt_.nodes.push_back(std::move(out));
    uncertain_.push_back(std::move(uncertain));
  } else {
    note(out.label() + " stands twice in the file; the last one is taken.");
    prompt_.nodes[found->second] = std::move(out);
    uncertain_[found->second] = std::move(uncertain);
  }
  return std::nullopt;
}

/// What is uncertain of a node that is finished, in the order of its inputs.
std::vector<Uncertain> Converter::take_doubts(const GraphNode& node, const PromptNode& out) {
  std::vector<Uncertain> list;
  const auto add = [&](std::string input, std::string why) {
    Uncertain entry{out.id, std::move(input), std::move(why)};
    const std::size_t texts = entry.node.size() + entry.input.size() + entry.why.size();
    if (set_.allowance.hold(sizeof entry + texts)) list.push_back(std::move(entry));
  };
  if (node.definition && node.definition->newer) {
    add("", "the class came later than the wanted ComfyUI; its later definition is used");
  }
  if (!doubts_.empty()) {
    for (const PromptInput& input : out.inputs) {
      const auto at = doubts_.find(input.name);
      if (at == doubts_.end()) continue;
      add(input.name, std::move(at->second));
      doubts_.erase(at);
    }
    for (auto& [input, why] : doubts_) add(input, std::move(why));
  }
  if (node.unnamed_from < 0) return list;
  const std::size_t count =
      std::min<std::size_t>(node.json.find("widgets_values").size(), kLeftOutMax);
  for (auto i = std::size_t(node.unnamed_from); i < count; ++i) {
    add(fmt::format("widgets_values[{}]", i), "left out: the class is unknown, nothing names it");
  }
  return list;
}

/// A node of an unknown class that reads something and that nobody reads is taken for one that
/// ComfyUI starts from: savers of packs often have outputs.
void Converter::guess_starts() {
  std::unordered_set<std::string_view> read;
  for (const PromptNode& node : prompt_.nodes) {
    for (const PromptInput& input : node.inputs) {
      if (input.link) read.insert(input.link->node);
    }
  }
  for (PromptNode& node : prompt_.nodes) {
    const bool linked = std::ranges::any_of(node.inputs, [](const auto& in) { return !!in.link; });
    if (node.known || !linked || read.contains(node.id)) continue;
    node.output_node = true;
    unknown_[node.class_type].starts = true;
  }
}

/// The types that the file gives the sockets of widgets.
std::vector<std::string> widget_types(const GraphNode& node) {
  std::vector<std::string> types(node.widgets.size());
  for (const Socket& socket : node.inputs) {
    if (socket.widget >= 0) types[std::size_t(socket.widget)] = socket.type;
  }
  return types;
}

void Converter::add_widgets(const GraphNode& node, PromptNode& out) {
  std::vector<std::string> types;
  if (!node.definition) types = widget_types(node);
  for (std::size_t i = 0; i < node.widgets.size(); ++i) {
    const Widget& widget = node.widgets[i];
    if (!widget.sent || widget.name.empty()) continue;
    PromptInput input;
    input.name = widget.name;
    if (widget.definition) input.type = input_type(*widget.definition);
    input.lazy = widget.definition && widget.definition->lazy;
    if (!node.definition) input.type = types[i];
    const char* why = widget.doubt ? widget.doubt : computed_doubt(node, widget);
    if (why) doubt(widget.name, why);
    if (widget.value) {
      input.value = sent_value(node, widget, out.label());
    } else if (widget.definition && widget.definition->long_default && !widget.in_file) {
      note(out.label() + ": the default text of its input \"" + cut_text(widget.name) +
           "\" is not in Ebb's table; the input is left out. --object-info of a server has it.");
      doubt(widget.name, "left out: its default text is not in Ebb's table");
      continue;
    } else {
      const bool combo = widget.definition && widget.definition->type == "COMBO";
      doubt(widget.name, combo && !widget.in_file
                             ? "left out: its default is the first entry of the server's list"
                             : "left out: the file has no value for it");
      continue;  // JavaScript's undefined vanishes
    }
    put(std::move(input));
  }
}

/// What the front end computes from things that are not in the file.
const char* computed_doubt(const GraphNode& node, const Widget& widget) {
  const std::string &type = node.type, &name = widget.name;
  if (widget.definition && widget.definition->type == "LOAD_3D") {
    return "a view that the front end renders";
  }
  if (type == "LoadAudio" && name == "audioUI") return "an address with a random number";
  if (type == "LoadImageOutput" && name == "image") {
    return "the newest picture of the output folder";
  }
  if (type == "WebcamCapture" && name == "image") return "a picture that the camera takes";
  if (type == "RecordAudio" && name == "audio") return "a recording that the front end makes";
  return nullptr;
}

/// The widget's value as it leaves: lists are wrapped, so that they are no links.
std::string Converter::sent_value(const GraphNode& node, const Widget& widget,
                                  const std::string& label) {
  const std::string& value = *widget.value;
  if (widget.definition && widget.definition->type == "CURVE" && value != "null") {
    return "{\"__type__\":\"CURVE\",\"__value__\":" + value + "}";
  }
  if (value.starts_with('[')) return "{\"__value__\":" + value + "}";
  if (!value.starts_with('"') || !node.definition) return value;
  if (widget.definition && widget.definition->dynamic_prompts) {
    bool chosen = false;
    std::string plain = plain_prompt(js_string(value), &chosen);
    if (chosen) {
      note(label + ": of each {a|b} in \"" + cut_text(widget.name) +
           "\" the first is taken; ComfyUI takes a random one.");
      doubt(widget.name, kDoubtChosen);
    }
    return json_quote(plain);
  }
  if (widget.name == "filename_prefix" && replaces_prefix(node.type) &&
      value.find('%') != value.npos) {
    const char* why = nullptr;
    std::string replaced = json_quote(names_.replace(js_string(value), &why));
    if (why) doubt(widget.name, why);
    return replaced;
  }
  return value;
}

std::optional<Error> Converter::add_links(int place, const GraphNode& node) {
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Socket& socket = node.inputs[i];
    if (socket.link == kNoLink) continue;
    const auto source = resolver_.resolve(place, i);
    if (!source && !repair_) return source.error();
    if (!source) {
      const std::string& id = placed_.places[std::size_t(place)].id;
      note(fmt::format("node {} {}: the link into its input \"{}\" is dropped, because {}.",
                       cut_text(id), cut_text(node.type), cut_text(socket.name),
                       source.error().message));
      doubt(socket.name, "its link was dropped: " + source.error().message);
      continue;
    }
    PromptInput input;
    input.name = socket.name;
    input.type = socket.type;
    input.lazy = socket.lazy;
    if (source->kind == Source::Kind::link) {
      const PlacedNode& origin = placed_.places[std::size_t(source->place)];
      input.link = Link{origin.id, source->slot};
      doubts_.erase(socket.name);
    } else if (source->kind == Source::Kind::widget && source->widget->value) {
      const std::string& value = *source->widget->value;
      input.value = value.starts_with('[') ? "{\"__value__\":" + value + "}" : value;
      doubts_.erase(socket.name);
      if (source->widget->doubt) {
        doubt(socket.name, source->widget->doubt);
      } else if (!node.definition) {
        doubt(socket.name, kDoubtNamed);
      }
    } else {
      continue;
    }
    if (node.definition) {
      if (const InputDefinition* declared = find_input(*node.definition, socket.name)) {
        input.type = input_type(*declared);
      }
    }
    put(std::move(input));
  }
  return std::nullopt;
}

/// Links to nodes that are not sent vanish together with their keys.
void Converter::drop_dangling() {
  for (PromptNode& node : prompt_.nodes) {
    std::erase_if(node.inputs, [&](const PromptInput& input) {
      return input.link && prompt_.position(input.link->node) < 0;
    });
  }
}

/// JavaScript lists keys that look like array indices first, ascending.
void Converter::order_nodes() {
  std::vector<std::pair<std::uint64_t, NodeIndex>> keys;
  for (const NodeIndex i : prompt_.nodes.indices()) {
    const auto index = js_array_index(prompt_.nodes[i].id);
    keys.emplace_back(index ? std::uint64_t(*index) : ~0ULL, i);
  }
  std::ranges::sort(keys);
  List<PromptNode, NodeIndex> ordered;
  ordered.reserve(keys.size());
  for (const auto& [key, i] : keys) {
    ordered.push_back(std::move(prompt_.nodes[i]));
    std::ranges::move(uncertain_[i], std::back_inserter(prompt_.uncertain));
  }
  prompt_.nodes = std::move(ordered);
  index_nodes(prompt_);
}

std::string list_of(const std::vector<std::string>& ids) {
  constexpr std::size_t kShown = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(ids.size(), kShown); ++i) {
    text += (i ? ", " : "") + cut_text(ids[i]);
  }
  if (ids.size() > kShown) text += fmt::format(" and {} more", ids.size() - kShown);
  return text;
}

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : "; ") + part;
  return text;
}

/// One sentence for each kind of guess, with all classes it concerns.
void Converter::note_unknown() {
  std::vector<std::string> all, by_place, by_pack, left_out, starts, newer;
  for (const auto& [type, unknown] : unknown_) {
    const std::string name = cut_text(type);
    all.push_back(fmt::format("{} (node {})", name, list_of(unknown.ids)));
    if (unknown.by_place) by_place.push_back(name);
    if (unknown.by_pack) by_pack.push_back(name);
    if (unknown.left_out) left_out.push_back(name);
    if (unknown.starts) starts.push_back(name);
  }
  for (const auto& [type, ids] : newer_) {
    newer.push_back(fmt::format("{} (node {})", type, list_of(ids)));
  }
  const auto note = [&](const char* what, const std::vector<std::string>& classes) {
    if (!classes.empty()) prompt_.notes.push_back(what + join(classes) + ".");
  };
  note("Classes that Ebb does not know: ", all);
  note("Values named by the order of the node's sockets, which is a guess: ", by_place);
  note("Values named as other files name them for the class, which is a guess: ", by_pack);
  note("Values left out, because the file does not name them: ", left_out);
  note("Unknown classes without outputs, taken for nodes that ComfyUI starts from: ", starts);
  note("Classes newer than the wanted ComfyUI, for which their later definition is used: ", newer);
}

}  // namespace

Result<Prompt> convert_graph(const JsonValue& root, const std::string& file,
                             const ConvertOptions& options) {
  auto set = read_ui_graph(root, file, options);
  if (!set) return std::move(set).error();
  return convert_set(*set, options);
}

Result<Prompt> convert_set(GraphSet& set, const ConvertOptions& options) {
  const auto placed = place_nodes(set);
  if (!placed) return placed.error();
  apply_primitives(set, *placed);
  if (set.allowance.spent()) return Allowance::error(set.file);
  Converter converter(set, *placed, options);
  auto prompt = converter.run(NodeFinder(options.version, options.definitions));
  if (prompt) find_refusals(*prompt, options, converter.later());
  return prompt;
}

}  // namespace ebb
