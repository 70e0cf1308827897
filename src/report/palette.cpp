// SPDX-License-Identifier: Apache-2.0
// The palette of Okabe and Ito ("Color Universal Design", 2008) and the style sheets. Vermillion
// is kept for what does not fit.
#include "report/palette.h"

#include <array>

namespace ebb {
namespace {

constexpr const char* kLightInk = "#ffffff";
constexpr const char* kDarkInk = "#14181d";

// Six that stay clear of vermillion, then tints of the same for the rare seventh model.
constexpr std::array<const char*, 12> kFills = {"#0072b2", "#e69f00", "#009e73", "#cc79a7",
                                                "#56b4e9", "#f0e442", "#7fb8d8", "#f2cf80",
                                                "#80ceb9", "#e5bcd3", "#aad9f4", "#f7f1a0"};

}  // namespace

List<Paint, WeightsIndex> paints(const List<Weights, WeightsIndex>& weights) {
  List<Paint, WeightsIndex> result(weights.size());
  std::size_t next = 0;
  for (const bool diffusion : {true, false}) {
    for (const WeightsIndex i : weights.indices()) {
      if ((weights[i].role == WeightsRole::diffusion) != diffusion) continue;
      const std::size_t colour = next++ % kFills.size();
      result[i] = {kFills[colour], colour == 0 ? kLightInk : kDarkInk};
    }
  }
  return result;
}

const char* theme_css() {
  return R"css(
:root, svg.ebb {
  --bg: #ffffff; --ink: #1b1f24; --muted: #5c6670; --line: #d5dae0; --faint: #eef1f4;
  --others: #c4cbd3; --live: #56606b; --live-ink: #ffffff; --warn: #d55e00; --warn-ink: #ffffff;
  --fits: #00785a; --tight: #8a6100; --offloads: #b54f00; --bad: #b3261e; --focus: #0072b2;
}
@media (prefers-color-scheme: dark) {
  :root, svg.ebb {
    --bg: #14181d; --ink: #e8ebee; --muted: #a2acb7; --line: #39424c; --faint: #1f252c;
    --others: #47515c; --live: #b3bcc6; --live-ink: #14181d; --warn: #ee7a22; --warn-ink: #14181d;
    --fits: #3cc79c; --tight: #e6b84d; --offloads: #f08a3c; --bad: #ff7a6e; --focus: #56b4e9;
  }
}
@media print {
  :root, svg.ebb {
    --bg: #ffffff; --ink: #000000; --muted: #444b52; --line: #b8bfc7; --faint: #f3f5f7;
    --others: #c4cbd3; --live: #56606b; --live-ink: #ffffff; --warn: #d55e00; --warn-ink: #ffffff;
    --fits: #00785a; --tight: #8a6100; --offloads: #b54f00; --bad: #b3261e; --focus: #0072b2;
  }
}
)css";
}

const char* picture_css() {
  return R"css(
svg.ebb { font: 11.5px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums; display: block; width: 100%; height: auto;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
svg.ebb.alone { min-width: 720px; max-width: 1400px; margin: 0 auto; }
.ebb text { fill: var(--ink); }
.ebb .muted { fill: var(--muted); }
.ebb .small { font-size: 10.5px; }
.ebb .strong { font-weight: 650; }
.ebb .title { font-size: 18px; font-weight: 650; }
.ebb .before { font-size: 14px; font-weight: 650; }
.ebb .w-fits { fill: var(--fits); } .ebb .w-tight { fill: var(--tight); }
.ebb .w-offloads { fill: var(--offloads); }
.ebb .w-spills, .ebb .w-ram_short,
.ebb .w-may_run_out { fill: var(--bad); } .ebb .w-unknown { fill: var(--muted); }
.ebb .page { fill: var(--bg); }
.ebb .lane { fill: var(--faint); }
.ebb .grid { stroke: var(--line); stroke-width: 1; }
.ebb .hit { fill: transparent; }
.ebb .others { fill: var(--others); }
.ebb .live { fill: var(--live); }
.ebb .data { fill: var(--muted); }
.ebb .hatched { stroke: var(--live); stroke-width: .8; }
.ebb .hatch { stroke: var(--live); stroke-width: 1.3; opacity: .75; }
.ebb .reserve { stroke: var(--muted); stroke-width: .8; stroke-dasharray: 2 2; }
.ebb .dot { fill: var(--muted); }
.ebb .pages { fill: var(--others); fill-opacity: .4; }
.ebb .pinned { fill: var(--ink); stroke: var(--bg); stroke-width: .8; }
.ebb .doubt { fill: none; stroke: var(--muted); stroke-dasharray: 4 3; }
.ebb .over { fill: var(--warn); }
.ebb .over-label { fill: var(--warn-ink); font-weight: 650; }
.ebb .live-label { fill: var(--live-ink); }
.ebb .halo { paint-order: stroke; stroke: var(--faint); stroke-width: 3.5px;
  stroke-linejoin: round; }
.ebb .on-page { paint-order: stroke; stroke: var(--bg); stroke-width: 4px;
  stroke-linejoin: round; }
.ebb .ghost { fill-opacity: .18; stroke-width: 1.6; stroke-dasharray: 4 2.5; }
.ebb .limit { stroke: var(--ink); stroke-width: 1.6; }
.ebb .cut { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 1 3; stroke-linecap: round; }
.ebb .mark { fill: var(--ink); }
.ebb .seam { stroke: var(--bg); stroke-width: 1; }
.ebb .labels { pointer-events: none; }
.ebb .pass { cursor: default; outline: none; }
.ebb .pass:hover .hit, .ebb .pass.at .hit { fill: var(--line); fill-opacity: .45; }
.ebb .pass:focus-visible .hit { stroke: var(--focus); stroke-width: 2.5; }
)css";
}

}  // namespace ebb
