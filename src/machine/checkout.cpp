// SPDX-License-Identifier: Apache-2.0
// What a ComfyUI folder says about itself: version, flags, models, how it is started. Its Python
// files are read as text.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/command_line.h"
#include "base/text.h"
#include "ebb/file.h"
#include "ebb/machine.h"
#include "machine/flag_words.h"

namespace ebb {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kTextLimitBytes = 1 << 20;  // of a file that is read; real ones are smaller
constexpr int kLaunchFilesMax = 20;

constexpr const char* kHint =
    "Give the folder with main.py in it, the one of the portable version that holds ComfyUI, or a "
    "version such as 0.3.73.";

/// What stands in quotes after `name =` at the start of a line.
std::optional<std::string> assigned_text(const std::string& text, std::string_view name) {
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    if (!line.starts_with(name)) continue;
    line = trim(line.substr(name.size()));
    if (!line.starts_with('=')) continue;
    line = trim(line.substr(1));
    if (line.empty() || (line[0] != '"' && line[0] != '\'')) continue;
    const auto end = line.find(line[0], 1);
    if (end != std::string_view::npos) return std::string(line.substr(1, end - 1));
  }
  return std::nullopt;
}

Result<Done> read_version(Checkout& checkout) {
  const std::pair<const char*, const char*> places[] = {{"comfyui_version.py", "__version__"},
                                                        {"pyproject.toml", "version"}};
  for (const auto& [file, name] : places) {
    const auto text = read_file(checkout.folder + "/" + file, kTextLimitBytes);
    const auto found = text ? assigned_text(*text, name) : std::nullopt;
    if (!found) continue;
    const auto version = parse_comfy_version(*found);
    if (!version) {
      return input_error(
          fmt::format("names the version \"{}\", which is none of ComfyUI's", *found),
          checkout.folder + "/" + file, {}, "Give --comfyui a version instead.");
    }
    checkout.version = *version;
    checkout.version_from = file;
    return Done{};
  }
  return input_error("does not say which version of ComfyUI it is", checkout.folder, {}, kHint);
}

/// The names in `add_argument("--a", "--b", ...)`, in any order of definition.
std::vector<std::string> defined_flags(const std::string& text) {
  constexpr std::string_view kCall = "add_argument(";
  std::vector<std::string> flags;
  for (auto at = text.find(kCall); at != std::string::npos; at = text.find(kCall, at)) {
    at += kCall.size();
    while (true) {
      at = text.find_first_not_of(" \t\r\n,", at);
      if (at == std::string::npos) return flags;
      const char quote = text[at];
      const auto end = quote == '"' || quote == '\'' ? text.find(quote, at + 1) : std::string::npos;
      if (end == std::string::npos || text[at + 1] != '-') break;
      flags.push_back(text.substr(at + 1, end - at - 1));
      at = end + 1;
    }
  }
  std::sort(flags.begin(), flags.end());
  flags.erase(std::unique(flags.begin(), flags.end()), flags.end());
  return flags;
}

bool starts_comfyui(std::string_view line) {
  const std::string text = lower(trim(line));
  if (text.starts_with("rem ") || text.starts_with("::") || text.starts_with("#")) return false;
  return contains(text, "main.py");
}

std::vector<std::string> find_launch_files(const fs::path& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = lower(entry->path().filename().string());
    std::error_code ignored;
    if (!name.ends_with(".bat") || !entry->is_regular_file(ignored)) continue;
    const auto text = read_file(entry->path().string(), kTextLimitBytes);
    if (!text) continue;
    const auto lines = split(*text, '\n');
    if (std::any_of(lines.begin(), lines.end(), starts_comfyui)) {
      found.push_back(entry->path().string());
    }
  }
  std::sort(found.begin(), found.end());
  if (found.size() > kLaunchFilesMax) found.resize(kLaunchFilesMax);
  return found;
}

bool holds_folders(const fs::path& folder) {
  std::error_code error, ignored;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->is_directory(ignored)) return true;
  }
  return false;
}

}  // namespace

Result<Checkout> read_checkout(const std::string& folder) {
  std::error_code ignored;
  fs::path root = folder;
  if (!fs::is_directory(root, ignored)) {
    return input_error("is neither a ComfyUI folder nor a version", folder, {}, kHint);
  }
  Checkout checkout;
  if (!fs::is_regular_file(root / "main.py", ignored) &&
      fs::is_regular_file(root / "ComfyUI" / "main.py", ignored)) {
    root /= "ComfyUI";
    checkout.launch_files = find_launch_files(root.parent_path());
  }
  if (!fs::is_regular_file(root / "main.py", ignored)) {
    return input_error("is no ComfyUI folder: main.py is not in it", folder, {}, kHint);
  }
  checkout.folder = root.string();
  checkout.portable = fs::is_directory(root / ".." / "python_embeded", ignored);
  if (auto done = read_version(checkout); !done) return done.error();
  const auto arguments = read_file((root / "comfy" / "cli_args.py").string(), kTextLimitBytes);
  if (!arguments) return arguments.error();
  checkout.flags = defined_flags(*arguments);
  checkout.extra_model_paths = fs::is_regular_file(root / "extra_model_paths.yaml", ignored);
  if (holds_folders(root / "models") || checkout.extra_model_paths) {
    checkout.models = (root / "models").string();
  }
  return checkout;
}

std::string to_string(const Checkout& checkout) {
  std::string text = fmt::format("{} holds ComfyUI {} ({}), {} flag{}", checkout.folder,
                                 to_string(checkout.version), checkout.version_from,
                                 checkout.flags.size(), checkout.flags.size() == 1 ? "" : "s");
  if (!checkout.models.empty()) text += ", models";
  if (checkout.extra_model_paths) text += " and extra_model_paths.yaml";
  if (checkout.portable) text += "; portable";
  for (const std::string& file : checkout.launch_files) {
    text += fmt::format("{} {}", &file == &checkout.launch_files.front() ? "; started by" : ",",
                        base_name(file));
  }
  return text + ".";
}

Result<Done> check_flags(const Checkout& checkout, const ComfyFlags& flags) {
  for (const FlagWords& words : to_words(flags)) {
    const std::string& name = words.front();
    if (std::binary_search(checkout.flags.begin(), checkout.flags.end(), name)) continue;
    return usage_error(fmt::format("ComfyUI {} in {} has no flag {}", to_string(checkout.version),
                                   checkout.folder, name),
                       "comfy/cli_args.py there defines the flags that it has.");
  }
  return Done{};
}

Result<std::vector<std::string>> other_launch_lines(const std::string& path) {
  const auto text = read_file(path, kTextLimitBytes);
  if (!text) return text.error();
  std::vector<std::string> lines;
  for (const std::string_view whole : split(*text, '\n')) {
    std::string_view line = trim(whole);
    if (line.starts_with('@')) line.remove_prefix(1);
    const std::string word = lower(line.substr(0, line.find_first_of(" \t(")));
    constexpr std::string_view kUsual[] = {"",     "rem",  "echo", "cd",    "pause",    "setlocal",
                                           "exit", "chcp", "set",  "title", "endlocal", "cls"};
    const bool sets = word == "set" && line.find('=') != std::string_view::npos;
    const bool usual = std::find(std::begin(kUsual), std::end(kUsual), word) != std::end(kUsual);
    if ((usual && !sets) || line.starts_with('#') || line.starts_with("::")) continue;
    if (line.starts_with("--")) continue;  // a continued line
    if (!contains(lower(line), "main.py")) {
      lines.emplace_back(line);
    } else if (const auto first = line.substr(0, line.find_first_of(" \t\"'"));
               contains(first, "=")) {
      lines.emplace_back(first);  // a variable for this one command
    }
    if (lines.size() == kLaunchFilesMax) break;
  }
  return lines;
}

Result<std::string> read_launch_flags(const std::string& path) {
  const auto text = read_file(path, kTextLimitBytes);
  if (!text) return text.error();
  const std::string name = lower(path);
  const bool batch = name.ends_with(".bat") || name.ends_with(".cmd");
  std::size_t at = 0;  // of the line
  for (const std::string_view line : split(*text, '\n')) {
    const std::string_view rest = std::string_view(*text).substr(at);
    at += line.size() + 1;
    if (!starts_comfyui(line)) continue;
    auto commands = line_commands(rest, batch ? Shell::cmd : Shell::posix);
    if (!commands) return input_error("has a quotation that does not end, at main.py", path);
    for (std::vector<std::string>& words : *commands) {
      const auto script = std::find_if(words.begin(), words.end(), [](const std::string& word) {
        return lower(base_name(word)) == "main.py";
      });
      if (script == words.end()) continue;
      words.erase(words.begin(), script + 1);
      for (const char* from_caller : {"%*", "$@", "$*"}) std::erase(words, from_caller);
      return join_words(words);
    }
  }
  return input_error("starts no ComfyUI: no line runs main.py", path, {},
                     "Give the flags themselves, as on ComfyUI's command line.");
}

}  // namespace ebb
