// SPDX-License-Identifier: Apache-2.0
// Edits of a text by spans of its bytes: what no edit names stays as it is. A record of them, kept
// inside the text they make, leads back to the original byte for byte.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ebb {

struct TextEdit {
  std::int64_t offset = 0;   ///< in the original text
  std::int64_t removed = 0;  ///< bytes
  std::string inserted;
};

/// Edits of one text. Several insertions at one place keep their order.
class TextEdits {
 public:
  void insert(std::int64_t offset, std::string text);
  void replace(std::int64_t offset, std::int64_t bytes, std::string text);
  void remove(std::int64_t offset, std::int64_t bytes) { replace(offset, bytes, ""); }

  void add(const TextEdits& other) {
    edits_.insert(edits_.end(), other.edits_.begin(), other.edits_.end());
  }

  bool empty() const { return edits_.empty(); }
  /// By offset; what was asked for twice stands there once.
  std::vector<TextEdit> sorted() const;
  /// Nothing if two edits want the same bytes to become different things.
  std::optional<std::string> apply(std::string_view text) const;

 private:
  std::vector<TextEdit> edits_;
};

/// Stands in an inserted text for the record of all edits; make_undo puts the record there.
constexpr std::string_view kRecordHere = "@ebb:undo@";

/// The same edits with the record where kRecordHere stands in them; edits that can't be applied
/// come back as they are. REQUIRES: it stands there once.
TextEdits with_record(std::string_view original, const TextEdits& edits);

/// The text that a record was made for, if `patched` is still what the edits made of it.
std::optional<std::string> undo_record(std::string_view patched, const std::string& record);

}  // namespace ebb
