// SPDX-License-Identifier: Apache-2.0
// docs/demand.md prints the table of src/demand; both must say the same.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "demand/architectures.h"
#include "tests/support.h"

namespace ebb {
namespace {

std::string number(double value) { return value == 0 ? "-" : fmt::format("{:.5g}", value); }

/// One text for each version at which it changes.
template <class Columns, class Text>
std::string by_version(const Columns& columns, Text text_of) {
  std::string text;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string one = text_of(columns[i]);
    if (i > 0 && one == text_of(columns[i - 1])) continue;
    if (!text.empty()) text += fmt::format("; from {}: ", to_string(kColumns[i]));
    text += one;
  }
  return text;
}

std::string live_text(const DiffusionRow& row) {
  return by_version(row.live, [&row](const SampleLive& live) -> std::string {
    const char* unit = row.rule == LiveRule::tokens          ? "u"
                       : row.rule == LiveRule::latent_pixels ? "B a latent pixel"
                                                             : "of the estimate";
    std::string text = fmt::format("{} {}", number(live.rate), unit);
    if (live.item_mib != 0) text += fmt::format(" {:+.4g} MiB", live.item_mib);
    return text;
  });
}

std::string reserved_text(const auto& columns) {
  return by_version(columns, [](const auto& live) { return number(live.reserved); });
}

std::string line_of(const DiffusionRow& row) {
  std::string factors;
  for (const double factor : row.factor) factors += fmt::format(" {} |", number(factor));
  return fmt::format("| {} |{} {} | {} | {}-{} | {} | {} |", row.key, factors, live_text(row),
                     reserved_text(row.live), number(row.low), number(row.high),
                     to_string(row.kind), row.source);
}

std::string line_of(const ControlRow& row) {
  const DiffusionRow* base = find_diffusion_row(row.base);
  const std::string more = by_version(row.more, [base](const SampleLive& live) {
    const bool tokens = base && base->rule == LiveRule::tokens;
    std::string text = fmt::format("{} {}", number(live.rate), tokens ? "u" : "B a latent pixel");
    if (live.item_mib != 0) text += fmt::format(" {:+.4g} MiB", live.item_mib);
    return text;
  });
  return fmt::format("| {} | {} | {} | {} | {}-{} | measured | {} |", row.key, row.nets, more,
                     reserved_text(row.more), number(row.low), number(row.high), row.source);
}

std::string formula_text(const VaeFormula& f, bool decode) {
  if (f.scale == 0) return "unknown";
  const char* frames[] = {
      "", "T*", "max(T,2)*", "max(T,7)*", "min(8,4(T-1)+1)*", "min(9,T)*", "8*round((T+7)/8)*"};
  std::string text = number(f.scale);
  if (f.scale_few > 0) text += fmt::format(" (T <= 4: {})", number(f.scale_few));
  text += fmt::format("*{}{}", frames[static_cast<int>(f.frames)], decode ? "h*w" : "H*W");
  if (f.unit != 1) text += fmt::format("*{}", f.unit);
  return text;
}

std::string formulas(const ByVersion<VaeFormula>& columns, bool decode) {
  return by_version(columns, [decode](const VaeFormula& f) { return formula_text(f, decode); });
}

std::string vae_live(const VaeRow& row, const ByVersion<VaeLive>& columns) {
  return by_version(columns, [&row](const VaeLive& live) -> std::string {
    if (live.pixel == 0 && live.frame == 0) {
      return fmt::format("{} of the estimate", number(row.share));
    }
    std::string text = live.pixel > 0 ? number(live.pixel) : "";
    if (live.frame > 0) {
      text += fmt::format("{}{}*F", text.empty() ? "" : " + ", number(live.frame));
    }
    if (live.picture > 0) text += fmt::format(" (one picture: {})", number(live.picture));
    return text;
  });
}

std::string line_of(const VaeRow& row) {
  return fmt::format("| {} | {} | {} | {} | {} | {} | {} | {}-{} | {} | {} |", row.key,
                     formulas(row.decode, true), formulas(row.encode, false),
                     vae_live(row, row.decode_live), vae_live(row, row.encode_live),
                     reserved_text(row.decode_live), reserved_text(row.encode_live),
                     number(row.low), number(row.high), to_string(row.kind), row.source);
}

std::string line_of(const TextRow& row) {
  return fmt::format("| {} | {} | {}x{} | {} MiB | {} |", row.key, row.title, row.tokens, row.width,
                     row.live_mib, row.source);
}

template <class Rows>
void expect_lines(const std::string& doc, const Rows& rows) {
  std::string missing;
  for (const auto& row : rows) {
    const std::string line = line_of(row);
    if (doc.find(line + "\n") == std::string::npos) missing += line + "\n";
  }
  EXPECT_EQ(missing, "") << "docs/demand.md lacks these lines; put them in place of the old ones";
}

TEST(DemandDoc, PrintsEveryRowOfTheTable) {
  const std::string doc = test::slurp(test::source_dir() / "docs/demand.md");
  expect_lines(doc, diffusion_rows());
  expect_lines(doc, control_rows());
  expect_lines(doc, vae_rows());
  expect_lines(doc, text_rows());
}

TEST(DemandDoc, PrintsNoRowThatTheTableLacks) {
  const std::string doc = test::slurp(test::source_dir() / "docs/demand.md");
  std::size_t rows = 0;
  for (std::size_t at = doc.find("<!-- rows -->"); at != std::string::npos;) {
    const std::size_t end = doc.find("<!-- end -->", at);
    ASSERT_NE(end, std::string::npos);
    for (std::size_t i = at; i < end; ++i) rows += doc.compare(i, 3, "\n| ") == 0;
    at = doc.find("<!-- rows -->", end);
  }
  const std::size_t heads = 4;  // one head line in each of the four tables
  EXPECT_EQ(rows, diffusion_rows().size() + control_rows().size() + vae_rows().size() +
                      text_rows().size() + heads);
}

}  // namespace
}  // namespace ebb
