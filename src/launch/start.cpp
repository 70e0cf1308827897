// SPDX-License-Identifier: Apache-2.0
// How this ComfyUI is started: which Python, from which folder.
#include <fmt/format.h>

#include <cctype>
#include <filesystem>

#include "base/command_line.h"
#include "ebb/launch.h"

namespace ebb {
namespace {

namespace fs = std::filesystem;

/// `/mnt/c/x` as Windows has it, `C:\x`; empty for what lies elsewhere.
std::string windows_path(const std::string& path) {
  const bool mounted = path.starts_with("/mnt/") && path.size() >= 6 && std::isalpha(path[5]) &&
                       (path.size() == 6 || path[6] == '/');
  if (!mounted) return {};
  std::string text = fmt::format("{}:{}", static_cast<char>(std::toupper(path[5])),
                                 path.size() > 6 ? path.substr(6) : "/");
  for (char& c : text) {
    if (c == '/') c = '\\';
  }
  return text;
}

std::string whole_path(const fs::path& path) {
  std::error_code ignored;
  std::string text = fs::absolute(path, ignored).lexically_normal().string();
  if (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

bool same_folder(const fs::path& a, const fs::path& b) {
  std::error_code ignored;
  return fs::equivalent(a.empty() ? "." : a, b, ignored);
}

/// The Python of a virtual environment in the folder or beside it, as seen from the folder.
std::string find_venv(const fs::path& folder, ScriptKind kind) {
  std::error_code ignored;
  const bool bat = kind == ScriptKind::bat;
  for (const char* name : {"venv", ".venv", "../venv", "../.venv"}) {
    const fs::path python = fs::path(name) / (bat ? "Scripts/python.exe" : "bin/python");
    if (fs::exists(folder / python, ignored)) return python.string();
  }
  return {};
}

std::string spelled(std::string path, ScriptKind kind) {
  if (kind == ScriptKind::bat) {
    for (char& c : path) {
      if (c == '/') c = '\\';
    }
  }
  return path;
}

Result<std::string> given_python(const std::string& python, ScriptKind kind) {
  if (python.find('/') == std::string::npos) return python;
  const std::string path = whole_path(python);
  if (kind == ScriptKind::sh) return path;
  const std::string windows = windows_path(path);
  if (!windows.empty()) return windows;
  return usage_error(fmt::format("--python: Windows has no path for {}", path),
                     "Give one as Windows spells it, or one below /mnt/c.");
}

Result<std::string> folder_of_script(const fs::path& root, ScriptKind kind,
                                     const std::string& script) {
  const bool bat = kind == ScriptKind::bat;
  const bool own = script.empty() ? bat : same_folder(fs::path(script).parent_path(), root);
  if (own) return std::string();
  if (!bat) return whole_path(root);
  const std::string windows = windows_path(whole_path(root));
  if (!windows.empty()) return windows;
  return usage_error(
      fmt::format("a .bat there cannot find {}: Windows has no path for it", whole_path(root)),
      fmt::format("Write it into that folder: --write {}",
                  (root / fs::path(script).filename()).string()));
}

}  // namespace

Result<LaunchStart> find_start(const Checkout& checkout, ScriptKind kind, const std::string& script,
                               const std::string& python) {
  const fs::path folder = checkout.folder;
  const bool portable = checkout.portable && kind == ScriptKind::bat;
  const fs::path root = portable ? fs::path(whole_path(folder)).parent_path() : folder;
  LaunchStart start;
  start.kind = kind;
  auto place = folder_of_script(root, kind, script);
  if (!place) return place.error();
  start.folder = *std::move(place);
  if (!python.empty()) {
    auto given = given_python(python, kind);
    if (!given) return given.error();
    start.command = {*std::move(given)};
    start.python_from = "given";
  } else if (portable) {
    start.command = {".\\python_embeded\\python.exe", "-s"};
    start.python_from = "python_embeded";
  } else if (const std::string venv = find_venv(folder, kind); !venv.empty()) {
    start.command = {spelled(venv, kind)};
    start.python_from = "venv";
  } else {
    start.command = {kind == ScriptKind::bat ? "python" : "python3"};
    start.python_from = "PATH";
  }
  const std::string name = fs::path(whole_path(folder)).filename().string();
  start.command.push_back(portable ? name + "\\main.py" : "main.py");
  for (const std::string& word : start.command) {
    if (can_be_quoted(word) && can_be_quoted(start.folder)) continue;
    return input_error("has a control character in its path, which no script can spell",
                       checkout.folder);
  }
  return start;
}

}  // namespace ebb
