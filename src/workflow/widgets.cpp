// SPDX-License-Identifier: Apache-2.0
// The widgets of a freshly made node, and how saved values are given to them: in order, to the
// widgets that take a place in the saved list, whatever their names and types.
#include <algorithm>
#include <iterator>

#include "json/write.h"
#include "workflow/graph.h"
#include "workflow/js_value.h"

namespace ebb {
namespace {

constexpr std::size_t kNamesMax = 1'000;  // of one node's values; each is looked for among all

bool is_falsy(const std::string& text) {
  return text == "\"\"" || text == "null" || text == "false" || text == "0" || text == "[]";
}

std::optional<std::string> initial_value(const InputDefinition& input) {
  if (input.long_default) return std::nullopt;
  if (input.dynamic_combo) {
    if (input.initial) return input.initial;
    return input.options.empty() ? std::nullopt : std::optional('"' + input.options[0].first + '"');
  }
  if (input.type == "COMBO") {
    return input.initial && !is_falsy(*input.initial) ? input.initial : input.first;
  }
  if (input.initial) return input.initial;
  if (input.type == "COLOR") return "\"#000000\"";
  if (input.type == "BOOLEAN") return "false";
  const std::string& type = input.widget_type.empty() ? input.type : input.widget_type;
  return type == "INT" || type == "FLOAT" ? "0" : "\"\"";
}

/// Whether the front end adds the widget that changes a seed after each run.
bool has_control(const InputDefinition& input, const std::string& full_name) {
  if (input.control) return *input.control && !input.dynamic_combo;
  return input.type == "INT" && (full_name == "seed" || full_name == "noise_seed");
}

Widget extra(std::string name, std::string value, bool saved, bool sent) {
  Widget widget;
  widget.name = std::move(name);
  widget.value = std::move(value);
  widget.saved = saved;
  widget.sent = sent;
  return widget;
}

void append(const InputDefinition& input, const std::string& prefix, std::vector<Widget>& widgets);

/// The inputs that a dynamic combo's chosen key brings along.
void append_chosen(const InputDefinition& input, const std::string& full_name,
                   const std::optional<std::string>& key, std::vector<Widget>& widgets) {
  if (!key || !key->starts_with('"')) return;
  const std::string text = js_string(*key);
  for (const auto& [option, members] : input.options) {
    if (option != text) continue;
    for (const InputDefinition& member : members) append(member, full_name + ".", widgets);
    return;
  }
}

void append(const InputDefinition& input, const std::string& prefix, std::vector<Widget>& widgets) {
  if (!input.has_widget()) return;
  Widget widget;
  widget.name = prefix + input.name;
  widget.value = initial_value(input);
  widget.definition = &input;
  const std::string name = widget.name;
  const auto value = widget.value;
  widgets.push_back(std::move(widget));
  if (input.dynamic_combo) append_chosen(input, name, value, widgets);
  if (!has_control(input, name)) return;
  widgets.push_back(extra("control_after_generate", "\"randomize\"", true, false));
  if (input.type == "COMBO") widgets.push_back(extra("control_filter_list", "\"\"", true, false));
}

/// The saved values as a list. An object is read by index, as the front end does: its own keys
/// play no part, so that every widget's value is gone unless it has `length`.
struct SavedValues {
  std::vector<JsonValue> values;
  bool endless = false;  ///< without a length every widget reads something
};

SavedValues saved_values(const JsonValue& json) {
  SavedValues saved;
  if (json.is_array()) {
    saved.values = elements_of(json);
  } else if (json.is_object()) {
    const auto length = json.find("length").integer();
    saved.endless = !length;
    for (std::int64_t i = 0; i < std::clamp<std::int64_t>(length.value_or(256), 0, 256); ++i) {
      saved.values.push_back(json.find(std::to_string(i)));
    }
  }
  return saved;
}

/// Lists of old files have a place for inputs that have no widget any more (forceInput). They are
/// taken out where the list's length says that all of them are there.
void drop_forced_places(const GraphNode& node, std::vector<JsonValue>& values) {
  std::vector<bool> forced;
  bool any = false;
  for (const InputDefinition& input : node.definition->inputs) {
    if (!input.force_input && !input.has_widget()) continue;
    forced.push_back(input.force_input);
    if (input.control.value_or(false)) forced.push_back(false);
    any |= input.force_input;
  }
  if (!any || forced.size() != values.size()) return;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!forced[i]) values[kept++] = values[i];
  }
  values.resize(kept);
}

/// A text area holds texts alone; until 1.48 the front end sent what was saved.
std::string as_text(const std::string& value, const FrontEnd& front_end) {
  if (value == "null") return "\"\"";
  return value.starts_with('"') || !front_end.recent ? value : json_quote(js_string(value));
}

/// Gives one saved value to a widget.
void assign(Widget& widget, const JsonValue& saved, const GraphNode& node,
            const FrontEnd& front_end) {
  widget.value = saved.exists() ? std::optional(js_text(saved)) : std::nullopt;
  widget.in_file = true;
  widget.doubt = js_rounds(saved) ? kDoubtRounded : nullptr;
  const InputDefinition* input = widget.definition;
  if (input && input->multiline && widget.value) {
    widget.value = as_text(*widget.value, front_end);
  }
  if (input && input->dynamic_combo && widget.value == "null") widget.value = initial_value(*input);
  if (!input || input->type != "COMBO") return;
  if (input->first && (!widget.value || *widget.value == "null")) widget.value = input->first;
  const bool sampler = node.type == "KSampler" || node.type == "KSamplerAdvanced";
  if (sampler && widget.name == "sampler_name" && widget.value &&
      widget.value->starts_with("\"sample_")) {
    widget.value->erase(1, std::string_view("sample_").size());
  }
}

bool has_option(const InputDefinition& input, const std::optional<std::string>& key) {
  const std::string text = key ? js_string(*key) : std::string();
  return std::ranges::any_of(input.options,
                             [&](const auto& option) { return option.first == text; });
}

/// After a dynamic combo got its saved key, the widgets that follow it are those of that key and
/// no longer those of `before`.
void rebuild_members(std::vector<Widget>& widgets, std::size_t at,
                     const std::optional<std::string>& before) {
  const InputDefinition& input = *widgets[at].definition;
  const std::string name = widgets[at].name;
  std::vector<Widget> members;
  append_chosen(input, name, before, members);
  const std::size_t end = std::min(at + 1 + members.size(), widgets.size());
  members.clear();
  append_chosen(input, name, widgets[at].value, members);
  const auto first = widgets.begin() + static_cast<std::ptrdiff_t>(at + 1);
  widgets.erase(first, widgets.begin() + static_cast<std::ptrdiff_t>(end));
  widgets.insert(widgets.begin() + static_cast<std::ptrdiff_t>(at + 1),
                 std::make_move_iterator(members.begin()), std::make_move_iterator(members.end()));
}

// ---- CustomCombo: one option widget more than there are filled ones --------------------------

void grow_options(std::vector<Widget>& widgets) {
  const Widget& last = widgets.back();
  if (!last.name.starts_with("option") || !last.value || is_falsy(*last.value)) return;
  const auto count = widgets.size() - 2;  // beside choice and index
  widgets.push_back(extra("option" + std::to_string(count + 1), "\"\"", true, true));
}

/// `index` is computed: the place of the choice among the filled options.
void compute_choice_index(std::vector<Widget>& widgets) {
  int index = -1;
  for (std::size_t i = 2; i < widgets.size(); ++i) {
    if (!widgets[i].value || is_falsy(*widgets[i].value)) break;
    if (widgets[i].value == widgets[0].value) {
      index = static_cast<int>(i) - 2;
      break;
    }
  }
  widgets[1].value = std::to_string(index);
}

/// Gives a widget its value and makes the widgets that follow from it.
void take(GraphNode& node, std::size_t at, const JsonValue& saved, const FrontEnd& front_end) {
  const auto before = node.widgets[at].value;
  assign(node.widgets[at], saved, node, front_end);
  const InputDefinition* input = node.widgets[at].definition;
  if (input && input->dynamic_combo) {
    rebuild_members(node.widgets, at, before);
    node.later |= !has_option(*input, node.widgets[at].value);
  }
  if (node.type == "CustomCombo" && at + 1 == node.widgets.size()) grow_options(node.widgets);
}

void read_by_place(GraphNode& node, const SavedValues& saved, const FrontEnd& front_end) {
  std::size_t next = 0;
  for (std::size_t i = 0; i < node.widgets.size(); ++i) {
    if (!node.widgets[i].saved) continue;
    if (next >= saved.values.size() && !saved.endless) break;
    take(node, i, next < saved.values.size() ? saved.values[next] : JsonValue(), front_end);
    ++next;
  }
  node.later |= next < saved.values.size();
}

/// Front ends since 1.51 save the names of values beside their order. A class that gained a widget
/// has them in another order than its older definition.
void read_by_name(GraphNode& node, const JsonValue& named, const FrontEnd& front_end) {
  for (std::size_t i = 0; i < node.widgets.size(); ++i) {
    const JsonValue value = named.find(node.widgets[i].name);
    if (!node.widgets[i].saved || !value.exists()) continue;
    take(node, i, value, front_end);
    if (!node.widgets[i].doubt) node.widgets[i].doubt = kDoubtLater;
  }
}

/// Whether the file has the values in another order than the widgets are: what its class gained or
/// lost since the definition shifted all that follow.
bool shifted(const std::vector<Widget>& widgets, const JsonValue& named) {
  auto name = named.begin();
  for (const Widget& widget : widgets) {
    if (!widget.saved) continue;
    if (!widget.in_file || name == named.end()) return false;
    if (widget.sent && (*name).key() != widget.name) return true;
    ++name;
  }
  return false;
}

/// Values that the front end computes whatever was saved.
void overwrite_computed(GraphNode& node, const FrontEnd& front_end) {
  auto set = [&](std::string_view name, const char* value) {
    for (Widget& widget : node.widgets) {
      if (widget.name == name) widget.value = value;
    }
  };
  if (node.type == "Preview3D" || node.type == "SaveGLB") set("image", "\"\"");
  if (node.type == "LoadImageOutput" && !front_end.recent) set("refresh", "\"refresh\"");
  if (node.type == "RecordAudio" && front_end.recent) set("audio", "\"\"");
  if (node.type == "CustomCombo" && node.widgets.size() >= 2) compute_choice_index(node.widgets);
}

}  // namespace

void build_widgets(GraphNode& node, GraphSet& set) {
  node.widgets.reserve(node.definition->inputs.size() + 2);
  bool upload = false;
  for (const InputDefinition& input : node.definition->inputs) {
    append(input, "", node.widgets);
    upload |= input.upload;
    const bool color = input.type == "COLOR" && !node.widgets.empty();
    if (color && !set.front_end.recent) node.widgets.back().value = "\"#000000\"";
  }
  if (upload) node.widgets.push_back(extra("upload", "\"image\"", true, false));
  add_special_widgets(node, set.front_end);

  const JsonValue json = node.json.find("widgets_values");
  const JsonValue named = node.json.find("widgets_values_named");
  std::vector<Widget> fresh;
  // Values of partner nodes play no part in a plan: they go as the front end would send them.
  const bool names = set.age != Age::fits && named.is_object() && named.size() <= kNamesMax;
  if (names && !node.definition->api_node) fresh = node.widgets;
  SavedValues saved = saved_values(json);
  if (json.is_object()) {
    set.notes.push_back("node " + node.id + " " + node.type +
                        " has its values by name, which the front end does not read for this "
                        "class: they are lost.");
  } else {
    drop_forced_places(node, saved.values);
  }
  read_by_place(node, saved, set.front_end);
  if (names && node.definition->api_node && shifted(node.widgets, named)) {
    node.later = true;
    for (Widget& widget : node.widgets) {
      if (widget.in_file && !widget.doubt) widget.doubt = kDoubtShifted;
    }
  }
  if (!fresh.empty() && shifted(node.widgets, named)) {
    node.later = true;
    node.widgets = std::move(fresh);
    read_by_name(node, named, set.front_end);
  }
  overwrite_computed(node, set.front_end);
}

void add_special_widgets(GraphNode& node, const FrontEnd& front_end) {
  auto& widgets = node.widgets;
  const auto add = [&](const char* name, const char* value, bool saved, bool sent) {
    widgets.push_back(extra(name, value, saved, sent));
  };
  const auto put = [&](std::size_t at, const char* name, const char* value) {
    widgets.insert(widgets.begin() + static_cast<std::ptrdiff_t>(std::min(at, widgets.size())),
                   extra(name, value, true, true));
  };
  const std::string& type = node.type;
  if (type == "LoadAudio") {
    if (!front_end.recent) add("audioUI", "\"\"", false, true);
    add("upload", "\"\"", true, false);
  } else if (type == "SaveAudio" || type == "SaveAudioMP3" || type == "SaveAudioOpus" ||
             type == "PreviewAudio") {
    if (!front_end.recent) add("audioUI", "\"\"", false, true);
  } else if (type == "RecordAudio") {
    add("audio", "\"\"", true, true);
    add("audio", "\"\"", true, false);
  } else if (type == "LoadImageOutput") {
    widgets.resize(std::min<std::size_t>(widgets.size(), 1));
    if (!widgets.empty()) widgets[0].value = "\"Loading...\"";
    add("Auto-refresh after generation", "false", true, false);
    add("refresh", "\"refresh\"", true, true);
    add("upload", "\"image\"", true, false);
  } else if (type == "PreviewAny" && front_end.text_preview) {
    add("preview_markdown", "\"\"", false, true);
    add("preview_text", "\"\"", false, true);
    add("previewMode", "false", true, true);
  } else if (type == "Load3D") {
    put(1, "upload 3d model", "\"upload3dmodel\"");
    put(2, "upload extra resources", "\"uploadExtraResources\"");
    put(3, "clear", "\"clear\"");
  } else if (type == "Preview3D" || type == "SaveGLB") {
    add("image", "\"\"", true, true);
  } else if (type == "ImageCropV2") {
    add("x", "0", true, false);
    add("y", "0", true, false);
    add("width", "512", true, false);
    add("height", "512", true, false);
  } else if (type == "ImageCompare") {
    add("compare_view", R"(["",""])", false, true);
  } else if (type == "CustomCombo") {
    widgets.resize(std::min<std::size_t>(widgets.size(), 1));
    add("index", "0", true, true);
    add("option1", "\"\"", true, true);
  } else if (type == "WebcamCapture") {
    put(0, "image", "\"\"");
    add("waiting for camera...", "\"capture\"", true, true);
  }
}

}  // namespace ebb
