// SPDX-License-Identifier: Apache-2.0
// The plan as text: for the terminal, as the script, as JSON.
#include <fmt/format.h>

#include <algorithm>

#include "base/command_line.h"
#include "ebb/launch.h"
#include "ebb/version.h"
#include "json/write.h"
#include "machine/flag_words.h"
#include "report/sentences.h"
#include "report/table.h"
#include "report/words.h"

namespace ebb {
namespace {

constexpr int kColumns = 100;
constexpr std::size_t kCmdLineMax = 8'000;  // cmd.exe takes 8,191

/// One paragraph: a heading, and entries that are indented below it.
struct Section {
  std::string heading;
  std::vector<std::string> entries;
};

void put_flags(std::vector<Section>& sections, std::string heading,
               const std::vector<LaunchFlag>& flags) {
  if (flags.empty()) return;
  Section section{std::move(heading), {}};
  for (const LaunchFlag& flag : flags) {
    section.entries.push_back(fmt::format("{}: {}", join_words(flag.words), flag.reason));
  }
  sections.push_back(std::move(section));
}

std::string effect_text(const LaunchEffect& effect, const Machine& machine) {
  const Outcome& is = effect.after;
  std::string text =
      fmt::format("{}: {}", effect.file, verdict_words(is.verdict, is.offloaded_bytes));
  const std::string difference = to_string(effect, machine);
  if (!difference.empty()) text += "; against before: " + difference;
  if (!is.causes.empty()) text += "; " + say(is.causes);
  return text;
}

std::string machine_text(const Machine& machine) {
  const std::string card = machine.gpu.empty() ? "a card" : machine.gpu;
  return fmt::format("{} with {} MiB, {} RAM, {}", card, format_mib(machine.vram_total.bytes),
                     format_gib(machine.ram_total.bytes),
                     machine.os == Os::windows ? "Windows" : "Linux");
}

std::vector<Section> sections_of(const LaunchPlan& plan) {
  std::vector<Section> sections;
  Section predicted{fmt::format("Predicted for ComfyUI {}, {}:", to_string(plan.machine.comfyui),
                                machine_text(plan.machine)),
                    {}};
  for (const LaunchEffect& effect : plan.effects) {
    predicted.entries.push_back(effect_text(effect, plan.machine));
  }
  sections.push_back(std::move(predicted));
  put_flags(sections, "Dropped:", plan.dropped);
  put_flags(sections, "Added:", plan.added);
  put_flags(sections, "Kept:", plan.kept);
  if (plan.added.empty() && plan.kept.empty()) {
    sections.push_back({"Flags: none is needed.", {}});
  }
  put_flags(sections, "Left out, though often recommended:", plan.left_out);
  return sections;
}

/// The sections as lines of at most `columns`, an empty one between two sections.
std::vector<std::string> lines_of(const LaunchPlan& plan, int columns) {
  std::string text;
  for (const Section& section : sections_of(plan)) {
    if (!text.empty()) text += "\n";
    put_wrapped(text, printable(section.heading), 0, 2, columns);
    for (const std::string& entry : section.entries) {
      put_wrapped(text, printable(entry), 2, 4, columns);
    }
  }
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

/// The command with its flags, quoted. Errors: words that cannot be.
Result<std::string> command_of(const LaunchPlan& plan, const LaunchStart& start, Shell shell) {
  std::vector<std::string> words = start.command;
  for (const FlagWords& flag : to_words(plan.machine.flags)) {
    words.insert(words.end(), flag.begin(), flag.end());
  }
  std::string text;
  for (const std::string& word : words) {
    if (!can_be_quoted(word)) {
      return usage_error(fmt::format("\"{}\" has a control character, which no script can spell",
                                     printable(word)));
    }
    text += (text.empty() ? "" : " ") + quote_word(word, shell);
  }
  if (shell == Shell::cmd && text.size() > kCmdLineMax) {
    return usage_error(fmt::format("the command has {} bytes; cmd.exe cuts it off", text.size()),
                       "Write a .sh, or give fewer flags.");
  }
  return text;
}

std::vector<std::string> head_of(const LaunchStart& start) {
  std::vector<std::string> lines = {
      fmt::format("Starts ComfyUI. Written by ebb launch {}.", EBB_VERSION)};
  if (start.folder.empty()) {
    lines.push_back(fmt::format("Keep it in the folder that holds {}.", start.command.back()));
  }
  if (start.python_from == "PATH") {
    lines.push_back("No virtual environment was found: Python is the one on PATH.");
  }
  lines.emplace_back();
  return lines;
}

std::string comments_of(const LaunchPlan& plan, const LaunchStart& start, Shell shell,
                        const std::string& mark, const std::string& line_end) {
  std::vector<std::string> lines = head_of(start);
  for (std::string& line : lines_of(plan, kColumns - 4)) lines.push_back(std::move(line));
  std::string text;
  for (const std::string& line : lines) {
    text += mark + (line.empty() ? "" : " " + comment_text(line, shell)) + line_end;
  }
  return text;
}

std::string bat_folder(const std::string& folder) {
  if (folder.empty()) return "\"%~dp0\"";
  std::string text = "\"";
  for (const char c : folder) text += c == '%' ? std::string("%%") : std::string(1, c);
  return text + "\"";
}

bool is_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string bat_script(const LaunchPlan& plan, const LaunchStart& start,
                       const std::string& command) {
  // Delayed expansion, if somebody switched it on for all, would take the `!` out of paths.
  const std::string text = comments_of(plan, start, Shell::cmd, "rem", "\r\n") +
                           "setlocal DisableDelayedExpansion\r\ncd /d " + bat_folder(start.folder) +
                           " || exit /b 1\r\n" + command + " %*\r\npause\r\n";
  return std::string("@echo off\r\n") + (is_ascii(text) ? "" : "chcp 65001 >nul\r\n") + text;
}

std::string sh_script(const LaunchPlan& plan, const LaunchStart& start,
                      const std::string& command) {
  const std::string folder = start.folder.empty() ? "CDPATH= cd -- \"$(dirname -- \"$0\")\""
                                                  : "cd " + quote_word(start.folder, Shell::posix);
  return "#!/bin/sh\n" + comments_of(plan, start, Shell::posix, "#", "\n") + folder +
         " || exit 1\nexec " + command + " \"$@\"\n";
}

void put_flags(JsonWriter& json, const char* key, const std::vector<LaunchFlag>& flags) {
  json.key(key).begin_array();
  for (const LaunchFlag& flag : flags) {
    json.begin_object().member("flag", valid_utf8(join_words(flag.words)));
    json.member("reason", valid_utf8(flag.reason)).end_object();
  }
  json.end_array();
}

void put_outcome(JsonWriter& json, const char* key, const Outcome& outcome,
                 std::optional<std::int64_t> frames) {
  json.key(key).begin_object().member("verdict", to_string(outcome.verdict));
  json.member("offloaded_bytes", outcome.offloaded_bytes);
  json.member("vram_peak_bytes", outcome.vram_peak_bytes);
  json.member("ram_peak_bytes", outcome.ram_open ? std::optional<std::int64_t>()
                                                 : std::optional(outcome.ram_peak_bytes));
  json.member("ram_at_least_bytes", outcome.ram_peak_bytes);
  json.member("seconds", outcome.seconds);
  json.member("largest_resident_frames", frames).end_object();
}

}  // namespace

std::string to_text(const LaunchPlan& plan) {
  std::string text;
  for (const std::string& line : lines_of(plan, kColumns)) text += line + "\n";
  return text;
}

Result<std::string> to_script(const LaunchPlan& plan, const LaunchStart& start) {
  const bool bat = start.kind == ScriptKind::bat;
  const auto command = command_of(plan, start, bat ? Shell::cmd : Shell::posix);
  if (!command) return command.error();
  return bat ? bat_script(plan, start, *command) : sh_script(plan, start, *command);
}

std::string to_json(const LaunchPlan& plan, const LaunchStart& start, const std::string& script,
                    const std::vector<std::string>& notes) {
  JsonWriter json;
  json.begin_object().member("schema", "ebb.launch/1").member("ebb", EBB_VERSION);
  json.member("comfyui", to_string(plan.machine.comfyui));
  json.member("gpu", valid_utf8(plan.machine.gpu));
  json.member("os", plan.machine.os == Os::windows ? "windows" : "linux");
  json.member("flags_before", valid_utf8(to_string(plan.before)));
  json.member("flags", valid_utf8(to_string(plan.machine.flags)));
  put_flags(json, "dropped", plan.dropped);
  put_flags(json, "added", plan.added);
  put_flags(json, "kept", plan.kept);
  put_flags(json, "left_out", plan.left_out);
  json.key("workflows").begin_array();
  for (const LaunchEffect& effect : plan.effects) {
    json.begin_object().member("file", valid_utf8(effect.file));
    put_outcome(json, "before", effect.before, effect.frames_before);
    put_outcome(json, "after", effect.after, effect.frames_after);
    json.end_object();
  }
  json.end_array();
  json.member("python_from", start.python_from);
  json.member("script", valid_utf8(script));
  json.key("notes").begin_array();
  for (const std::string& note : notes) json.value(valid_utf8(note));
  json.end_array().end_object();
  return std::move(json).finish();
}

}  // namespace ebb
