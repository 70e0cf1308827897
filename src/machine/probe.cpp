// SPDX-License-Identifier: Apache-2.0
#include "machine/probe.h"

#include "base/text.h"
#include "ebb/file.h"
#include "machine/nvml.h"

namespace ebb {
namespace {

// Files in /proc say that they are empty, so they are read as a range.
std::string read_proc(const char* path) {
  auto text = read_range(path, 0, 1 << 16);
  return text ? *std::move(text) : std::string();
}

std::optional<std::int64_t> kibibytes(std::string_view text, std::string_view key) {
  for (std::string_view line : split(text, '\n')) {
    if (!line.starts_with(key)) continue;
    line = trim(line.substr(key.size()));
    if (line.ends_with("kB")) line = trim(line.substr(0, line.size() - 2));
    const auto count = parse_int(line);
    if (count && *count > 0 && *count < (1LL << 50)) return *count * 1024;
  }
  return std::nullopt;
}

}  // namespace

Result<FoundGpu> ThisMachine::gpu() {
  auto nvml = load_nvml("libnvidia-ml.so.1");
  if (!nvml) return nvml.error();
  return find_gpu(*nvml);
}

std::optional<FoundRam> ThisMachine::ram() { return parse_meminfo(read_proc("/proc/meminfo")); }

Os ThisMachine::os() {
#ifdef _WIN32
  return Os::windows;
#else
  return Os::linux;
#endif
}

bool ThisMachine::inside_windows() {
  return contains(lower(read_proc("/proc/version")), "microsoft");
}

std::optional<FoundRam> parse_meminfo(std::string_view text) {
  const auto total = kibibytes(text, "MemTotal:");
  const auto available = kibibytes(text, "MemAvailable:");
  if (!total || !available || *available > *total) return std::nullopt;
  return FoundRam{*total, *available};
}

}  // namespace ebb
