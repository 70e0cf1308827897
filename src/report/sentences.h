// SPDX-License-Identifier: Apache-2.0
// What a report says in sentences: what it is about, the verdict with its cause, what offloading
// costs, what was assumed and what is unknown. The same words in every form.
#pragma once

#include <string>
#include <vector>

#include "report/view.h"

namespace ebb {

/// `OFFLOADS` and `2,300 of 13,629 MiB in both sampling passes, because of --reserve-vram 4.`
struct Headline {
  std::string word;
  std::string rest;
};

/// `832x1216, 81 frames, two diffusion models in use`; empty if nothing is known.
std::string subject_words(const Report& report);

/// `ComfyUI 0.3.73 (classic), RTX 5090, 30,724 of 32,607 MiB free, 64.0 GiB RAM, Windows`.
std::string machine_words(const Report& report);

Headline headline(const Report& report, const View& view);

/// What supports the verdict: the cause and its price, the best fix, the largest value that fits.
std::vector<std::string> support(const Report& report, const View& view);

/// What else costs: disk, RAM; and the whole run.
std::vector<std::string> price(const Report& report, const View& view);

/// `64.0 GiB RAM`, `ComfyUI 0.3.73`: everything that was assumed.
std::vector<std::string> assumptions(const Report& report);

/// What is unknown and why (left out on wish), and the notes of every part, each sentence once.
std::vector<std::string> all_notes(const Report& report, const View& view, bool unknown = true);

/// Why there is nothing to list or to draw.
std::string no_pass_words(const View& view);

/// `81 frames`, `64 frames (makes 61)`, `832x1216`: what a row of the table over values changes.
std::string sweep_value(const SweepRow& row);

/// `OFFLOADS`: a verdict as it opens a sentence.
std::string verdict_word(Verdict verdict);

/// `offloads 2,300 MiB`: a verdict within a table.
std::string verdict_words(Verdict verdict, std::int64_t offloaded_bytes);

}  // namespace ebb
