// SPDX-License-Identifier: Apache-2.0
// The sums that formulas record, as `ebb explain` prints them, come to the demand.
#include <gtest/gtest.h>

#include "demand/formulas.h"
#include "explain/sums.h"

namespace ebb {
namespace {

/// Printed terms may be off by half a hundredth each; nine digits of a factor by less.
void expect_close(const Sum& sum, const Quantity& quantity, const char* row) {
  const double mib = static_cast<double>(quantity.bytes) / (1 << 20);
  const double slack = 0.005 * static_cast<double>(sum.terms.size()) + 0.02 + 1e-7 * mib;
  EXPECT_NEAR(static_cast<double>(shown_total(sum)) / 100, mib, slack) << row << " " << sum.key;
}

void expect_close(const Demand& demand, const char* row) {
  if (!demand.asked.known()) return;
  ASSERT_TRUE(demand.sums) << row;
  expect_close(demand.sums->asked, demand.minimum, row);
  expect_close(demand.sums->live, demand.live, row);
}

TEST(Terms, OfEverySamplerArePrintedAsItsDemand) {
  for (const DiffusionRow& row : diffusion_rows()) {
    for (const ComfyVersion& version : kColumns) {
      for (const bool plain : {false, true}) {
        SampleCase c;
        c.row = &row;
        c.version = version;
        c.latent = {2, row.channels, row.temporal > 0 ? 21 : 1, 90, 161, row.temporal > 0};
        c.plain_attention = plain;
        c.quantised = !plain;
        c.controlnets = plain ? 2 : 1;
        c.reference_most = plain ? 4096 : 0;
        c.packed = plain;
        c.audio_elements = plain ? 12345 : 0;
        expect_close(sample_demand(c), row.key);
      }
    }
  }
}

TEST(Terms, OfEveryVaeTextEncoderAndUpscalerArePrintedAsItsDemand) {
  for (const VaeRow& row : vae_rows()) {
    for (const ComfyVersion& version : kColumns) {
      for (const std::int64_t tile : {0, 512}) {
        VaeCase c{&row, {1, row.channels, 1, 90, 161, true}, version, 2, tile, 16, false};
        if (row.temporal > 0) c.shape.frames = 21;
        expect_close(decode_demand(c), row.key);
        c.shape = decoded_picture(row, c.shape);
        expect_close(encode_demand(c), row.key);
      }
    }
  }
  for (const TextRow& row : text_rows()) {
    expect_close(text_demand(&row, kColumns.back(), 2), row.key);
    expect_close(writing_demand(&row, kColumns.back(), 2, 2048), row.key);
  }
  expect_close(vision_demand(kColumns.back()), "vision");
  expect_close(sound_demand({1'000'000, kColumns.back(), 4}), "sound");
  expect_close(upscale_demand({{1, 3, 1, 1080, 300, false}, 4, 67'000'000, true}), "upscale");
}

TEST(Terms, ControlNetsAreATermOfTheirOwn) {
  SampleCase c;
  c.row = find_diffusion_row("flux");
  c.version = {0, 18, 2};
  c.latent = {1, 16, 1, 128, 128, false};
  c.controlnets = 1;
  const Demand demand = sample_demand(c);
  const Sum& live = demand.sums->live;
  ASSERT_EQ(live.terms.size(), 3u);
  EXPECT_EQ(live.terms[1].what.code, Say::outputs_of_a_controlnet);
  const Shown term = shown(live.terms[1]);
  EXPECT_EQ(term.factors, "4,096 tokens x 3,072 x 2 bytes x 5.021 / 1,048,576");
  EXPECT_EQ(term.hundredths, 12050);
}

TEST(Terms, CountWithTheDigitsTheyShow) {
  Product product;
  product.times(21, "frames").times(2.30423042304).over(3);
  const Shown term = shown({product, "x"});
  EXPECT_EQ(term.factors, "21 frames x 2.30423042 / 3");
  EXPECT_EQ(term.hundredths, 1613);
}

TEST(Terms, ColumnsThatAreNotMentionedRepeatTheLastOne) {
  const ByVersion<int> one = {7}, two = {7, 8};
  EXPECT_EQ(one[kColumns.size() - 1], 7);
  EXPECT_EQ(two[0], 7);
  EXPECT_EQ(two[kColumns.size() - 1], 8);
}

}  // namespace
}  // namespace ebb
