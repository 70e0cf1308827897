// SPDX-License-Identifier: Apache-2.0
// `ebb show`: what is in workflow files, for people or as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/json_text.h"
#include "cli/plan_options.h"
#include "cli/print.h"
#include "ebb/bytes.h"
#include "ebb/workflow.h"

namespace ebb::cli {
namespace {

constexpr std::size_t kColumns = 100, kIndent = 12;

constexpr const char* kExamples =
    "Examples:\n"
    "  ebb show flow.json                 nodes, models, packs, subgraphs, what is switched off\n"
    "  ebb show picture.png video.mp4     of media that ComfyUI saved\n"
    "  ebb show *.json --json             one JSON object for all files\n"
    "Exit codes: 0 all files read, 2 bad usage, 3 a file is no workflow (the others are shown).";

struct Arguments {
  std::vector<std::string> files;
  std::string comfyui, object_info;
  bool json = false;
};

/// Columns that UTF-8 text takes, as if every character took one.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

/// Cuts a text to so many columns.
std::string cut(const std::string& text, std::size_t columns) {
  if (width(text) <= columns) return text;
  std::string out;
  std::size_t taken = 0;
  for (const char c : text) {
    if ((c & 0xC0) != 0x80 && ++taken + 3 > columns) break;
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "...";
}

/// `label     item, item, ...`, wrapped between items.
void add_list(std::string& text, std::string_view label, const std::vector<std::string>& items) {
  if (items.empty()) return;
  text += fmt::format("  {:<{}}", label, kIndent - 2);
  std::size_t column = kIndent;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const bool last = i + 1 == items.size();
    const std::string item = cut(items[i], kColumns - kIndent - 1) + (last ? "" : ",");
    if (i > 0 && column + 1 + width(item) > kColumns) {
      text += "\n" + std::string(kIndent, ' ');
      column = kIndent;
    } else if (i > 0) {
      text += ' ';
      ++column;
    }
    text += item;
    column += width(item);
  }
  text += '\n';
}

std::vector<std::string> words(const std::vector<NameCount>& list) {
  std::vector<std::string> items;
  for (const NameCount& entry : list) {
    items.push_back(entry.count == 1 ? entry.name : fmt::format("{} x{}", entry.name, entry.count));
  }
  return items;
}

/// One file a line, with the classes and nodes that load it.
void add_models(std::string& text, const std::vector<NamedModel>& models) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<std::string>> users;
  for (const NamedModel& model : models) {
    auto& list = users[model.file];
    if (list.empty()) order.push_back(model.file);
    list.push_back(fmt::format("{} {}", model.class_type, model.node));
  }
  bool first = true;
  for (const std::string& file : order) {
    const auto& list = users[file];
    std::string line = fmt::format("{}  ({}", file, list[0]);
    if (list.size() > 1) line += fmt::format(" and {} more", list.size() - 1);
    text += fmt::format("  {:<{}}{}\n", first ? "models" : "", kIndent - 2,
                        cut(line + ")", kColumns - kIndent));
    first = false;
  }
}

std::string plural(std::int64_t count, const char* word) {
  return fmt::format("{} {}{}", format_count(count), word, count == 1 ? "" : "s");
}

/// Kinds of guesses with how many values each concerns.
std::vector<std::string> doubts(const std::vector<Uncertain>& list) {
  std::map<std::string, std::int64_t> counts;
  for (const Uncertain& entry : list) ++counts[entry.why];
  std::vector<std::string> items;
  for (const auto& [why, count] : counts) {
    items.push_back(fmt::format("{}: {}", plural(count, "value"), why));
  }
  return items;
}

std::string to_text(const std::string& file, const Overview& o) {
  std::string text = file + "\n";
  const std::string sent = o.refused ? "no prompt" : plural(o.sent, "node") + " sent";
  add_list(text, "file", {o.format, plural(o.nodes, "node"), plural(o.links, "link"), sent});
  add_list(text, "nodes", words(o.classes));
  add_list(text, "canvas", words(o.canvas_only));
  add_list(text, "subgraphs", words(o.subgraphs));
  add_list(text, "muted", o.muted);
  add_list(text, "bypassed", o.bypassed);
  add_models(text, o.models);
  add_list(text, "packs", words(o.packs));
  add_list(text, "unknown", words(o.unknown));
  for (bool first = true; const std::string& item : doubts(o.uncertain)) {
    add_list(text, std::exchange(first, false) ? "uncertain" : "", {item});
  }
  for (bool first = true; const std::string& fault : o.faults) {
    add_list(text, std::exchange(first, false) ? "server" : "", {"refuses " + fault});
  }
  if (o.refused) add_list(text, "refused", {o.refused->where.place + ": " + o.refused->message});
  return text;
}

// ---- JSON ------------------------------------------------------------------------------------

std::string list_of(const std::vector<std::string>& items) {
  std::string text = "[";
  for (const std::string& item : items) text += (text.size() > 1 ? ", " : "") + item;
  return text + "]";
}

std::string list_of(const std::vector<NameCount>& list) {
  std::vector<std::string> items;
  for (const NameCount& entry : list) {
    items.push_back(
        fmt::format("{{\"name\": {}, \"count\": {}}}", quoted(entry.name), entry.count));
  }
  return list_of(items);
}

std::string quoted_list(const std::vector<std::string>& list) {
  std::vector<std::string> items;
  for (const std::string& entry : list) items.push_back(quoted(entry));
  return list_of(items);
}

std::string to_json(const std::string& file, const Overview& o) {
  std::vector<std::string> models, uncertain;
  for (const NamedModel& m : o.models) {
    models.push_back(
        fmt::format("{{\"file\": {}, \"node\": {}, \"class_type\": {}, \"input\": {}}}",
                    quoted(m.file), quoted(m.node), quoted(m.class_type), quoted(m.input)));
  }
  for (const Uncertain& u : o.uncertain) {
    uncertain.push_back(fmt::format("{{\"node\": {}, \"input\": {}, \"why\": {}}}", quoted(u.node),
                                    quoted(u.input), quoted(u.why)));
  }
  std::string text = fmt::format(
      "    {{\"file\": {}, \"format\": {}, \"nodes\": {}, \"links\": {}, \"sent\": {},\n",
      quoted(file), quoted(o.format), o.nodes, o.links, o.sent);
  const auto add = [&](const char* name, const std::string& value) {
    text += fmt::format("     \"{}\": {},\n", name, value);
  };
  add("classes", list_of(o.classes));
  add("canvas_only", list_of(o.canvas_only));
  add("subgraphs", list_of(o.subgraphs));
  add("muted", quoted_list(o.muted));
  add("bypassed", quoted_list(o.bypassed));
  add("models", list_of(models));
  add("packs", list_of(o.packs));
  add("unknown", list_of(o.unknown));
  add("uncertain", list_of(uncertain));
  add("faults", quoted_list(o.faults));
  return text + "     \"refused\": " +
         (o.refused ? quoted(o.refused->where.place + ": " + o.refused->message) : "null") + "}";
}

// ---- the command -----------------------------------------------------------------------------

int run(const Arguments& arguments) {
  const auto definitions = open_definitions(arguments.object_info);
  if (!definitions) return fail("show", definitions.error());
  const auto options = prompt_options(arguments.comfyui, *definitions);
  if (!options) return fail("show", options.error());
  int code = kAnswered;
  std::string text = arguments.json ? "{\"schema\": \"ebb.show/1\", \"files\": [" : "";
  bool first = true;
  for (const std::string& name : arguments.files) {
    const auto workflow = open_workflow(name);
    const std::string file = workflow ? workflow->file() : name;
    if (!workflow) {
      code = fail("show", workflow.error());
      continue;
    }
    const Overview overview = describe(*workflow, *options);
    if (arguments.json) {
      text += std::string(first ? "\n" : ",\n") + to_json(file, overview);
    } else {
      text += (first ? "" : "\n") + to_text(file, overview);
    }
    first = false;
  }
  if (arguments.json) text += "\n]}\n";
  return arguments.json ? answer_as_is(text, code) : answer(text, code);
}

}  // namespace

std::function<int()> declare_show(Options& options) {
  auto a = std::make_shared<Arguments>();
  options.positional("FILES", a->files, "workflows, or media that carry them; - reads stdin");
  options.value("--comfyui", a->comfyui, "DIR|VERSION", kComfyuiHelp);
  options.value("--object-info", a->object_info, "URL|FILE",
                "your server's address, or a saved answer to its GET /object_info");
  options.flag("--json", a->json, "print one JSON object");
  options.footer(kExamples);
  return [a] { return run(*a); };
}

}  // namespace ebb::cli
