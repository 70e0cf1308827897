// SPDX-License-Identifier: Apache-2.0
// Errors as values: what input can cause comes back as a Result; what only a bug can cause is an
// assert. Nothing in the library throws, prints or exits.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace ebb {

/// Decides the exit code of the command: usage 2, input 3, internal 4.
enum class ErrorCode { usage, input, internal };

/// What callers tell apart beyond that, whatever the sentence is.
enum class ErrorReason { none, no_such_card, nothing_of_ours };
/// `no_such_card`; null for none.
const char* to_string(ErrorReason reason);

/// Where an error is. Empty or negative parts are unknown and are not printed.
struct Where {
  std::string file;          ///< path as the user gave it
  std::int64_t line = -1;    ///< 1-based
  std::int64_t column = -1;  ///< 1-based, in bytes
  std::string place;         ///< what a reader can look for: `node 37 UNETLoader`, `/nodes/3`
};

/// One cause, not its consequences: what is wrong, where, and the way out.
struct Error {
  ErrorCode code = ErrorCode::input;
  std::string message;  ///< a sentence without a final line break
  Where where;
  std::string hint;  ///< the way out, a sentence; may be empty
  ErrorReason reason = ErrorReason::none;

  Error&& because(ErrorReason why) && { return reason = why, std::move(*this); }
};

/// `file:line:column: place: message` and, on a second line, the hint.
std::string to_string(const Error& error);

/// Either a value or the Error that prevented it.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(implicit)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(implicit)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  /// REQUIRES: ok().
  T& value() & { return assert(ok()), std::get<0>(state_); }
  const T& value() const& { return assert(ok()), std::get<0>(state_); }
  T&& value() && { return assert(ok()), std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  /// REQUIRES: !ok().
  const Error& error() const& { return assert(!ok()), std::get<1>(state_); }
  Error&& error() && { return assert(!ok()), std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

/// For functions that only succeed or fail.
struct Done {};

/// An input error with its message, file and place; the usual way to make one.
Error input_error(std::string message, std::string file = {}, std::string place = {},
                  std::string hint = {});

/// A usage error: the arguments make no sense together.
Error usage_error(std::string message, std::string hint = {});

}  // namespace ebb
