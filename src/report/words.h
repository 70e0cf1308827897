// SPDX-License-Identifier: Apache-2.0
// Words and text as people read them: safe to print, measured in columns, shortened, wrapped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "ebb/demand.h"
#include "ebb/pass.h"
#include "ebb/printable.h"
#include "ebb/weights.h"

namespace ebb {

/// Columns on a terminal: wide characters count two, combining ones none.
int display_width(std::string_view text);

/// `text` in at most `columns` columns, the middle replaced by `..`: both ends of a file name tell.
std::string shorten_middle(std::string_view text, int columns);

/// A space at which wrap_text does not break a line; put_wrapped prints it as a space.
inline constexpr const char* kNoBreak = "\xC2\xA0";

/// `text` with kNoBreak between numbers and their units.
std::string glue_units(std::string text);

/// Lines of at most `columns` columns, broken at spaces, inside a word only where it must be.
std::vector<std::string> wrap_text(std::string_view text, int columns);

/// Printable text for XML and HTML, in elements and in quoted attributes.
std::string escape_xml(std::string_view text);

/// `0.09 s`, `3.1 s`, `48 s`, `2 min 30 s`; `unknown` for what is no number.
std::string format_seconds(double seconds);

/// `one` to `twelve`, then digits.
std::string count_word(std::int64_t count);

/// `a`, `a and b`, `a, b and c`.
std::string join_and(const std::vector<std::string>& parts);

/// `3-5, 7` for ascending numbers.
std::string join_ranges(const std::vector<int>& numbers);

/// A sentence: first letter large, a full stop at the end.
std::string as_sentence(std::string_view text);

/// `encode text`, `sample`.
std::string work_words(StepKind kind);
/// `text encoder`, `diffusion`.
std::string role_words(WeightsRole role);
/// Ebb's name and, where its header was read, ComfyUI's: `wan-14b (WAN21_T2V)`; `?` if unknown.
std::string architecture_words(const Weights& weights);

/// `header read`, `known file`, `given`, `unknown`.
std::string bytes_from_words(BytesFrom from);

/// `classic`, `dynamic`: the memory manager as ComfyUI's users call it.
const char* policy_word(Policy::Kind kind);
/// The same with the release whose rules it goes by: `classic 0.3.73`.
std::string policy_words(const Policy& policy);

/// A short name for each of the weights: without number types, without what the names of one role
/// have in common, unique, at most 24 columns. `wan2.2_i2v_high_noise_14B_fp8` -> `high_noise_14B`.
List<std::string, WeightsIndex> short_names(const List<Weights, WeightsIndex>& weights);

/// a + b without overflow: sizes in a report may be absurd, its forms must still be right in kind.
std::int64_t add_bytes(std::int64_t a, std::int64_t b);

}  // namespace ebb
