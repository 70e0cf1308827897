// SPDX-License-Identifier: Apache-2.0
// The sums of terms.cpp come to what formulas.cpp computes, for every row and version.
#include "demand/terms.h"

#include <gtest/gtest.h>

namespace ebb {
namespace {

/// Rounded terms may be off by half a hundredth each; nine digits of a factor by less.
void expect_close(const Sum& sum, const Quantity& quantity, const char* row) {
  const double mib = static_cast<double>(quantity.bytes) / (1 << 20);
  const double slack = 0.005 * static_cast<double>(sum.terms.size()) + 0.02 + 1e-7 * mib;
  EXPECT_NEAR(static_cast<double>(sum.total()) / 100, mib, slack) << row << " " << sum.title;
}

TEST(Terms, OfEverySamplerComeToItsDemand) {
  for (const DiffusionRow& row : diffusion_rows()) {
    for (const ComfyVersion& version : kColumns) {
      SampleCase c;
      c.row = &row;
      c.version = version;
      c.latent = {2, row.channels, row.temporal > 0 ? 21 : 1, 90, 161, row.temporal > 0};
      for (const double references : {0.0, 4096.0}) {
        c.controlnets = references > 0 ? 2 : 1;
        for (const bool plain : {false, true}) {
          c.reference_most = references;
          c.plain_attention = plain;
          c.quantised = !plain;
          c.packed = references > 0 && plain;
          c.audio_elements = c.packed ? 12345 : 0;
          const Demand demand = sample_demand(c);
          const DemandTerms terms = sample_terms(c);
          expect_close(terms.asked, demand.minimum, row.key);
          expect_close(terms.live, demand.live, row.key);
          EXPECT_NEAR(terms.reserved_factor * static_cast<double>(demand.live.bytes),
                      static_cast<double>(demand.reserved.bytes), 2.0);
        }
      }
    }
  }
}

TEST(Terms, ControlNetsAreATermOfTheirOwn) {
  SampleCase c;
  c.row = find_diffusion_row("flux");
  c.version = {0, 18, 2};
  c.latent = {1, 16, 1, 128, 128, false};
  c.controlnets = 1;
  const Sum live = sample_terms(c).live;
  ASSERT_EQ(live.terms.size(), 3u);
  EXPECT_EQ(live.terms[1].what, "a ControlNet's outputs");
  EXPECT_EQ(live.terms[1].factors, "4,096 tokens x 3,072 x 2 bytes x 5.021 / 1,048,576");
  EXPECT_EQ(live.terms[1].hundredths, 12050);
}

TEST(Terms, OfEveryVaeComeToItsDemand) {
  for (const VaeRow& row : vae_rows()) {
    for (const ComfyVersion& version : kColumns) {
      for (const std::int64_t frames : {1, 5, 21}) {
        for (const std::int64_t tile : {0, 512}) {
          const Shape latent{1, row.channels, row.temporal > 0 ? frames : 1, 90, 161, true};
          VaeCase c{&row, latent, version, 2, tile, tile > 0 ? 16 : 0, false};
          expect_close(decode_terms(c).asked, decode_demand(c).asked, row.key);
          expect_close(decode_terms(c).live, decode_demand(c).live, row.key);
          c.shape = decoded_picture(row, latent);
          expect_close(encode_terms(c).asked, encode_demand(c).asked, row.key);
          expect_close(encode_terms(c).live, encode_demand(c).live, row.key);
        }
      }
    }
  }
}

TEST(Terms, OfTextEncodersAndUpscalersComeToTheirDemand) {
  for (const TextRow& row : text_rows()) {
    const ComfyVersion newest = kColumns.back();
    const Demand demand = text_demand(&row, newest, 2);
    expect_close(text_terms(demand).asked, demand.asked, row.key);
    expect_close(text_terms(demand).live, demand.live, row.key);
  }
  for (const std::int64_t width : {1920, 300}) {
    const UpscaleCase c{{1, 3, 1, 1080, width, false}, 4, 67'000'000, width < 512};
    const Demand demand = upscale_demand(c);
    expect_close(upscale_terms(c).asked, demand.asked, "upscale");
    expect_close(upscale_terms(c).live, demand.live, "upscale");
  }
}

TEST(Terms, CountWithTheDigitsTheyShow) {
  const Term term = Product()
                        .times(21, "frames")
                        .times(2.30423042304)
                        .over(3)
                        .term("x", NumberKind::computed, "");
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
