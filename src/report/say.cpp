// SPDX-License-Identifier: Apache-2.0
#include "report/say.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

#include "ebb/bytes.h"
#include "report/words.h"

namespace ebb {
namespace {

struct Words {
  const char* code = nullptr;
  const char* text = "";
};
constexpr std::array<Words, static_cast<std::size_t>(Say::count_of_codes)> kWords = [] {
  std::array<Words, static_cast<std::size_t>(Say::count_of_codes)> all;
  all[0].code = "nothing";
#define EBB_SAY(its_code, words) all[static_cast<std::size_t>(Say::its_code)] = {#its_code, words};
#include "report/messages.inc"
#undef EBB_SAY
  return all;
}();
static_assert(std::ranges::all_of(kWords, [](const Words& words) { return words.code; }),
              "a code of ebb/codes.inc has no words");

const Words& words_of(Say code) { return kWords[static_cast<std::size_t>(code)]; }

/// `a`, `a and b`, `a, b, c and 2 more`.
std::string some_of(std::vector<std::string> names) {
  constexpr std::size_t kNamed = 3;
  if (names.size() > kNamed) {
    const std::size_t more = names.size() - kNamed;
    names.resize(kNamed);
    names.push_back(fmt::format("{} more", more));
  }
  return join_and(names);
}

/// One argument as the braces around it ask for it: a size ({mib}, {gib}), a {count}, a {list} or
/// {some} of it, a {model}, a format of fractions, or as it is.
class Speaker {
 public:
  Speaker(std::string_view how, const ShortNames& names) : how_(how), names_(names) {}

  std::string operator()(std::int64_t number) const {
    if (how_ == "mib") return format_mib(number);
    if (how_ == "gib") return format_gib(number);
    return how_ == "count" ? format_count(number) : std::to_string(number);
  }
  std::string operator()(double number) const {
    const bool size = how_ == "mib" || how_ == "gib" || how_ == "count";
    if (size) return (*this)(std::int64_t{std::llround(number)});
    return fmt::format(fmt::runtime(fmt::format("{{:{}}}", how_)), number);
  }
  std::string operator()(const std::string& text) const {
    const auto name = how_ == "model" ? names_.find(text) : names_.end();
    return name == names_.end() ? text : name->second;
  }
  std::string operator()(const NodeName& node) const { return node.label; }
  std::string operator()(const std::vector<std::string>& list) const {
    return how_ == "some"   ? some_of(list)
           : how_ == "list" ? join_and(list)
                            : fmt::format("{}", fmt::join(list, ", "));
  }
  std::string operator()(const Message& message) const { return say(message, names_); }
  std::string operator()(const std::vector<Message>& all) const {
    if (how_ != "some") return say(all, names_);
    std::vector<std::string> words;
    for (const Message& message : all) words.push_back(say(message, names_));
    return some_of(std::move(words));
  }

 private:
  std::string_view how_;
  const ShortNames& names_;
};

void write_code(JsonWriter& json, const Message& message);

void write_argument(JsonWriter& json, const Argument& argument) {
  struct Write {
    JsonWriter& json;
    void operator()(std::int64_t number) const { json.value(number); }
    void operator()(double number) const { json.value(number); }
    void operator()(const std::string& text) const { json.value(valid_utf8(text)); }
    void operator()(const NodeName& node) const { json.value(valid_utf8(node.label)); }
    void operator()(const std::vector<std::string>& list) const {
      json.begin_array();
      for (const std::string& name : list) json.value(valid_utf8(name));
      json.end_array();
    }
    void operator()(const Message& message) const { write_code(json, message); }
    void operator()(const std::vector<Message>& list) const {
      json.begin_array();
      for (const Message& message : list) write_code(json, message);
      json.end_array();
    }
  };
  std::visit(Write{json}, argument.value);
}

void write_code(JsonWriter& json, const Message& message) {
  json.begin_object().member("code", to_string(message.code));
  json.key("arguments").begin_array();
  for (const Argument& argument : message.arguments()) write_argument(json, argument);
  json.end_array().end_object();
}

}  // namespace

const char* to_string(Say code) { return words_of(code).code; }

std::string say(const Message& message, const ShortNames& names) {
  const std::string_view words = words_of(message.code).text;
  std::string text;
  const std::vector<Argument>& arguments = message.arguments();
  std::size_t next = 0;
  std::size_t done = 0;
  for (auto open = words.find('{'); open != std::string_view::npos; open = words.find('{', done)) {
    const auto close = words.find('}', open);
    text += words.substr(done, open - done);
    done = close + 1;
    if (next < arguments.size()) {
      const Speaker speaker(words.substr(open + 1, close - open - 1), names);
      text += std::visit(speaker, arguments[next].value);
    }
    ++next;
  }
  assert(next == arguments.size());
  return text += words.substr(done);
}

std::string say(const std::vector<Message>& messages, const ShortNames& names) {
  std::string text;
  for (const Message& message : messages) {
    text += (text.empty() ? "" : "; ") + say(message, names);
  }
  return text;
}

std::string say(const Message& message) { return say(message, {}); }
std::string say(const std::vector<Message>& messages) { return say(messages, {}); }
std::string sentence(const Message& message) { return as_sentence(say(message)); }

void write_codes(JsonWriter& json, std::string_view key, const std::vector<Message>& messages) {
  json.key(key).begin_array();
  for (const Message& message : messages) write_code(json, message);
  json.end_array();
}

}  // namespace ebb
