// SPDX-License-Identifier: Apache-2.0
#include "patch/text_edits.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cassert>

#include "json/document.h"
#include "json/write.h"

namespace ebb {
namespace {

constexpr std::int64_t kTextMax = std::int64_t{1} << 33;  // more than any document
constexpr std::int64_t kOwnLength = -1;  // of the edit that holds the record: found by subtraction

std::uint32_t checksum(std::string_view text) {
  uLong sum = crc32_z(0, nullptr, 0);
  sum = crc32_z(sum, reinterpret_cast<const Bytef*>(text.data()), text.size());
  return static_cast<std::uint32_t>(sum);
}

/// `[bytes, checksum, [[offset, inserted bytes, "removed"], ...]]` of the original text.
/// REQUIRES: the edits lie inside it.
std::string write_record(std::string_view original, const std::vector<TextEdit>& edits) {
  std::string text = fmt::format("[{},{},[", original.size(), checksum(original));
  for (const TextEdit& edit : edits) {
    const bool own = edit.inserted.find(kRecordHere) != std::string::npos;
    const auto removed = original.substr(static_cast<std::size_t>(edit.offset),
                                         static_cast<std::size_t>(edit.removed));
    text += fmt::format("{}[{},{},{}]", text.ends_with('[') ? "" : ",", edit.offset,
                        own ? kOwnLength : static_cast<std::int64_t>(edit.inserted.size()),
                        json_quote(removed));
  }
  return text + "]]";
}

struct RecordedEdit {
  std::int64_t offset = 0, inserted = 0;
  std::string removed;
};

struct Record {
  std::int64_t bytes = 0, sum = 0;
  std::vector<RecordedEdit> edits;
};

/// Reads a record and works out the length that it could not know; nothing if it makes no sense.
std::optional<Record> read_record(const std::string& text, std::int64_t patched_bytes) {
  const auto document = JsonDocument::parse(text);
  if (!document) return std::nullopt;
  const JsonValue root = document->root();
  Record record{root.at(0).integer_or(-1), root.at(1).integer_or(-1), {}};
  if (record.bytes < 0 || record.bytes > kTextMax) return std::nullopt;
  std::int64_t known = record.bytes;
  std::size_t own = root.at(2).size();
  for (const JsonValue json : root.at(2)) {
    const RecordedEdit edit{json.at(0).integer_or(-1), json.at(1).integer_or(-2),
                            json.at(2).text_or("")};
    if (edit.offset < 0 || edit.inserted < kOwnLength || edit.offset > record.bytes ||
        edit.inserted > patched_bytes) {
      return std::nullopt;
    }
    known -= static_cast<std::int64_t>(edit.removed.size());
    if (edit.inserted == kOwnLength) {
      own = record.edits.size();
    } else {
      known += edit.inserted;
    }
    record.edits.push_back(edit);
  }
  if (own == record.edits.size() || known > patched_bytes) return std::nullopt;
  record.edits[own].inserted = patched_bytes - known;
  return record;
}

}  // namespace

void TextEdits::insert(std::int64_t offset, std::string text) {
  edits_.push_back({offset, 0, std::move(text)});
}

void TextEdits::replace(std::int64_t offset, std::int64_t bytes, std::string text) {
  edits_.push_back({offset, bytes, std::move(text)});
}

std::vector<TextEdit> TextEdits::sorted() const {
  std::vector<TextEdit> edits = edits_;
  std::ranges::stable_sort(edits, {}, &TextEdit::offset);
  const auto same = [](const TextEdit& a, const TextEdit& b) {
    return a.removed > 0 && a.offset == b.offset && a.removed == b.removed &&
           a.inserted == b.inserted;
  };
  edits.erase(std::unique(edits.begin(), edits.end(), same), edits.end());
  return edits;
}

std::optional<std::string> TextEdits::apply(std::string_view text) const {
  std::string result;
  std::size_t at = 0;
  for (const TextEdit& edit : sorted()) {
    const auto offset = static_cast<std::size_t>(edit.offset);
    if (edit.offset < 0 || edit.removed < 0 || offset < at || offset > text.size() ||
        static_cast<std::size_t>(edit.removed) > text.size() - offset) {
      return std::nullopt;
    }
    result += text.substr(at, offset - at);
    result += edit.inserted;
    at = offset + static_cast<std::size_t>(edit.removed);
  }
  result += text.substr(at);
  return result;
}

TextEdits with_record(std::string_view original, const TextEdits& edits) {
  if (!edits.apply(original)) return edits;  // they can't be applied with a record, either
  // The record is text inside a JSON string inside JSON.
  const std::string quoted = json_quote(write_record(original, edits.sorted()));
  TextEdits result;
  for (TextEdit edit : edits.sorted()) {
    if (const auto at = edit.inserted.find(kRecordHere); at != std::string::npos) {
      edit.inserted.replace(at, kRecordHere.size(), quoted.substr(1, quoted.size() - 2));
    }
    result.replace(edit.offset, edit.removed, std::move(edit.inserted));
  }
  return result;
}

std::optional<std::string> undo_record(std::string_view patched, const std::string& text) {
  const auto record = read_record(text, static_cast<std::int64_t>(patched.size()));
  if (!record) return std::nullopt;
  std::string original;
  std::int64_t at = 0, moved = 0;  // in the patched text; by how much it runs ahead
  for (const RecordedEdit& edit : record->edits) {
    const std::int64_t begin = edit.offset + moved;
    if (begin < at || begin + edit.inserted > static_cast<std::int64_t>(patched.size())) {
      return std::nullopt;
    }
    original += patched.substr(static_cast<std::size_t>(at), static_cast<std::size_t>(begin - at));
    original += edit.removed;
    at = begin + edit.inserted;
    moved += edit.inserted - static_cast<std::int64_t>(edit.removed.size());
  }
  original += patched.substr(static_cast<std::size_t>(at));
  const bool same = static_cast<std::int64_t>(original.size()) == record->bytes &&
                    static_cast<std::int64_t>(checksum(original)) == record->sum;
  return same ? std::optional(std::move(original)) : std::nullopt;
}

}  // namespace ebb
