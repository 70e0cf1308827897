// SPDX-License-Identifier: Apache-2.0
// docs/demand.md prints the table of src/demand; both must say the same.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "demand/architectures.h"
#include "tests/support.h"

namespace ebb {
namespace {

std::string number(double value) { return value == 0 ? "-" : fmt::format("{:.5g}", value); }

std::string live_text(const DiffusionRow& row) {
  switch (row.rule) {
    case LiveRule::tokens:
      return fmt::format(
          "{} u{}{}", number(row.live),
          row.live_fixed_mib > 0 ? fmt::format(" + {} MiB", row.live_fixed_mib) : "",
          row.text_tokens > 0 ? fmt::format(", {} text tokens", row.text_tokens) : "");
    case LiveRule::latent_pixels: return fmt::format("{:.0f} B a latent pixel", row.live);
    case LiveRule::share: return fmt::format("{} of the estimate", number(row.live));
  }
  return "";
}

std::string line_of(const DiffusionRow& row) {
  std::string factors;
  for (const double factor : row.factor) factors += fmt::format(" {} |", number(factor));
  return fmt::format("| {} |{} {} | {} | {}-{} | {} | {} |", row.key, factors, live_text(row),
                     number(row.reserved), number(row.low), number(row.high), to_string(row.kind),
                     row.source);
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

/// Columns that say the same are joined.
std::string formulas(const std::array<VaeFormula, 4>& columns, bool decode) {
  std::string text;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string formula = formula_text(columns[i], decode);
    if (i > 0 && formula == formula_text(columns[i - 1], decode)) continue;
    if (!text.empty()) text += fmt::format("; from {}: ", to_string(kTableVersions[i]));
    text += formula;
  }
  return text;
}

std::string vae_live(const VaeRow& row) {
  if (row.decode_pixel == 0) return fmt::format("{} of the estimate", number(row.share));
  std::string text = fmt::format("decode {}", number(row.decode_pixel));
  if (row.decode_pixel_frame > 0) text += fmt::format(" + {}*F", number(row.decode_pixel_frame));
  text += " B a pixel";
  if (row.decode_picture > 0) text += fmt::format(" (one picture: {})", number(row.decode_picture));
  text += row.encode_pixel > 0 ? fmt::format(", encode {}", number(row.encode_pixel))
                               : fmt::format(", encode {} of the estimate", number(row.share));
  return text;
}

std::string line_of(const VaeRow& row) {
  return fmt::format("| {} | {} | {} | {} | {} | {}-{} | {} | {} |", row.key,
                     formulas(row.decode, true), formulas(row.encode, false), vae_live(row),
                     number(row.reserved), number(row.low), number(row.high), to_string(row.kind),
                     row.source);
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
  const std::size_t heads = 3;  // one head line in each of the three tables
  EXPECT_EQ(rows, diffusion_rows().size() + vae_rows().size() + text_rows().size() + heads);
}

}  // namespace
}  // namespace ebb
