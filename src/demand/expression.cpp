// SPDX-License-Identifier: Apache-2.0
// A recursive-descent evaluator with a bound on its depth.
#include "demand/expression.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string>
#include <vector>

#include "base/text.h"

namespace ebb {
namespace {

constexpr int kMostLevels = 64;
constexpr std::size_t kMostCharacters = 4096;

class Evaluator {
 public:
  Evaluator(std::string_view text,
            const std::function<std::optional<double>(std::string_view)>& name_value)
      : text_(text), name_value_(name_value) {}

  std::optional<double> run() {
    const double value = sum();
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

  double sum() {
    if (++level_ > kMostLevels) return fail();
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
    --level_;
    return value;
  }

  double product() {
    double value = power();
    while (!failed_) {
      if (take("//")) {
        const double by = power();
        value = by == 0 ? fail() : std::floor(value / by);
      } else if (take("/")) {
        const double by = power();
        value = by == 0 ? fail() : value / by;
      } else if (take("%")) {
        const double by = power();
        value = by == 0 ? fail() : value - by * std::floor(value / by);
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
      const double value = sum();
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
    std::vector<double> arguments = {sum()};
    while (!failed_ && take(",")) arguments.push_back(sum());
    if (failed_ || !take(")")) return fail();
    const double first = arguments.front();
    if (name == "min") return *std::min_element(arguments.begin(), arguments.end());
    if (name == "max") return *std::max_element(arguments.begin(), arguments.end());
    if (arguments.size() != 1) return fail();
    if (name == "round") return std::nearbyint(first);  // halves to even, as Python does
    if (name == "floor") return std::floor(first);
    if (name == "ceil") return std::ceil(first);
    if (name == "int") return std::trunc(first);
    if (name == "float") return first;
    if (name == "abs") return std::abs(first);
    if (name == "sqrt" && first >= 0) return std::sqrt(first);
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
