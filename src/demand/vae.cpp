// SPDX-License-Identifier: Apache-2.0
// One call of a VAE: ComfyUI's estimate, what is truly allocated, and its operations.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "demand/sums.h"

namespace ebb {

Shape decoded_picture(const VaeRow& row, const Shape& latent) {
  Shape picture = latent;
  picture.height *= row.spatial;
  picture.width *= row.spatial;
  if (row.temporal > 0) picture.frames = (latent.frames - 1) * row.temporal + 1;
  return picture;
}

namespace {

/// What the card multiplies an estimate by: c.kl_times where the formula is the KL autoencoder's.
double card_times(const VaeCase& c, const VaeFormula& formula) {
  constexpr double kDecode = 2178, kEncode = 1767;  // the KL autoencoder's, in comfy/sd.py
  return formula.scale == kDecode || formula.scale == kEncode ? c.kl_times : 1;
}

double frames_counted(Frames rule, const Shape& shape) {
  const double t = static_cast<double>(shape.frames);
  switch (rule) {
    case Frames::none: return 1;
    case Frames::all: return t;
    case Frames::at_least_2: return std::max(t, 2.0);
    case Frames::at_least_7: return std::max(t, 7.0);
    case Frames::at_most_8: return std::min(8.0, 4 * (t - 1) + 1);
    case Frames::at_most_9: return std::min(9.0, t);
    case Frames::rounded_up_to_8: return std::nearbyint((t + 7) / 8) * 8;
  }
  return 1;
}

double formula_scale(const VaeFormula& formula, const Shape& shape) {
  return formula.scale_few > 0 && shape.frames <= 4 ? formula.scale_few : formula.scale;
}

/// The part of a picture that is in work at once.
struct Tile {
  double width = 0, height = 0;
  double frames = 1;
  double part = 1;  ///< of the whole

  double pixels() const { return width * height; }
};

Tile tile_of(const VaeCase& c, const Shape& picture) {
  Tile tile;
  const auto side = [&](std::int64_t all) {
    return static_cast<double>(c.tile > 0 ? std::min(all, c.tile) : all);
  };
  tile.width = side(picture.width);
  tile.height = side(picture.height);
  tile.frames = static_cast<double>(
      c.tile > 0 && c.tile_frames > 0 ? std::min(picture.frames, c.tile_frames) : picture.frames);
  const double whole = static_cast<double>(picture.frames) * static_cast<double>(picture.height) *
                       static_cast<double>(picture.width);
  tile.part = whole > 0 ? tile.pixels() * tile.frames / whole : 1;
  return tile;
}

/// Tiles overlap by an eighth of their side on each; pictures are done three times over, in tiles
/// of three shapes, and averaged (decode_tiled_ and encode_tiled_ of comfy/sd.py).
double tiled_times(const VaeCase& c) {
  if (c.tile == 0) return 1;
  return c.row->temporal > 0 ? 1.3 : 3 * 1.3;
}

/// Operations of one VAE call; 0 where nobody has counted them.
double vae_flops_of(const VaeCase& c, bool decode, const Shape& picture, const Tile& tile) {
  const VaeFlops* row = find_vae_flops(c.row->key);
  if (!row) return 0;
  const double first = decode ? row->decode_first : row->encode_first;
  const double later = decode ? row->decode_later : row->encode_later;
  const double pixels = static_cast<double>(picture.height) * static_cast<double>(picture.width);
  const double frames = std::max(1.0, static_cast<double>(picture.frames));
  const double latents = c.row->temporal > 0 ? 1 + (frames - 1) / c.row->temporal : frames;
  // Attention is over a tile where there are tiles, and there are pixels / tile of them.
  const double stride = c.row->spatial * c.row->spatial;
  const double attended =
      std::min(pixels, tile.pixels()) / stride * (row->whole_video ? latents : 1);
  const double attention = 4 * row->attention * attended * (pixels / stride) * latents;
  const double still = c.row->temporal > 0 ? first + later * (frames - 1) : first * frames;
  return static_cast<double>(picture.batch) * (pixels * still + attention) * tiled_times(c);
}

/// One direction of a VAE: its formula, what is live, and the picture it makes or reads.
struct VaeWork {
  const char* what;
  bool decode;
  const VaeFormula& formula;
  const VaeLive& live;
  Shape picture;

  bool traced() const { return live.pixel != 0 || live.frame != 0; }
};

Sum vae_asked(const VaeCase& c, const VaeWork& work) {
  Product product;
  product.times(formula_scale(work.formula, c.shape))
      .count(frames_counted(work.formula.frames, c.shape), "frames")
      .times(static_cast<double>(c.shape.height))
      .times(static_cast<double>(c.shape.width))
      .count(work.formula.unit, "")
      .times(c.element_bytes, "bytes")
      .count(card_times(c, work.formula), "card's")
      .over(kMib);
  const Message tiled = c.tile > 0 ? Message(Say::tiles_change_nothing) : Message();
  return asked_sum(
      {Say::title_asked_for_vae, {work.what, work.what}},
      {{product,
        Say::the_whole_picture,
        NumberKind::computed,
        {Say::vae_formula,
         {work.what, c.row->key, to_string(kColumns[column_index(c.version)]), tiled}}}});
}

Sum vae_live(const VaeCase& c, const VaeWork& work, const Tile& tile, double asked) {
  const VaeLive& live = work.live;
  const Message tiled = c.tile > 0 ? Message(Say::one_tile) : Message();
  if (!work.traced()) {
    Product share;
    share.result(asked, "asked").times(c.row->share).count(tile.part, "");
    return live_sum({{share,
                      {Say::share_of_the_estimate, {tiled}},
                      NumberKind::assumed,
                      Say::nobody_has_traced_it}});
  }
  Sum sum = live_sum();
  const auto add = [&](double rate, double frames, Say what) {
    if (rate == 0) return;
    Product product;
    product.times(tile.height).times(tile.width).count(frames, "frames").times(rate, "bytes");
    if (c.element_bytes != 2) product.times(c.element_bytes).over(2);
    const Message source = {Say::row_named, {c.row->key, c.row->source}};
    sum.terms.push_back(
        {product.over(kMib), {what, {tiled}}, c.row->kind, sum.terms.empty() ? source : Message()});
  };
  const double frames = c.row->temporal > 0 ? tile.frames : 1;
  if (live.picture > 0 && frames == 1) {
    add(live.picture, 1, Say::pixels);
  } else {
    add(live.pixel, 1, Say::pixels);
    add(live.frame, frames, Say::frames_kept);
  }
  return sum;
}

Demand vae_demand(const VaeCase& c, const VaeWork& work) {
  if (work.formula.scale == 0) {
    Demand demand;
    demand.asked = demand.minimum = demand.live = demand.reserved =
        unknown_quantity({Say::no_formula_for, {c.row->title, c.row->source}});
    return demand;
  }
  const Tile tile = tile_of(c, work.picture);
  DemandSums sums;
  sums.asked = vae_asked(c, work);
  sums.live = vae_live(c, work, tile, sums.asked.total());
  sums.reserved_factor = work.live.reserved;
  Demand demand =
      demand_of(std::move(sums), c.async_allocator ? Slack::not_measured : Slack::simulated);
  demand.flops = vae_flops_of(c, work.decode, work.picture, tile);
  demand.low = work.traced() ? c.row->low : std::min(c.row->low, 0.35);
  demand.high = work.traced() ? c.row->high : std::max(c.row->high, 2.0);
  return demand;
}

}  // namespace

Demand decode_demand(const VaeCase& c) {
  const int column = table_column(c.version);
  return vae_demand(c, {"decode", true, c.row->decode[column], c.row->decode_live[column],
                        decoded_picture(*c.row, c.shape)});
}

Demand encode_demand(const VaeCase& c) {
  const int column = table_column(c.version);
  return vae_demand(c,
                    {"encode", false, c.row->encode[column], c.row->encode_live[column], c.shape});
}

}  // namespace ebb
