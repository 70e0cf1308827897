// SPDX-License-Identifier: Apache-2.0
// ComfyUI's estimates and the live coefficients, applied to shapes.
#include "demand/formulas.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ebb {
// ---- parts of the formulas, which terms.cpp writes out -------------------------------------

UsageFactor usage_factor(const DiffusionRow& row, const ComfyVersion& version) {
  const int wanted = table_column(version);
  int column = wanted;
  while (row.factor[column] == 0 && column + 1 < static_cast<int>(row.factor.size())) ++column;
  return {row.factor[column], column, column != wanted};
}

double picture_tokens(const DiffusionRow& row, const Shape& latent) {
  const double patch = row.patch;
  return static_cast<double>(latent.frames) *
         std::ceil(static_cast<double>(latent.height) / patch) *
         std::ceil(static_cast<double>(latent.width) / patch);
}

const SampleLive& live_of(const SampleCase& c) { return c.row->live[table_column(c.version)]; }

const ControlRow* control_of(const SampleCase& c) {
  return find_control_row(c.row->key, c.controlnets);
}
const SampleLive& more_of(const SampleCase& c, const ControlRow& control) {
  return control.more[table_column(c.version)];
}
double reserved_factor(const SampleCase& c) {
  const ControlRow* control = control_of(c);
  return (control ? more_of(c, *control) : live_of(c)).reserved;
}

Shape decoded_picture(const VaeRow& row, const Shape& latent) {
  Shape picture = latent;
  picture.height *= row.spatial;
  picture.width *= row.spatial;
  if (row.temporal > 0) picture.frames = (latent.frames - 1) * row.temporal + 1;
  return picture;
}

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

namespace {

constexpr double kMib = 1024.0 * 1024.0;
constexpr std::int64_t kUpscaleTile = 512;  // of ImageUpscaleWithModel, halved where memory ends

Quantity quantity(double bytes, NumberKind kind, Message source) {
  return {to_bytes(bytes), kind, std::move(source)};
}

/// A factor of 1.0 prints as `1`, 2.30423... as `2.3042`.
std::string short_number(double value) { return fmt::format("{:.5g}", value); }

Message factor_source(const SampleCase& c, const UsageFactor& factor, const char* batch) {
  Message source = {
      Say::usage_factor,
      {batch, c.plain_attention ? "0.15" : fmt::format("{}*0.01", c.element_bytes),
       short_number(factor.value), c.row->key, to_string(column_version(factor.column))}};
  if (*c.row->factor_text) source += {Say::in_brackets, {c.row->factor_text}};
  if (factor.of_a_later_version) source += Say::version_lacks_model;
  if (c.packed) source += Say::over_packed_channels;
  if (c.reference_area > 0) {
    source += counts_references(c) ? Say::references_counted : Say::references_left_out;
  }
  return source;
}

double plane(const Shape& s) {
  return static_cast<double>(s.frames) * static_cast<double>(s.height) *
         static_cast<double>(s.width);
}

double attended_tokens(const DiffusionRow& row, const Shape& latent, double reference_area) {
  return picture_tokens(row, latent) + reference_area / (row.patch * row.patch);
}

/// What grows with the latent, and with references, and what an item adds.
double live_part(const SampleCase& c, const SampleLive& live, double reference, double estimate) {
  const double batch = static_cast<double>(c.latent.batch);
  double bytes = 0;
  switch (c.row->rule) {
    case LiveRule::tokens:
      bytes = live.rate * batch * attended_tokens(*c.row, c.latent, reference) * c.row->hidden *
              c.element_bytes;
      break;
    case LiveRule::latent_pixels:
      bytes = live.rate * batch * plane(c.latent) * c.element_bytes / 2;
      break;
    case LiveRule::share: bytes = live.rate * estimate; break;
  }
  return bytes + batch * live.item_mib * kMib * c.element_bytes / 2;
}

double live_bytes(const SampleCase& c, double estimate) {
  double bytes = live_part(c, live_of(c), c.reference_most, estimate);
  // ControlNets see the picture, not its references.
  if (const ControlRow* control = control_of(c)) {
    bytes += live_part(c, more_of(c, *control), 0, estimate);
  }
  if (c.quantised) {
    bytes += c.row->cast_mib * kMib * c.element_bytes / 2;
  }
  return std::max(bytes, 0.0);
}

Message live_source(const SampleCase& c) {
  const SampleLive& live = live_of(c);
  const std::string rate = short_number(live.rate);
  const bool tokens = c.row->rule == LiveRule::tokens;
  Message source = c.row->source;
  if (tokens || c.row->rule == LiveRule::latent_pixels) {
    Message item;
    if (live.item_mib != 0) item = {Say::mib_an_item, {live.item_mib}};
    source = tokens ? Message(Say::live_by_tokens,
                              {rate, c.row->hidden, c.element_bytes, item, c.row->key, source})
                    : Message(Say::live_by_pixels, {rate, item, c.row->key, source});
  }
  if (c.quantised && c.row->cast_mib > 0) source += Say::one_weight_added;
  if (const ControlRow* control = control_of(c)) {
    source += {tokens ? Say::hidden_states_for_controlnets : Say::bytes_for_controlnets,
               {short_number(more_of(c, *control).rate), control->key}};
  } else if (c.controlnets > 0) {
    source += Say::controlnets_in_the_bound;
  }
  if (c.forwards > 1) source += Say::one_batch_or_more;
  return source;
}

/// The factors were found by replaying allocations through a model of PyTorch's own allocator.
Quantity reserved_quantity(double bytes, double factor, NumberKind kind, bool async_allocator,
                           const Message& live) {
  return quantity(bytes, async_allocator ? NumberKind::assumed : kind,
                  {async_allocator ? Say::times_live_not_measured : Say::times_live_simulated,
                   {short_number(factor), live}});
}

double vae_bytes(const VaeFormula& formula, const VaeCase& c) {
  return formula_scale(formula, c.shape) * frames_counted(formula.frames, c.shape) *
         static_cast<double>(c.shape.height) * static_cast<double>(c.shape.width) * formula.unit *
         c.element_bytes * card_times(c, formula);
}

Message vae_source(const VaeCase& c, const VaeFormula& formula, const char* what) {
  const bool frames = formula.frames != Frames::none;
  const double times = card_times(c, formula);
  return {Say::vae_estimate,
          {short_number(formula_scale(formula, c.shape)), frames ? "*T" : "",
           formula.unit == 1 ? "" : fmt::format("{}*", formula.unit), c.element_bytes,
           times == 1 ? "" : fmt::format("*{}", times), what, c.row->key,
           to_string(kColumns[column_index(c.version)])}};
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
};

/// Nothing where nobody has traced it.
std::optional<double> traced_live(const VaeCase& c, const VaeLive& live, const Tile& tile) {
  if (live.pixel == 0 && live.frame == 0) return std::nullopt;
  const double frames = c.row->temporal > 0 ? tile.frames : 1;
  const double rate =
      live.picture > 0 && frames == 1 ? live.picture : live.pixel + live.frame * frames;
  return tile.pixels() * rate * c.element_bytes / 2;
}

Demand vae_demand(const VaeCase& c, const VaeWork& work) {
  Demand demand;
  if (work.formula.scale == 0) {
    demand.asked = demand.minimum = demand.live = demand.reserved =
        unknown_quantity({Say::no_formula_for, {c.row->title, c.row->source}});
    return demand;
  }
  const double asked = vae_bytes(work.formula, c);
  demand.asked = quantity(asked, NumberKind::computed, vae_source(c, work.formula, work.what));
  demand.minimum = demand.asked;
  const Tile tile = tile_of(c, work.picture);
  const std::optional<double> live = traced_live(c, work.live, tile);
  const double bytes = live.value_or(c.row->share * asked * tile.part);
  Message source = live ? Message(Say::row_for, {c.row->key, work.what, c.row->source})
                        : Message(Say::share_of_estimate, {c.row->key, work.what, c.row->share});
  if (c.tile > 0) source += {Say::one_tile_of, {c.tile}};
  const NumberKind kind = live ? c.row->kind : NumberKind::assumed;
  demand.live = quantity(bytes, kind, source);
  demand.reserved = reserved_quantity(bytes * work.live.reserved, work.live.reserved, kind,
                                      c.async_allocator, source);
  demand.flops = vae_flops_of(c, work.decode, work.picture, tile);
  demand.low = live ? c.row->low : std::min(c.row->low, 0.35);
  demand.high = live ? c.row->high : std::max(c.row->high, 2.0);
  return demand;
}

}  // namespace

std::int64_t to_bytes(double bytes) {
  if (!(bytes > 0)) return 0;
  if (bytes >= static_cast<double>(kMostBytes)) return kMostBytes;
  return std::llround(bytes);
}

std::int64_t element_count(const Shape& s) {
  return to_bytes(static_cast<double>(s.batch) * static_cast<double>(s.channels) * plane(s));
}

Quantity unknown_quantity(Message why) { return {0, NumberKind::unknown, std::move(why)}; }

/// Bounds of a sampler: more ControlNets than were traced may need half as much again.
void set_bounds(const SampleCase& c, Demand& demand) {
  const ControlRow* control = control_of(c);
  demand.low = control ? control->low : c.row->low;
  demand.high = control ? control->high : c.row->high;
  if (c.controlnets > (control ? control->nets : 0)) demand.high *= 1.5;
}

bool counts_references(const SampleCase& c) {
  return std::string_view(c.row->key) != "flux" || rules_for(c.version).flux_counts_references;
}

Demand sample_demand(const SampleCase& c) {
  const UsageFactor factor = usage_factor(*c.row, c.version);
  const double per_area = (c.plain_attention ? 0.15 : c.element_bytes * 0.01) * factor.value * kMib;
  double area = static_cast<double>(c.latent.batch) * plane(c.latent);
  if (c.packed) {
    area = static_cast<double>(c.latent.batch) *
           (static_cast<double>(c.latent.channels) * plane(c.latent) +
            static_cast<double>(c.audio_elements));
  }
  const NumberKind kind = factor.of_a_later_version ? NumberKind::assumed : NumberKind::computed;
  Demand demand;
  const double counted = counts_references(c) ? 1 : 0;
  const double minimum = (area + counted * c.reference_most) * per_area;
  demand.minimum = quantity(minimum, kind, factor_source(c, factor, "B*"));
  demand.asked = quantity((2 * area + counted * c.reference_area) * per_area, kind,
                          factor_source(c, factor, "2*B*"));
  const double live = live_bytes(c, minimum);
  demand.live = quantity(live, c.row->kind, live_source(c));
  demand.reserved = reserved_quantity(live * reserved_factor(c), reserved_factor(c), c.row->kind,
                                      c.async_allocator, live_source(c));
  set_bounds(c, demand);
  const double copies = c.quantised ? 1.5 : 1.0;  // of 16 bits: half as stored, whole as computed
  demand.cast_bytes =
      static_cast<std::int64_t>(copies * c.row->cast_mib * kMib * c.element_bytes / 2);
  demand.forwards = c.forwards;
  demand.flops = forward_flops(*c.row, c.latent, c.reference_most) * c.forwards;
  return demand;
}

double forward_flops(const DiffusionRow& row, const Shape& latent, double reference_area) {
  const double batch = static_cast<double>(latent.batch);
  if (row.flops_per_latent_pixel > 0) return batch * plane(latent) * row.flops_per_latent_pixel;
  if (row.layers == 0 || row.hidden == 0 || row.parameters == 0) return 0;
  const double tokens = attended_tokens(row, latent, reference_area) + row.text_tokens;
  return batch * (2 * row.parameters * tokens + 4 * tokens * tokens * row.hidden * row.layers);
}

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

Demand text_demand(const TextRow* row, const ComfyVersion& version, int element_bytes) {
  Demand demand;
  double asked = 0;
  Message source = Say::nothing_asked_for_text;
  if (row && row->asked_mib_per_token > 0 && rules_for(version).text_encoders_ask) {
    const double per_token = row->asked_mib_per_token * (element_bytes == 2 ? 0.5 : 1.0);
    asked = 642 * per_token * kMib;
    source = {Say::asked_for_text, {short_number(per_token), row->key}};
  }
  demand.asked = demand.minimum = quantity(asked, NumberKind::computed, source);
  const double live = (row ? row->live_mib : 200) * kMib;
  demand.live = quantity(
      live, NumberKind::assumed,
      row ? Message(Say::row_of, {row->key, row->source}) : Message(Say::as_large_text_encoders));
  demand.reserved =
      quantity(live * 1.5, NumberKind::assumed, {Say::times_live, {"1.5", demand.live.source}});
  if (row) demand.flops = 2 * row->parameters * row->tokens;
  demand.low = 0.2;
  demand.high = 2;
  return demand;
}

namespace {

/// Keys and values that a text encoder keeps of one token while it writes: layers * 2 * heads *
/// width of a head * 2 bytes (comfy/text_encoders/llama.py of 0.33.0).
struct KeptRow {
  std::string_view key;
  std::int64_t bytes;
};
constexpr KeptRow kKept[] = {
    {"qwen3-4b", 36 * 2 * 8 * 128 * 2},     {"qwen25-vl-7b", 28 * 2 * 4 * 128 * 2},
    {"gemma-2-2b", 26 * 2 * 4 * 256 * 2},   {"gemma3-12b", 48 * 2 * 8 * 256 * 2},
    {"mistral3-24b", 40 * 2 * 8 * 128 * 2},
};

}  // namespace

Demand writing_demand(const TextRow* row, const ComfyVersion& version, int element_bytes,
                      std::int64_t most_tokens) {
  Demand demand = text_demand(row, version, element_bytes);
  demand.repeats = static_cast<int>(std::clamp<std::int64_t>(most_tokens, 1, 1'000'000));
  demand.flops = 0;  // one token at a time reads all weights: no matter of operations
  const auto kept = std::ranges::find_if(
      kKept, [&](const KeptRow& entry) { return row && entry.key == row->key; });
  const bool known = kept != std::end(kKept);
  const std::int64_t each = known ? kept->bytes : kKept[0].bytes;
  const std::int64_t tokens = (row ? row->tokens : 512) + demand.repeats;
  const Message source = {known ? Say::keys_and_values : Say::keys_and_values_as_qwen,
                          {tokens, each, demand.live.source}};
  const double live = static_cast<double>(demand.live.bytes) + static_cast<double>(tokens * each);
  demand.live = quantity(live, NumberKind::assumed, source);
  demand.reserved = quantity(live * 1.1, NumberKind::assumed, {Say::times_live, {"1.1", source}});
  demand.low = known ? 0.8 : 0.4;
  demand.high = known ? 1.2 : 2.7;
  return demand;
}

Demand sound_demand(const SoundCase& c) {
  constexpr double kBytesOfAFrame = 87'000;           // of a latent row: comfy/sd.py of 0.33.0
  constexpr double kEncoderBytes = 3.0 * 512 * 3200;  // a second: three copies of a layer
  constexpr double kMinute = 60;
  Demand demand;
  const bool decodes = c.latent_values > 0;
  const double live =
      decodes ? static_cast<double>(c.latent_values) / 8 * kBytesOfAFrame : kEncoderBytes * kMinute;
  const Message source = decodes ? Say::sound_decoded : Say::sound_encoded;
  const double bytes = live * c.element_bytes;
  demand.live = quantity(bytes, NumberKind::assumed, source);
  demand.reserved = quantity(1.2 * bytes, NumberKind::assumed, {Say::times_live, {"1.2", source}});
  const bool asks = decodes && c.version >= ComfyVersion{0, 25, 0};
  demand.asked = demand.minimum =
      quantity(asks ? bytes : 0, NumberKind::computed, asks ? source : Message(Say::nothing_asked));
  demand.low = 0.3;
  demand.high = 1.5;
  return demand;
}

double UpscaleCase::tile_pixels() const {
  return static_cast<double>(std::min<std::int64_t>(picture.width, kUpscaleTile)) *
         static_cast<double>(std::min<std::int64_t>(picture.height, kUpscaleTile));
}

Demand upscale_demand(const UpscaleCase& c) {
  // The node frees this much by itself and then moves the model over: no loader is involved.
  const double images = static_cast<double>(element_count(c.picture)) * 4;
  const double work = 1.0 * kUpscaleTile * kUpscaleTile * 3 * 4 * std::max(c.scale, 1.0) * 384;
  Demand demand;
  demand.asked =
      quantity(static_cast<double>(c.weights_bytes) + work + images, NumberKind::computed,
               {Say::upscaler_estimate, {short_number(std::max(c.scale, 1.0))}});
  demand.minimum = demand.asked;
  const UpscalerRow& row = upscaler_row(c.scale);
  const NumberKind kind = c.rrdb ? NumberKind::measured : NumberKind::assumed;
  const double live = row.pixel * c.tile_pixels() + images;
  demand.live = quantity(live, kind,
                         {c.rrdb ? Say::upscaler_traced : Say::upscaler_as_esrgan,
                          {short_number(row.pixel), row.key}});
  demand.reserved = quantity(row.reserved * live, NumberKind::assumed,
                             {Say::times_live, {short_number(row.reserved), demand.live.source}});
  // Nearly all of such a model works on the small picture: each of its 32-bit weights once a pixel.
  demand.flops = 2 * static_cast<double>(c.weights_bytes) / 4 *
                 static_cast<double>(c.picture.batch) * plane(c.picture);
  demand.low = c.rrdb ? 0.88 : 0.06;
  demand.high = c.rrdb ? 1.4 : 2;
  return demand;
}

Demand larger(const Demand& a, const Demand& b) {
  const auto pick = [](const Quantity& x, const Quantity& y) -> const Quantity& {
    if (!x.known()) return x;
    if (!y.known()) return y;
    return y.bytes > x.bytes ? y : x;
  };
  Demand demand = a;
  demand.asked = pick(a.asked, b.asked);
  demand.minimum = pick(a.minimum, b.minimum);
  demand.live = pick(a.live, b.live);
  demand.reserved = pick(a.reserved, b.reserved);
  demand.low = std::min(a.low, b.low);
  demand.high = std::max(a.high, b.high);
  demand.flops = a.flops > 0 && b.flops > 0 ? a.flops + b.flops : 0;
  demand.result_bytes = std::min(kMostBytes, a.result_bytes + b.result_bytes);
  return demand;
}

}  // namespace ebb
