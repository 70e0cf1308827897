// SPDX-License-Identifier: Apache-2.0
// The definitions of a running server, kept for a while: one file a server and version.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/http.h"
#include "ebb/file.h"
#include "workflow/object_info.h"

namespace ebb {
namespace {

namespace fs = std::filesystem;
using Seconds = std::chrono::seconds;
constexpr Seconds kFresh = std::chrono::minutes(10), kOld = std::chrono::hours(30 * 24);
constexpr std::size_t kKept = 8;
constexpr std::int64_t kBytesMax = std::int64_t{256} << 20;
constexpr const char* kEnding = ".object_info.json";

struct Kept {
  fs::path path;
  Seconds age;
};

/// The kept answers whose names start with `prefix`, newest first.
std::vector<Kept> kept_in(const std::string& folder, const std::string& prefix) {
  std::vector<Kept> list;
  std::error_code error;
  const auto now = fs::file_time_type::clock::now();
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(kEnding)) continue;
    std::error_code unreadable;
    const auto written = at->last_write_time(unreadable);
    if (unreadable) continue;
    list.push_back({at->path(), std::chrono::duration_cast<Seconds>(now - written)});
  }
  std::ranges::stable_sort(list, {}, &Kept::age);
  return list;
}

/// Letters, digits, dots and dashes of a text; anything else becomes a dash.
std::string plain(std::string text) {
  for (char& c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.') c = '-';
  }
  return text;
}

/// Best effort: a folder that can't be written only costs time.
void keep(const std::string& folder, const std::string& name, const std::string& text) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || !write_file((fs::path(folder) / name).string(), text).ok()) return;
  const auto all = kept_in(folder, "");
  for (std::size_t i = kKept; i < all.size(); ++i) fs::remove(all[i].path, error);
}

std::string age_text(Seconds age) {
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(age).count();
  if (hours < 1) return "less than an hour";
  return hours < 48 ? fmt::format("{} hours", hours) : fmt::format("{} days", hours / 24);
}

}  // namespace

Result<NodeDefinitions> fetch_definitions(const std::string& url, const std::string& cache_folder) {
  std::string base = url;
  while (base.ends_with('/')) base.pop_back();
  constexpr std::string_view kPath = "/object_info";
  if (base.ends_with(kPath)) base.resize(base.size() - kPath.size());
  auto stats = parse_http_address(base + "/system_stats");
  auto info = parse_http_address(base + std::string(kPath));
  if (!info) return std::move(info).error();
  if (!stats) return std::move(stats).error();

  const std::string server = plain(base.substr(base.find("//") + 2)) + "_";
  const auto status = http_get(*stats);
  if (!status) {
    for (const Kept& kept : kept_in(cache_folder, server)) {
      if (cache_folder.empty() || kept.age > kOld) break;
      auto definitions = read_definitions(kept.path.string());
      if (!definitions) continue;
      definitions->state_->note =
          fmt::format("{} does not answer; what it told {} ago is used.", base, age_text(kept.age));
      return definitions;
    }
    return status.error();
  }
  const auto document = JsonDocument::parse(*status, base);
  const std::string version =
      document ? document->root().find("system").find("comfyui_version").text_or("") : "";
  const std::string name = server + plain(version.empty() ? "unknown" : version) + kEnding;
  if (!cache_folder.empty()) {
    for (const Kept& kept : kept_in(cache_folder, name)) {
      if (kept.age > kFresh) break;
      if (auto definitions = read_definitions(kept.path.string())) return definitions;
    }
  }
  HttpLimits limits;
  limits.bytes = kBytesMax;
  auto text = http_get(*info, limits);
  if (!text) return std::move(text).error();
  auto definitions = parse_definitions(*text, base + std::string(kPath));
  if (definitions && !cache_folder.empty()) keep(cache_folder, name, *text);
  return definitions;
}

}  // namespace ebb
