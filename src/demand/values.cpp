// SPDX-License-Identifier: Apache-2.0
// The evaluator: an explicit stack in place of recursion, each output computed once, a circle of
// links answered with "unknown".
#include "demand/values.h"

#include <fmt/format.h>

#include <cmath>

#include "demand/formulas.h"
#include "ebb/bytes.h"

namespace ebb {
namespace {

const SizeValue kNothing;

/// Elements that all sums of a run of these stay below 2^63 bytes.
constexpr std::int64_t kMostElements = kMostBytes / 16;

}  // namespace

SizeValue unknown_value(Message why) {
  SizeValue value;
  value.why = std::move(why);
  return value;
}

SizeValue number_value(double number) {
  SizeValue value;
  value.kind = SizeValue::Kind::number;
  value.number = number;
  return value;
}

/// What is typed in: a number, or yes and no as 1 and 0.
static std::optional<double> typed(const PromptInput& input) {
  if (input.value == "true") return 1;
  if (input.value == "false") return 0;
  return input.number();
}

const PromptNode& RuleScope::node() const { return values_.graph_.node(node_); }
const PromptGraph& RuleScope::graph() const { return values_.graph_; }
const SizeOverrides& RuleScope::sizes() const { return values_.sizes_; }

bool RuleScope::linked(std::string_view name) const {
  const PromptInput* input = node().input(name);
  return input && input->link;
}

bool RuleScope::has(std::string_view name) const { return node().input(name) != nullptr; }

std::optional<std::string> RuleScope::text(std::string_view name) const {
  const PromptInput* input = node().input(name);
  return input ? input->text() : std::nullopt;
}

SizeValue RuleScope::value_of(const PromptGraph::Source& source) {
  if (!source.exists()) return unknown_value(Say::link_leads_nowhere);
  const auto found = values_.entries_.find(PromptValues::key(source));
  if (found != values_.entries_.end() && found->second.state == PromptValues::State::done) {
    return found->second.value;
  }
  needs_.push_back(source);
  return {};
}

SizeValue RuleScope::get(const PromptInput& input) {
  if (input.link) return value_of(graph().source(input));
  if (const auto number = typed(input)) return number_value(*number);
  return unknown_value({Say::not_a_number, {node_name(), input.name}});
}

SizeValue RuleScope::get(std::string_view name) {
  const PromptInput* input = node().input(name);
  if (!input) return unknown_value({Say::has_no_input, {node_name(), name}});
  SizeValue value = get(*input);
  if (!value.known() && !pending()) why_ = value.why;
  if (value.known() && !value.why.empty()) assumed_ = value.why;
  return value;
}

SizeValue RuleScope::first(std::initializer_list<std::string_view> types) {
  for (const std::string_view type : types) {
    if (const PromptInput* input = graph().input_of_type(node_, type)) return get(input->name);
  }
  why_ = {Say::gets_no_picture, {node_name()}};
  return unknown();
}

std::optional<double> RuleScope::real(std::string_view name, double least, double most,
                                      std::optional<double> fallback) {
  const PromptInput* input = node().input(name);
  if (!input) {
    if (!fallback) why_ = {Say::has_no_input, {node_name(), name}};
    return fallback;
  }
  const SizeValue value = get(name);
  if (pending()) return {};
  if (!value.is_number()) {
    if (why_.empty()) why_ = {Say::input_not_known, {node_name(), name}};
    return {};
  }
  if (!(value.number >= least && value.number <= most)) {
    why_ = {
        Say::outside_its_range,
        {name, value.number, static_cast<std::int64_t>(least), static_cast<std::int64_t>(most)}};
    // What the class takes, its definition says, and that was asked when the file was read.
    return {};
  }
  return value.number;
}

std::optional<std::int64_t> RuleScope::whole(std::string_view name, std::int64_t least,
                                             std::int64_t most,
                                             std::optional<std::int64_t> fallback) {
  const auto value =
      real(name, static_cast<double>(least), static_cast<double>(most),
           fallback ? std::optional<double>(static_cast<double>(*fallback)) : std::nullopt);
  return value ? std::optional(static_cast<std::int64_t>(*value)) : std::nullopt;
}

std::optional<MediaSize> RuleScope::media(std::string_view file) const {
  return values_.facts_.media ? values_.facts_.media(file) : std::nullopt;
}

std::string RuleScope::architecture() const {
  return values_.facts_.architecture ? values_.facts_.architecture() : std::string();
}

const VaeRow* RuleScope::vae() {
  const VaeRow* row = values_.facts_.vae_of ? values_.facts_.vae_of(node_) : nullptr;
  if (!row) why_ = {Say::vae_of_unknown_kind, {node_name()}};
  return row;
}

SizeValue RuleScope::made(Shape shape) {
  if (shape.batch < 1 || shape.channels < 1 || shape.frames < 1 || shape.height < 1 ||
      shape.width < 1) {
    why_ = {Say::picture_of_no_size, {node_name()}};
    return unknown();
  }
  if (element_count(shape) > kMostElements) {
    why_ = {Say::more_than_any_memory, {node_name()}};
    if (!values_.error_) {
      values_.error_ = input_error(node().label() + " asks for more than any memory holds", {},
                                   node().label(), "Change it in the workflow.");
    }
    return unknown();
  }
  SizeValue value;
  value.kind = SizeValue::Kind::shape;
  value.shape = shape;
  value.made_by = node_;
  value.why = assumed_;
  return value;
}

SizeValue RuleScope::unknown() const { return unknown_value(why_); }

SizeValue PromptValues::compute(RuleScope& scope) {
  if (const RuleRow* rule = find_rule(scope.node().class_type)) return rule->apply(scope, *rule);
  return guess(scope);
}

void PromptValues::step(std::vector<PromptGraph::Source>& stack) {
  const PromptGraph::Source source = stack.back();
  Entry& entry = entries_[key(source)];
  if (entry.state == State::done) {
    stack.pop_back();
    return;
  }
  entry.state = State::open;
  RuleScope scope(*this, source.node, source.slot);
  SizeValue value = compute(scope);
  for (const PromptGraph::Source& need : scope.needs()) {
    Entry& needed = entries_[key(need)];
    if (needed.state == State::waiting) {
      stack.push_back(need);
    } else if (needed.state == State::open) {  // it waits for this very output
      needed.value =
          unknown_value({Say::links_form_a_circle, {NodeName{graph_.node(need.node).label()}}});
      needed.state = State::done;
    }
  }
  if (scope.pending()) return;
  entry.value = std::move(value);
  entry.state = State::done;
  stack.pop_back();
}

const SizeValue& PromptValues::of(const PromptGraph::Source& source) {
  if (!source.exists()) return kNothing;
  std::vector<PromptGraph::Source> stack = {source};
  while (!stack.empty()) step(stack);
  return entries_[key(source)].value;
}

const SizeValue& PromptValues::input(NodeIndex node, std::string_view name) {
  return of(graph_.source(node, name));
}

std::optional<double> PromptValues::number(NodeIndex node, std::string_view name) {
  const PromptInput* input = graph_.node(node).input(name);
  if (!input) return {};
  if (!input->link) return input->number();
  const SizeValue& value = of(graph_.source(*input));
  return value.is_number() ? std::optional(value.number) : std::nullopt;
}

std::optional<bool> PromptValues::truth(const PromptInput& input) {
  std::optional<double> number = typed(input);
  if (input.link) {
    const SizeValue& value = of(graph_.source(input));
    number = value.is_number() ? std::optional(value.number) : std::nullopt;
  }
  return number ? std::optional(*number != 0) : std::nullopt;
}

namespace {

Result<Done> check_override(std::string_view name, const std::optional<std::int64_t>& value,
                            std::int64_t least, std::int64_t most) {
  if (!value || (*value >= least && *value <= most)) return Done{};
  return usage_error(fmt::format("{} {} is not usable; it must be from {} to {}", name, *value,
                                 format_count(least), format_count(most)),
                     "Give a value in that range.");
}

}  // namespace

Result<Done> check_overrides(const SizeOverrides& sizes) {
  if (auto ok = check_override("--frames", sizes.frames, 1, kMostFrames); !ok) return ok;
  if (auto ok = check_override("a width of", sizes.width, 16, kMostPixels); !ok) return ok;
  return check_override("a height of", sizes.height, 16, kMostPixels);
}

}  // namespace ebb
