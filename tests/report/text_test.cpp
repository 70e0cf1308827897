// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "ebb/file.h"
#include "report/words.h"
#include "tests/report/sample.h"

namespace ebb {
namespace {

void expect_narrow(const std::string& text, const std::string& what) {
  for (const auto line : split(text, '\n')) {
    EXPECT_LE(display_width(line), 100) << what << ": " << line;
    EXPECT_FALSE(!line.empty() && line.back() == ' ') << what << ": " << line;
  }
}

/// Text with wrapped lines put together again.
std::string one_line(const std::string& text) {
  std::string result;
  for (const auto line : split(text, '\n')) result += std::string(trim(line)) + " ";
  return result;
}

TEST(ReportText, no_line_is_longer_than_100_columns_or_ends_in_a_space) {
  for (const auto& [name, report] : test::named_reports()) {
    expect_narrow(to_text(report, false), name);
  }
}

TEST(ReportText, no_report_however_odd_breaks_the_layout) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::string text = to_text(test::random_report(seed), false);
    expect_narrow(text, "random");
    for (const auto line : split(text, '\n')) EXPECT_EQ(line, printable(line));
  }
}

TEST(ReportText, the_answer_comes_first_then_the_proof) {
  EXPECT_EQ(to_text(test::wan_two_passes(), false),
            R"text(video_wan2_2_14B_i2v.json: 832x1216, 81 frames, two diffusion models in use
ComfyUI 0.3.73 (classic), RTX 5090, 30,724 of 32,607 MiB free, 64.0 GiB RAM, Windows,
  --reserve-vram 4

OFFLOADS 2,300 of 13,629 MiB in both sampling passes, because of --reserve-vram 4.
Asked 15,299 + reserve 4,096 of 30,724 MiB free leave 11,329 for 13,629 MiB of weights.
Offloading 2,300 MiB streams for 0.10 s a step, beside 15 s of compute, and hides behind it:
  nearly free.
21,322 of 32,607 MiB VRAM at the peak (pass 3) and 42.4 of 64.0 GiB RAM.
Cheapest way out: start without --reserve-vram 4 (offloaded 2,300 -> 0 MiB).
Up to 65 frames every diffusion model stays whole on this machine.

  pass                         asked  usable  on GPU  offloaded  VRAM peak  RAM peak  from disk
                                 MiB     MiB     MiB        MiB        MiB       GiB        GiB
  1 encode text umt5_xxl       1,024  25,604   6,419          -      8,562       8.5        6.3
    cut: CONDITIONING crosses, 8 MiB.
  2 encode image wan_2.1_vae   5,590  21,038     242          -     13,244       8.6        0.2
    cut: LATENT crosses, 48 MiB. ComfyUI moves umt5_xxl and wan_2.1_vae out by itself here.
  3 sample high_noise_14B     15,299  11,329  11,329      2,300     21,322      17.3       13.3
    cut: LATENT crosses, 20 MiB. ComfyUI moves high_noise_14B out by itself here.
  4 sample low_noise_14B      15,299  11,329  11,329      2,300     21,322      30.7       13.3
    cut: LATENT crosses, 20 MiB. ComfyUI moves low_noise_14B out by itself here.
  5 decode wan_2.1_vae         9,100  17,528     242          -     11,465      42.4          -

  model                                 role          architecture     MiB  size from
  umt5_xxl_fp8_e4m3fn_scaled            text encoder  umt5-xxl       6,419  known file
  wan_2.1_vae                           VAE           wan21-vae        242  known file
  wan2.2_i2v_high_noise_14B_fp8_scaled  diffusion     wan-14b       13,629  known file
  wan2.2_i2v_low_noise_14B_fp8_scaled   diffusion     wan-14b       13,629  known file

     What to do                      effect                          price
  1  start without --reserve-vram 4  offloaded 2,300 -> 0 MiB        none known: ComfyUI's own
                                                                     reserve stays
  2  measured budget on both models  limit 65 -> 117 frames          a node of Ebb's pack; ebb apply
                                                                     adds it
  3  drop high_noise at the cut      RAM peak -13.3 GiB              a node of Ebb's pack; ebb apply
                                                                     adds it; re-read 13.3 GiB if
                                                                     you run it again
  *  unload node between the passes  VRAM: 0. ComfyUI already        -
                                     evicts high_noise.

       value  verdict   usable  offloaded
                           MiB        MiB
   61 frames  fits      14,972          -
   73 frames  offloads  12,786        845
   81 frames  offloads  11,329      2,300
  121 frames  offloads   4,044      9,591
  161 frames  offloads     128     13,505

Reading 33.1 GiB from disk costs about 12 s. The whole run: about 2 min 30 s.
Picture: ebb plan video_wan2_2_14B_i2v.json --html timeline.html
assumed: 64.0 GiB RAM, 8.5 GiB RAM in other use, ComfyUI 0.3.73, link 23.5 GiB/s,
         disk 2.8 GiB/s, 150 TFLOPS
)text");
}

TEST(ReportText, what_fits_is_said_to_fit_and_empty_columns_disappear) {
  const std::string text = to_text(test::picture_that_fits(), false);
  EXPECT_TRUE(contains(text, "\n\nFITS whole: 11,505 of 12,288 MiB VRAM at the peak (pass 3)"));
  EXPECT_TRUE(contains(text, "nothing: it already fits"));
  EXPECT_FALSE(contains(text, "offloaded"));
}

TEST(ReportText, what_is_unknown_is_a_question_mark_with_a_note) {
  const std::string text = to_text(test::unknown_weights(), false);
  EXPECT_TRUE(contains(text, "UNKNOWN whether it fits: "));
  EXPECT_TRUE(contains(text, "2 sample mystery_merge_v7             ?"));
  EXPECT_TRUE(contains(text, "note: The size of mystery_merge_v7 is unknown"));
  EXPECT_TRUE(contains(text, "note: Unknown in pass 2: asked demand: the architecture"));
}

TEST(ReportText, colour_is_only_on_the_verdict_word) {
  const Report report = test::wan_two_passes();
  std::string colour = to_text(report, true);
  EXPECT_TRUE(contains(colour, "\n\x1b[1;33mOFFLOADS\x1b[0m 2,300"));
  for (const std::string escape : {"\x1b[1;33m", "\x1b[0m"}) {
    const auto at = colour.find(escape);
    ASSERT_NE(at, std::string::npos);
    colour.erase(at, escape.size());
  }
  EXPECT_EQ(colour, to_text(report, false));
}

TEST(ReportText, the_flag_is_blamed_only_if_nothing_would_be_offloaded_without_it) {
  Report report = test::wan_two_passes();
  report.fixes[0].vram_bytes = 1000_MiB;
  EXPECT_FALSE(contains(to_text(report, false), "because of"));
  report = test::wan_two_passes();
  report.fixes[0].trial.machine.flags = report.trial.machine.flags;
  EXPECT_FALSE(contains(to_text(report, false), "because of"));
}

TEST(ReportText, the_price_says_what_hides_and_what_does_not) {
  Report report = test::wan_two_passes();
  for (auto& pass : report.prediction.outcome.passes) {
    pass.stream_seconds = 0.5;
    pass.stall_seconds = 0.25;
  }
  EXPECT_TRUE(
      contains(one_line(to_text(report, false)), "0.25 s of it do not hide, 1.0 s over 4 steps."));
  for (auto& pass : report.prediction.outcome.passes) pass.stall_seconds = pass.stream_seconds;
  EXPECT_TRUE(contains(one_line(to_text(report, false)), "none of it hides, they take turns, "));
  for (auto& pass : report.prediction.outcome.passes) {
    pass.compute_seconds.reset();
    pass.stall_seconds.reset();
  }
  EXPECT_TRUE(contains(one_line(to_text(report, false)), "hides behind compute is unknown"));
}

TEST(ReportText, every_pass_above_the_card_is_named_at_the_top) {
  Report report = test::wan_two_passes();
  report.trial.machine.os = Os::linux;
  PassOutcome& decode = report.prediction.outcome.passes.back();
  decode.verdict = Verdict::tight;
  decode.above_bytes = 900_MiB;
  decode.then = Then::retries_in_tiles;
  const auto headline = [&] {
    const std::string text = one_line(to_text(report, false));
    return text.substr(text.find("OFFLOADS"), text.find("Asked") - text.find("OFFLOADS"));
  };
  EXPECT_TRUE(contains(headline(),
                       "; pass 5, decode wan_2.1_vae, runs out of memory and is "
                       "retried in tiles."))
      << headline();
  report.trial.machine.os = Os::windows;
  decode.then = Then::spills;
  EXPECT_TRUE(contains(headline(),
                       "; pass 5, decode wan_2.1_vae, spills 900 MiB into shared "
                       "memory."))
      << headline();
  for (PassOutcome& pass : report.prediction.outcome.passes) pass.above_bytes = 1_MiB;
  EXPECT_TRUE(contains(headline(), "; passes 1-5 spill into shared memory.")) << headline();
}

TEST(ReportText, a_total_without_all_seconds_says_at_least_and_what_is_missing) {
  Report report = test::wan_two_passes();
  EXPECT_TRUE(contains(one_line(to_text(report, false)), "The whole run: about "));
  report.prediction.outcome.seconds.reset();
  report.prediction.outcome.passes[0].seconds.reset();
  report.prediction.outcome.passes[4].seconds.reset();
  report.trial.machine.compute_flops_per_second = {1e14, NumberKind::assumed, "test"};
  EXPECT_TRUE(contains(one_line(to_text(report, false)),
                       ", without the computing of passes 1, 5, whose work is not known."));
  report.trial.machine.compute_flops_per_second = {};
  EXPECT_TRUE(contains(one_line(to_text(report, false)),
                       "without the computing of passes 1, 5: --gpu NAME tells Ebb"));
}

TEST(ReportText, a_model_that_leaves_in_several_steps_is_named_once_at_the_cut) {
  Report report = test::wan_two_passes();
  StepState& first =
      report.prediction.timeline.steps[report.prediction.passes->passes[2].first_step];
  for (const Eviction& e :
       report.prediction.timeline.steps[report.prediction.passes->passes[2].last_step].evictions) {
    first.evictions.push_back(e);
  }
  const std::string text = one_line(to_text(report, false));
  const auto moves = text.find("ComfyUI moves ");
  ASSERT_NE(moves, std::string::npos);
  const std::string sentence = text.substr(moves, text.find(" out by itself", moves) - moves);
  const auto name = sentence.find("wan_2.1_vae");
  EXPECT_NE(name, std::string::npos) << sentence;
  EXPECT_EQ(sentence.find("wan_2.1_vae", name + 1), std::string::npos) << sentence;
}

TEST(ReportText, where_weights_are_paged_the_step_is_shown_and_nothing_is_asked) {
  Report report = test::wan_two_passes();
  EXPECT_TRUE(contains(to_text(report, false), " asked  usable"));
  report.prediction.timeline.policy.kind = Policy::paged;
  report.after.reset();
  const std::string text = to_text(report, false);
  EXPECT_TRUE(contains(text, " step  usable")) << text;
  EXPECT_FALSE(contains(text, " asked  usable"));
  EXPECT_FALSE(contains(to_svg(report), "asked, not used"));
  EXPECT_TRUE(contains(to_svg(report), "2,300 MiB streamed"));
}

TEST(ReportText, frames_that_the_model_leaves_out_are_told) {
  Report report = test::wan_two_passes();
  report.table = {{}};
  report.table[0].sizes.frames = 64;
  report.table[0].frames = 61;
  EXPECT_TRUE(contains(to_text(report, false), "64 frames (makes 61)"));
  report.trial.sizes.frames = 84;
  EXPECT_TRUE(contains(one_line(to_text(report, false)), "84 frames were asked for, 81 are made"));
}

TEST(ReportText, page_locked_ram_and_file_pages_are_told) {
  Report report = test::wan_two_passes();
  for (PassOutcome& pass : report.prediction.outcome.passes) {
    pass.ram_pinned_bytes = 12_GiB;
    pass.ram_file_pages_bytes = 7_GiB;
  }
  EXPECT_TRUE(contains(one_line(to_text(report, false)), "(12.0 GiB of it page-locked)"));
  const std::string html = to_html(report);
  EXPECT_TRUE(contains(html, "<dt>RAM page-locked</dt><dd>12.0 GiB</dd>"));
  EXPECT_TRUE(contains(html, "<dt>file pages in RAM</dt><dd>7.0 GiB</dd>"));
  EXPECT_TRUE(contains(to_svg(report), "Pages of files that are read"));
  EXPECT_TRUE(contains(to_json(report), "\"ram_pinned_bytes\": 12884901888"));
}

TEST(ReportText, forty_passes_fit_on_a_screen) {
  const std::string text = to_text(test::forty_passes(), false);
  EXPECT_LE(split(text, '\n').size(), 40U);
  EXPECT_TRUE(contains(text, "passes 5-40: passes 3-4 again, 18 times"));
}

TEST(ReportText, samples_are_written_where_a_person_asks_for_them) {
  const char* folder = std::getenv("EBB_WRITE_SAMPLES");
  if (!folder) GTEST_SKIP() << "EBB_WRITE_SAMPLES names no folder";
  for (const auto& [name, report] : test::named_reports()) {
    const std::string path = std::string(folder) + "/" + name;
    EXPECT_TRUE(write_file(path + ".txt", to_text(report, false)));
    EXPECT_TRUE(write_file(path + ".json", to_json(report)));
    EXPECT_TRUE(write_file(path + ".svg", to_svg(report)));
    EXPECT_TRUE(write_file(path + ".html", to_html(report)));
  }
}

}  // namespace
}  // namespace ebb
