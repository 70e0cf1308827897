// SPDX-License-Identifier: Apache-2.0
// A recursive-descent evaluator with a bound on its depth.
#include "demand/expression.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "base/text.h"

namespace ebb {
namespace {

constexpr int kMostLevels = 64;
constexpr std::size_t kMostCharacters = 4096;
/// What a division by zero gives: an expression fails only if its result rests on it.
constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

class Evaluator {
 public:
  Evaluator(std::string_view text,
            const std::function<std::optional<double>(std::string_view)>& name_value)
      : text_(text), name_value_(name_value) {}

  std::optional<double> run() {
    const double value = choice();
    skip_spaces();
    if (failed_ || at_ != text_.size() || !std::isfinite(value)) return {};
    return value;
  }

 private:
  double fail() {
    failed_ = true;
    at_ = text_.size();
    return 0;
  }

  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }

  bool take(std::string_view token) {
    skip_spaces();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }

  bool take_word(std::string_view word) {
    skip_spaces();
    const std::size_t end = at_ + word.size();
    if (text_.substr(at_, word.size()) != word) return false;
    if (end < text_.size() &&
        (std::isalnum(static_cast<unsigned char>(text_[end])) || text_[end] == '_')) {
      return false;
    }
    at_ = end;
    return true;
  }

  double choice() {
    if (++level_ > kMostLevels) return fail();
    double value = either();
    if (take_word("if")) {
      const double condition = either();
      const double other = take_word("else") ? choice() : fail();
      value = std::isnan(condition) ? kNothing : condition == 0 ? other : value;
    }
    --level_;
    return value;
  }

  double either() {
    double value = both();
    while (!failed_ && take_word("or")) {
      const double other = both();
      if (value == 0) value = other;
    }
    return value;
  }

  double both() {
    double value = inverse();
    while (!failed_ && take_word("and")) {
      const double other = inverse();
      if (value != 0 && !std::isnan(value)) value = other;
    }
    return value;
  }

  double inverse() {
    bool inverted = false, any = false;
    while (take_word("not")) any = true, inverted = !inverted;
    const double value = comparison();
    return !any || std::isnan(value) ? value : (value != 0) != inverted ? 1 : 0;
  }

  double comparison() {
    double left = bits();
    bool any = false, holds = true, nothing = std::isnan(left);
    while (!failed_) {
      bool here = false;
      double right = 0;
      const auto next = [&] { return right = bits(); };
      if (take("<=")) {
        here = left <= next();
      } else if (take(">=")) {
        here = left >= next();
      } else if (take("==")) {
        here = left == next();
      } else if (take("!=")) {
        here = left != next();
      } else if (take("<")) {
        here = left < next();
      } else if (take(">")) {
        here = left > next();
      } else {
        break;
      }
      any = true;
      nothing = nothing || std::isnan(right);
      holds = holds && here;  // a < b < c is both
      left = right;
    }
    if (!any) return left;
    return nothing ? kNothing : holds ? 1 : 0;
  }

  /// A whole number that a double holds exactly.
  std::int64_t whole(double value) {
    if (std::trunc(value) == value && std::abs(value) < 0x1p53) {
      return static_cast<std::int64_t>(value);
    }
    return static_cast<std::int64_t>(fail());
  }

  double bits() {
    double value = differing_bits();
    while (!failed_ && take("|")) {
      value = static_cast<double>(whole(value) | whole(differing_bits()));
    }
    return value;
  }
  double differing_bits() {
    double value = common_bits();
    while (!failed_ && take("^")) value = static_cast<double>(whole(value) ^ whole(common_bits()));
    return value;
  }
  double common_bits() {
    double value = shifted();
    while (!failed_ && take("&")) value = static_cast<double>(whole(value) & whole(shifted()));
    return value;
  }
  double shifted() {
    double value = sum();
    while (!failed_) {
      const bool left = take("<<");
      if (!left && !take(">>")) break;
      const double by = sum();
      if (failed_ || !(by >= 0 && by <= 52)) return fail();
      value = std::floor(static_cast<double>(whole(value)) * std::pow(2.0, left ? by : -by));
    }
    return value;
  }

  double sum() {
    double value = product();
    while (!failed_) {
      if (take("+")) {
        value += product();
      } else if (take("-")) {
        value -= product();
      } else {
        break;
      }
    }
    return value;
  }

  double product() {
    double value = power();
    while (!failed_) {
      if (take("//")) {
        const double by = power();
        value = by == 0 ? kNothing : std::floor(value / by);
      } else if (take("/")) {
        const double by = power();
        value = by == 0 ? kNothing : value / by;
      } else if (take("%")) {
        const double by = power();
        value = by == 0 ? kNothing : value - by * std::floor(value / by);
      } else if (take("*")) {
        value *= power();
      } else {
        break;
      }
    }
    return value;
  }

  double power() {
    if (++level_ > kMostLevels) return fail();
    double value = 0;
    if (take("-")) {
      value = -power();
    } else if (take("+")) {
      value = power();
    } else if (take("~")) {
      value = static_cast<double>(~whole(power()));
    } else {
      value = atom();
      if (!failed_ && take("**")) value = std::pow(value, power());
    }
    --level_;
    return value;
  }

  double atom() {
    skip_spaces();
    if (take("(")) {
      const double value = choice();
      return take(")") ? value : fail();
    }
    const std::size_t begin = at_;
    if (at_ < text_.size() &&
        (std::isdigit(static_cast<unsigned char>(text_[at_])) || text_[at_] == '.')) {
      while (at_ < text_.size() &&
             (std::isdigit(static_cast<unsigned char>(text_[at_])) || text_[at_] == '.')) {
        ++at_;
      }
      const auto number = parse_double(text_.substr(begin, at_ - begin));
      return number ? *number : fail();
    }
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) {
      ++at_;
    }
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (name.empty()) return fail();
    if (take("(")) return call(name);
    const auto value = name_value_(name);
    return value ? *value : fail();
  }

  double call(std::string_view name) {
    std::vector<double> arguments = {choice()};
    while (!failed_ && take(",")) arguments.push_back(choice());
    if (failed_ || !take(")")) return fail();
    if (std::any_of(arguments.begin(), arguments.end(), [](double x) { return std::isnan(x); })) {
      return kNothing;
    }
    const double first = arguments.front();
    if (name == "min") return *std::min_element(arguments.begin(), arguments.end());
    if (name == "max") return *std::max_element(arguments.begin(), arguments.end());
    if (name == "sum") return std::accumulate(arguments.begin(), arguments.end(), 0.0);
    if (name == "pow" && arguments.size() == 2) return std::pow(first, arguments[1]);
    if (name == "log" && arguments.size() == 2 && first > 0 && arguments[1] > 0) {
      return std::log(first) / std::log(arguments[1]);
    }
    if (arguments.size() != 1) return fail();
    if (name == "round") return std::nearbyint(first);  // halves to even, as Python does
    if (name == "floor") return std::floor(first);
    if (name == "ceil") return std::ceil(first);
    if (name == "int") return std::trunc(first);
    if (name == "float") return first;
    if (name == "abs") return std::abs(first);
    if (name == "sqrt" && first >= 0) return std::sqrt(first);
    if (name == "log" && first > 0) return std::log(first);
    if (name == "log2" && first > 0) return std::log2(first);
    if (name == "log10" && first > 0) return std::log10(first);
    if (name == "sin") return std::sin(first);
    if (name == "cos") return std::cos(first);
    if (name == "tan") return std::tan(first);
    return fail();
  }

  std::string_view text_;
  const std::function<std::optional<double>(std::string_view)>& name_value_;
  std::size_t at_ = 0;
  int level_ = 0;
  bool failed_ = false;
};

}  // namespace

std::optional<double> evaluate(
    std::string_view text,
    const std::function<std::optional<double>(std::string_view)>& name_value) {
  if (text.size() > kMostCharacters) return {};
  return Evaluator(text, name_value).run();
}

}  // namespace ebb
