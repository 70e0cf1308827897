// SPDX-License-Identifier: Apache-2.0
#include "weights/stated.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"
#include "weights/known.h"

namespace ebb {
namespace {

/// Whether the number, rounded as it is, is this size.
bool is_size(const WrittenSize& written, int base, std::int64_t bytes) {
  const double step = written.step * std::pow(base, written.power);
  return std::abs(written.bytes(base) - static_cast<double>(bytes)) <= step;
}

/// Above 0: files of known size beside it are given in powers of 1024; below: of 1000.
int votes_for_binary(const WrittenSize& like, const std::map<std::string, WrittenSize>& all) {
  int votes = 0;
  for (const auto& [name, written] : all) {
    const KnownFile* file = find_known_file(name);
    if (!file || file->file_bytes == 0 || written.binary || written.bare != like.bare) continue;
    if (contains(file->repository, "rounded") || contains(file->repository, "(of ")) continue;
    votes += is_size(written, 1024, file->file_bytes) ? 1 : 0;
    votes -= is_size(written, 1000, file->file_bytes) ? 1 : 0;
  }
  return votes;
}

}  // namespace

std::optional<StatedSize> stated_size(std::string_view name,
                                      const std::map<std::string, WrittenSize>& stated) {
  const auto at = stated.find(lower(base_name(name)));
  if (at == stated.end()) return std::nullopt;
  const WrittenSize& written = at->second;
  const int votes = written.binary ? 0 : votes_for_binary(written, stated);
  // Official notes write sizes in brackets in powers of 1024 (96 of 96 files of known size), and
  // those without in powers of 1000.
  const bool binary = written.binary || votes > 0 || (votes == 0 && !written.bare);
  StatedSize size;
  size.bytes = std::llround(written.bytes(binary ? 1024 : 1000));
  constexpr const char* kUnits[] = {"", "KB", "MB", "GB"};
  const int digits = static_cast<int>(std::lround(-std::log10(written.step)));
  size.text = fmt::format("{:.{}f} {}", written.number, std::max(0, digits),
                          written.binary ? fmt::format("{}iB", kUnits[written.power][0])
                                         : std::string(kUnits[written.power]));
  const Message how = written.binary ? Message()
                      : votes != 0   ? Message(Say::as_files_beside_it)
                                     : Message(Say::is_assumed);
  size.why = {Say::powers_of, {binary ? 1024 : 1000, how}};
  return size;
}

}  // namespace ebb
