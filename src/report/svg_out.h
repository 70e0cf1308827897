// SPDX-License-Identifier: Apache-2.0
// Writing SVG: short numbers, escaped text, nothing that is not a finite number.
#pragma once

#include <string>
#include <string_view>

namespace ebb {

/// One decimal at most; 0 for what is no finite number.
std::string svg_number(double value);

class SvgOut {
 public:
  void raw(std::string_view text) { out_ += text; }
  /// `attributes` as they stand in the element; `title` for people who point at it.
  void rect(double x, double y, double width, double height, std::string_view css_class,
            std::string_view attributes = {}, std::string_view title = {});
  void line(double x1, double y1, double x2, double y2, std::string_view css_class);
  void text(double x, double y, std::string_view text, std::string_view css_class,
            std::string_view attributes = {});
  std::string take() && { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace ebb
