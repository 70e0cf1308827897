// SPDX-License-Identifier: Apache-2.0
#include "demand/link_types.h"

#include <gtest/gtest.h>

namespace ebb {
namespace {

TEST(LinkKind, WhatLoadersGiveIsWeights) {
  for (const char* type : {"MODEL", "CLIP", "VAE", "CLIP_VISION", "CONTROL_NET", "MODEL_PATCH",
                           "LATENT_UPSCALE_MODEL", "BACKGROUND_REMOVAL", "OPTICAL_FLOW", "GLIGEN",
                           "GUIDER", "SAM3D_BODY_MODEL", "BBOX_DETECTOR", "BASIC_PIPE"}) {
    EXPECT_EQ(link_kind(type), LinkKind::weights) << type;
  }
}

TEST(LinkKind, ResultsAreData) {
  for (const char* type : {"LATENT", "IMAGE", "MASK", "CONDITIONING", "CLIP_VISION_OUTPUT",
                           "AUDIO_ENCODER_OUTPUT", "MESH", "DA3_GEOMETRY"}) {
    EXPECT_EQ(link_kind(type), LinkKind::data) << type;
  }
}

TEST(LinkKind, NumbersAndSamplersAreSettings) {
  for (const char* type : {"INT", "STRING", "SAMPLER", "SIGMAS", "NOISE"}) {
    EXPECT_EQ(link_kind(type), LinkKind::settings) << type;
  }
  EXPECT_EQ(link_kind("*"), LinkKind::any);
  EXPECT_EQ(link_kind(""), LinkKind::any);
}

}  // namespace
}  // namespace ebb
