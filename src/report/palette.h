// SPDX-License-Identifier: Apache-2.0
// Colours: one for each of the weights through all lanes and tables, from Okabe and Ito's palette,
// which colour-blind eyes tell apart; and the style sheet that pictures and pages share.
#pragma once

#include <string>
#include <vector>

#include "ebb/weights.h"

namespace ebb {

/// A fill and the text colour that reads well on it, as `#rrggbb`.
struct Paint {
  std::string fill;
  std::string ink;
};

/// One paint for each of the weights; diffusion models get the strongest.
List<Paint, WeightsIndex> paints(const List<Weights, WeightsIndex>& weights);

/// Colours of everything else, light, dark and printed, as CSS variables.
const char* theme_css();

/// Classes of the picture.
const char* picture_css();

}  // namespace ebb
