// SPDX-License-Identifier: Apache-2.0
// A JSON document that keeps its text: every value is a span of the original bytes, so that an
// edit leaves untouched bytes identical (NaN, 2^64, 0.09000000000000002, duplicate keys, order).
//
// One flat array of 20-byte nodes in document order; a container's members follow it directly.
// Accepted beyond the standard, because Python's json writes them: NaN, Infinity, -Infinity, and a
// byte order mark. Bounded: 4 GiB of text, 1,000 levels (Python's own limit is about that).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/result.h"

namespace ebb {

enum class JsonKind { absent, null, boolean, number, string, array, object };

class JsonValue;

class JsonDocument {
 public:
  /// Errors: broken JSON, with line and column and the container it is in; too deep; too large;
  /// more than `values_max` values.
  static Result<JsonDocument> parse(std::string text, const std::string& file = {},
                                    std::size_t values_max = ~std::size_t{0});

  /// REQUIRES: the document outlives (and does not move from under) every value taken from it.
  JsonValue root() const;
  std::string_view text() const { return state_->text; }

  struct Node {
    std::uint32_t begin = 0;  ///< offset of the value's first byte
    std::uint32_t end = 0;    ///< offset after its last byte
    std::uint32_t key = 0;    ///< offset of the key's opening quote; 0 outside objects
    std::uint32_t next = 0;   ///< index after the value's whole subtree
    std::uint32_t count = 0;  ///< members of an object or elements of an array
  };
  struct State {  // behind a pointer, so that values stay valid when the document moves
    std::string text;
    std::vector<Node> nodes;
  };

 private:
  explicit JsonDocument(std::unique_ptr<State> state) : state_(std::move(state)) {}
  std::unique_ptr<State> state_;
};

/// A view of one value; cheap to copy. An absent value answers every question with "nothing".
class JsonValue {
 public:
  JsonValue() = default;

  JsonKind kind() const;
  bool exists() const { return state_ != nullptr; }
  bool is_null() const { return kind() == JsonKind::null; }
  bool is_number() const { return kind() == JsonKind::number; }
  bool is_string() const { return kind() == JsonKind::string; }
  bool is_array() const { return kind() == JsonKind::array; }
  bool is_object() const { return kind() == JsonKind::object; }

  std::size_t size() const;                    ///< members or elements; 0 for other kinds
  JsonValue find(std::string_view key) const;  ///< of duplicate keys the last, as everywhere
  JsonValue at(std::size_t index) const;       ///< linear; iterate where all are wanted

  std::string key() const;               ///< decoded; empty outside objects
  std::string string() const;            ///< decoded; empty for other kinds
  bool is(std::string_view text) const;  ///< a string with exactly this value
  std::optional<double> number() const;
  std::optional<std::int64_t> integer() const;  ///< a number that is whole, `1.0` included
  std::optional<bool> boolean() const;
  std::string text_or(std::string_view fallback) const;
  std::int64_t integer_or(std::int64_t fallback) const { return integer().value_or(fallback); }

  std::string_view raw() const;     ///< the exact spelling
  std::int64_t offset() const;      ///< of the first byte in the document
  std::int64_t end_offset() const;  ///< after the last byte
  std::int64_t key_offset() const;  ///< of the key's opening quote; of the value outside objects
  std::string pointer() const;      ///< `/nodes/3/inputs` (RFC 6901), for messages

  class Iterator {
   public:
    JsonValue operator*() const { return {state_, index_}; }
    Iterator& operator++() {
      index_ = state_->nodes[index_].next;
      return *this;
    }
    bool operator==(const Iterator& other) const { return index_ == other.index_; }

   private:
    friend class JsonValue;
    Iterator(const JsonDocument::State* state, std::uint32_t index)
        : state_(state), index_(index) {}
    const JsonDocument::State* state_;
    std::uint32_t index_;
  };
  Iterator begin() const;  ///< members or elements in document order; empty for other kinds
  Iterator end() const;

 private:
  friend class JsonDocument;
  JsonValue(const JsonDocument::State* state, std::uint32_t index) : state_(state), index_(index) {}
  const JsonDocument::Node& node() const { return state_->nodes[index_]; }

  const JsonDocument::State* state_ = nullptr;
  std::uint32_t index_ = 0;
};

/// Line and column (1-based, in bytes) of an offset.
void locate(std::string_view text, std::int64_t offset, Where& where);

}  // namespace ebb
