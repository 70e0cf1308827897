// SPDX-License-Identifier: Apache-2.0
// Rules for nodes that give numbers and noise schedules.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "demand/expression.h"
#include "demand/rules.h"

namespace ebb {

SizeValue number_typed(RuleScope& s, const RuleRow&) {
  for (const char* name : {"value", "number", "Number", "int", "float", "Value"}) {
    if (s.has(name)) return s.get(name);
  }
  return unknown_value({Say::has_no_value, {s.node_name()}});
}

namespace {

/// What an input says of yes and no; nothing where that is not known, or not yet.
std::optional<bool> truth(RuleScope& s, std::string_view name) {
  const SizeValue value = s.get(name);
  return value.is_number() ? std::optional(value.number != 0) : std::nullopt;
}

}  // namespace

SizeValue truth_typed(RuleScope& s, const RuleRow&) {
  const auto on = truth(s, "value");
  return on ? number_value(*on ? 1 : 0) : s.unknown();
}

SizeValue value_switched(RuleScope& s, const RuleRow&) {
  const auto on = truth(s, "switch");
  if (s.pending()) return {};
  if (!s.has("on_true")) return s.get("on_false");
  if (!s.has("on_false")) return s.get("on_true");
  return on ? s.get(*on ? "on_true" : "on_false") : guess(s);
}

SizeValue number_converted(RuleScope& s, const RuleRow&) {
  const SizeValue value = s.get("value");
  if (s.pending() || !value.is_number()) return s.unknown();
  return number_value(s.slot() == 1 ? std::trunc(value.number) : value.number);
}

SizeValue number_of_proportion(RuleScope& s, const RuleRow&) {
  const auto megapixels = s.real("megapixels", 0.01, 1024);
  const auto multiple = s.whole("multiple", 1, 1024, 8);
  if (s.pending()) return {};
  if (!megapixels || !multiple) return s.unknown();
  const std::string ratio = s.text("aspect_ratio").value_or("");  // "16:9 (Widescreen)"
  const std::size_t colon = ratio.find(':');
  const auto across = parse_double(ratio.substr(0, std::min(colon, ratio.size())));
  const auto down = parse_double(
      colon < ratio.size() ? ratio.substr(colon + 1, ratio.find(' ') - colon - 1) : "");
  if (!across || !down || *across <= 0 || *down <= 0 || s.slot() > 1) {
    return unknown_value({Say::proportion_not_understood, {s.node_name()}});
  }
  const double scale = std::sqrt(*megapixels * 1024 * 1024 / (*across * *down));
  const double side = (s.slot() == 0 ? *across : *down) * scale;
  const auto step = static_cast<double>(*multiple);
  return number_value(std::nearbyint(side / step) * step);  // Python rounds halves to even, too
}

SizeValue number_of_picture(RuleScope& s, const RuleRow&) {
  const SizeValue picture = s.first({"IMAGE", "VIDEO", "MASK", "LATENT"});
  if (s.pending()) return {};
  const auto& types = s.node().output_types;
  const bool first_is_picture = !types.empty() && types[0] == "IMAGE";  // size and count nodes
  if (first_is_picture && s.slot() == 0) return picture;
  if (!picture.is_shape()) return unknown_value(picture.why);
  const int which = s.slot() - (first_is_picture ? 1 : 0);
  const double numbers[] = {static_cast<double>(picture.shape.width),
                            static_cast<double>(picture.shape.height),
                            static_cast<double>(picture.shape.batch * picture.shape.frames)};
  if (which < 0 || which > 2) return unknown_value(Say::no_such_output);
  SizeValue value = number_value(numbers[which]);
  value.why = picture.why;
  return value;
}

SizeValue number_of_camera(RuleScope& s, const RuleRow&) {
  const char* names[] = {"", "width", "height", "length"};
  return s.slot() >= 1 && s.slot() <= 3 ? s.get(names[s.slot()]) : unknown_value(Say::no_number);
}

SizeValue number_computed(RuleScope& s, const RuleRow&) {
  std::string text;
  for (const char* name : {"expression", "value"}) {
    if (s.has(name) && !s.linked(name)) text = s.text(name).value_or("");
    if (!text.empty()) break;
  }
  const auto name_value = [&s](std::string_view name) -> std::optional<double> {
    for (const std::string prefix : {"", "values."}) {
      const std::string full = prefix + std::string(name);
      if (!s.has(full)) continue;
      const SizeValue value = s.get(full);
      return value.is_number() ? std::optional(value.number) : std::nullopt;
    }
    return {};
  };
  const auto result = evaluate(text, name_value);
  if (s.pending()) return {};
  if (!result) {
    return unknown_value({Say::expression_not_understood, {s.node_name()}});
  }
  const auto& types = s.node().output_types;
  const bool whole =
      s.slot() >= 0 && s.slot() < static_cast<int>(types.size()) && types[s.slot()] == "INT";
  return number_value(whole ? std::trunc(*result) : *result);
}

/// Which of its options a CustomCombo has.
SizeValue number_of_choice(RuleScope& s, const RuleRow&) {
  return s.slot() == 1 && s.has("index") ? s.get("index") : unknown_value(Say::no_number);
}

SizeValue number_of_operation(RuleScope& s, const RuleRow&) {
  const SizeValue a = s.get("a");
  const SizeValue b = s.get("b");
  if (s.pending()) return {};
  if (!a.is_number() || !b.is_number()) return s.unknown();
  const std::string op = lower(s.text(s.has("op") ? "op" : "operation").value_or(""));
  const double x = a.number, y = b.number;
  if (op == "add" || op == "+") return number_value(x + y);
  if (op == "sub" || op == "subtract" || op == "-") return number_value(x - y);
  if (op == "mul" || op == "multiply" || op == "*") return number_value(x * y);
  if ((op == "div" || op == "divide" || op == "/") && y != 0) return number_value(x / y);
  if (op == "floordiv" && y != 0) return number_value(std::floor(x / y));
  if ((op == "mod" || op == "modulo") && y != 0) return number_value(x - y * std::floor(x / y));
  if (op == "min") return number_value(std::min(x, y));
  if (op == "max") return number_value(std::max(x, y));
  return unknown_value({Say::operation_not_understood, {s.node_name(), op}});
}

SizeValue steps_typed(RuleScope& s, const RuleRow&) {
  const auto steps = s.whole("steps", 0, 1'000'000);
  if (s.pending()) return {};
  return steps ? number_value(static_cast<double>(*steps)) : s.unknown();
}

SizeValue steps_split(RuleScope& s, const RuleRow& row) {
  const SizeValue all = s.first({"SIGMAS"});
  double first = 0;
  if (row.class_type == "SplitSigmas") {
    const auto step = s.whole("step", 0, 1'000'000);
    if (s.pending()) return {};
    if (!step) return s.unknown();
    first = static_cast<double>(*step);
  } else {
    const auto denoise = s.real("denoise", 0, 1);
    if (s.pending()) return {};
    if (!denoise || !all.is_number()) return all.is_number() ? s.unknown() : all;
    first = all.number - std::nearbyint(all.number * *denoise);
  }
  if (s.pending()) return {};
  if (!all.is_number()) return s.slot() == 0 ? number_value(first) : all;
  first = std::min(first, all.number);
  return number_value(s.slot() == 0 ? first : all.number - first);
}

SizeValue steps_listed(RuleScope& s, const RuleRow&) {
  const auto text = s.text("sigmas");
  if (!text) return unknown_value({Say::sigmas_are_linked, {s.node_name()}});
  double count = 0;
  for (std::string_view part : split(*text, ',')) {
    if (parse_double(trim(part))) ++count;
  }
  return number_value(std::max(0.0, count - 1));
}

}  // namespace ebb
