// SPDX-License-Identifier: Apache-2.0
// Elements of an SVG.
#include "report/svg_out.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/words.h"

namespace ebb {

std::string svg_number(double value) {
  if (!std::isfinite(value)) return "0";
  std::string text = fmt::format("{:.1f}", std::clamp(value, -1e7, 1e7));
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

void SvgOut::rect(double x, double y, double width, double height, std::string_view css_class,
                  std::string_view attributes, std::string_view title) {
  out_ += fmt::format(R"(<rect x="{}" y="{}" width="{}" height="{}")", svg_number(x), svg_number(y),
                      svg_number(std::max(width, 0.0)), svg_number(std::max(height, 0.0)));
  if (!css_class.empty()) out_ += fmt::format(R"( class="{}")", css_class);
  if (!attributes.empty()) out_ += fmt::format(" {}", attributes);
  out_ += title.empty() ? "/>\n" : "><title>" + escape_xml(title) + "</title></rect>\n";
}

void SvgOut::line(double x1, double y1, double x2, double y2, std::string_view css_class) {
  out_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" class=\"{}\"/>\n",
                      svg_number(x1), svg_number(y1), svg_number(x2), svg_number(y2), css_class);
}

void SvgOut::text(double x, double y, std::string_view text, std::string_view css_class,
                  std::string_view attributes) {
  out_ += fmt::format(R"(<text x="{}" y="{}")", svg_number(x), svg_number(y));
  if (!css_class.empty()) out_ += fmt::format(R"( class="{}")", css_class);
  if (!attributes.empty()) out_ += fmt::format(" {}", attributes);
  out_ += ">" + escape_xml(text) + "</text>\n";
}

}  // namespace ebb
