// SPDX-License-Identifier: Apache-2.0
// What a lower floor has to tell: a code and its arguments. report/ has the words of every code; a
// program compares codes.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ebb {

/// The codes: stable names, as `--json` has them.
enum class Say : std::uint16_t {
  nothing,
#include "ebb/codes.inc"
  ,
  count_of_codes
};
/// `size_unknown`.
const char* to_string(Say code);

struct Argument;

/// A code with what its words have in their braces, in that order. Copies share the arguments:
/// sources go with every number of every step.
struct Message {
  Say code = Say::nothing;

  Message() = default;
  Message(Say code);
  Message(Say code, std::vector<Argument> arguments);
  Message(std::string words);  ///< Say::text: words that came from outside; nothing if empty
  Message(const char* words) : Message(std::string(words)) {}

  const std::vector<Argument>& arguments() const;
  bool empty() const { return code == Say::nothing; }
  Message& operator+=(Message more);  ///< says `more` right after
  /// The words of Say::text; empty for any other code.
  std::string text() const;

 private:
  std::shared_ptr<const std::vector<Argument>> arguments_;  // null: none
};

/// A node of the prompt, as sentences name it: `node 9 KSampler`.
struct NodeName {
  std::string label;

  bool operator==(const NodeName&) const = default;
};

/// Bytes are whole numbers; a list of names or of messages is joined as its words ask for it.
struct Argument {
  std::variant<std::int64_t, double, std::string, NodeName, std::vector<std::string>, Message,
               std::vector<Message>>
      value;

  template <std::integral T>
  Argument(T number) : value(static_cast<std::int64_t>(number)) {}
  Argument(double number) : value(number) {}
  Argument(std::string text) : value(std::move(text)) {}
  Argument(std::string_view text) : value(std::string(text)) {}
  Argument(const char* text) : value(std::string(text)) {}
  Argument(NodeName node) : value(std::move(node)) {}
  Argument(std::vector<std::string> names) : value(std::move(names)) {}
  Argument(Say code) : value(Message(code)) {}
  Argument(Message message) : value(std::move(message)) {}
  Argument(std::vector<Message> messages) : value(std::move(messages)) {}

  bool operator==(const Argument&) const = default;
};

inline Message::Message(Say its_code) : code(its_code) {}
inline Message::Message(Say its_code, std::vector<Argument> arguments)
    : code(its_code),
      arguments_(std::make_shared<const std::vector<Argument>>(std::move(arguments))) {}
inline Message::Message(std::string words) {
  if (!words.empty()) *this = Message(Say::text, {Argument(std::move(words))});
}
inline const std::vector<Argument>& Message::arguments() const {
  static const std::vector<Argument> none;
  return arguments_ ? *arguments_ : none;
}
inline std::string Message::text() const {
  return code == Say::text ? std::get<std::string>(arguments().front().value) : std::string();
}
inline Message& Message::operator+=(Message more) {
  return *this = Message(Say::one_after_the_other, {std::move(*this), std::move(more)});
}
inline bool operator==(const Message& a, const Message& b) {
  return a.code == b.code && (&a.arguments() == &b.arguments() || a.arguments() == b.arguments());
}

}  // namespace ebb
