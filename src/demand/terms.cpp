// SPDX-License-Identifier: Apache-2.0
// Every formula of formulas.cpp as a sum of products in the digits that are printed.
#include "demand/terms.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace ebb {
namespace {

constexpr double kMib = 1024.0 * 1024.0;
constexpr double kMostHundredths = 1e17;  // of a MiB: more than kMostBytes
constexpr const char* kEstimate = "memory_required in comfy/model_base.py";

std::int64_t to_hundredths(double value) {
  return std::llround(std::clamp(value * 100, -kMostHundredths, kMostHundredths));
}

Product latent_pixels(const Shape& s) {
  Product product;
  product.count(static_cast<double>(s.batch), "items");
  product.count(static_cast<double>(s.frames), "frames");
  return product.times(static_cast<double>(s.height)).times(static_cast<double>(s.width));
}

std::string column_of(const ComfyVersion& version) {
  return to_string(kColumns[column_index(version)]);
}

// ---- samplers --------------------------------------------------------------------------------

/// One hidden state of the pictures.
Product hidden_states(const SampleCase& c) {
  Product product;
  return product.count(static_cast<double>(c.latent.batch), "items")
      .times(picture_tokens(*c.row, c.latent), "tokens")
      .times(c.row->hidden)
      .times(c.element_bytes, "bytes");
}

/// What ComfyUI multiplies, where it is more than the pixels of the latent.
Sum sampled_area(const SampleCase& c) {
  Sum sum{"area", "Latent values that ComfyUI counts", "", {}, "counted"};
  const bool references = c.reference_most > 0 && counts_references(c);
  if (!c.packed && !references) return sum;
  const double batch = static_cast<double>(c.latent.batch);
  Product latent = latent_pixels(c.latent);
  if (c.packed) latent.times(static_cast<double>(c.latent.channels), "channels");
  sum.terms.push_back(latent.term("latent", NumberKind::computed, "the workflow"));
  if (c.packed && c.audio_elements > 0) {
    Product sound;
    sound.count(batch, "items").times(static_cast<double>(c.audio_elements));
    sum.terms.push_back(sound.term("sound, in the same row", NumberKind::computed, kEstimate));
  }
  if (references) {
    sum.terms.push_back(Product()
                            .times(c.reference_most)
                            .term("reference latents", NumberKind::computed, "the workflow"));
  }
  return sum;
}

Sum sampled_estimate(const SampleCase& c, const Sum& area) {
  const UsageFactor factor = usage_factor(*c.row, c.version);
  Product product;
  if (area.terms.empty()) {
    product = latent_pixels(c.latent);
  } else {
    product.times(static_cast<double>(area.total()) / 100, "counted");
  }
  if (c.plain_attention) {
    product.times(0.15);
  } else {
    product.times(c.element_bytes, "bytes").times(0.01);
  }
  product.times(factor.value);
  std::string source = fmt::format("last factor: {} in comfy/supported_models.py {}", c.row->key,
                                   to_string(column_version(factor.column)));
  if (*c.row->factor_text) source += fmt::format(", {}", c.row->factor_text);
  if (factor.of_a_later_version) source += "; the chosen version lacks this model";
  const NumberKind kind = factor.of_a_later_version ? NumberKind::assumed : NumberKind::computed;
  return {"asked",
          fmt::format("What ComfyUI asks for one step ({})", kEstimate),
          "MiB",
          {product.term("one batch", kind, source)},
          "asked"};
}

/// What ControlNets hand over, for a row that counts tokens or latent pixels.
void add_controlnets(Sum& sum, const SampleCase& c) {
  const ControlRow* control = control_of(c);
  if (!control) return;
  const SampleLive& more = more_of(c, *control);
  const std::string source = fmt::format("row {}: {}", control->key, control->source);
  const char* what =
      control->nets > 1 ? "outputs of several ControlNets" : "a ControlNet's outputs";
  Product product;
  if (c.row->rule == LiveRule::latent_pixels) {
    product = latent_pixels(c.latent).times(more.rate, "bytes");
    if (c.element_bytes != 2) product.times(c.element_bytes).over(2);
  } else {
    product = hidden_states(c).times(more.rate);
  }
  sum.terms.push_back(product.over(kMib).term(what, c.row->kind, source));
  if (more.item_mib == 0) return;
  Product item;
  item.count(static_cast<double>(c.latent.batch), "items").times(more.item_mib);
  if (c.element_bytes != 2) item.times(c.element_bytes, "bytes").over(2);
  sum.terms.push_back(item.term("what does not grow with them", c.row->kind, ""));
}

void add_item_and_cast(Sum& sum, const SampleCase& c) {
  const SampleLive& live = live_of(c);
  if (live.item_mib != 0) {
    Product item;
    item.count(static_cast<double>(c.latent.batch), "items").times(live.item_mib);
    if (c.element_bytes != 2) item.times(c.element_bytes, "bytes").over(2);
    sum.terms.push_back(item.term("text and what does not grow", c.row->kind, ""));
  }
  if (c.quantised && c.row->cast_mib > 0) {
    Product cast;
    cast.times(c.row->cast_mib);
    if (c.element_bytes != 2) cast.times(c.element_bytes, "bytes").over(2);
    sum.terms.push_back(cast.term("one weight in the computing type", c.row->kind, ""));
  }
}

Sum sampled_live(const SampleCase& c, const Sum& asked) {
  const DiffusionRow& row = *c.row;
  const SampleLive& live = live_of(c);
  Sum sum{"live", "What the step truly allocates (docs/demand.md)", "MiB", {}, "live"};
  const std::string source = row.rule == LiveRule::share
                                 ? std::string(row.source)
                                 : fmt::format("row {}: {}", row.key, row.source);
  Product product;
  if (row.rule == LiveRule::share) {
    product.times(static_cast<double>(asked.total()) / 100, "asked").times(live.rate);
    sum.terms.push_back(product.term("a share of the estimate", row.kind, source));
  } else if (row.rule == LiveRule::latent_pixels) {
    product = latent_pixels(c.latent).times(live.rate, "bytes");
    if (c.element_bytes != 2) product.times(c.element_bytes).over(2);
    sum.terms.push_back(product.over(kMib).term("latent pixels", row.kind, source));
  } else {
    product = hidden_states(c).times(live.rate).over(kMib);
    sum.terms.push_back(product.term("hidden states", row.kind, source));
    if (c.reference_most > 0) {
      Product reference;
      reference.count(static_cast<double>(c.latent.batch), "items")
          .times(c.reference_most)
          .over(row.patch * row.patch)
          .times(row.hidden)
          .times(c.element_bytes, "bytes")
          .times(live.rate)
          .over(kMib);
      sum.terms.push_back(reference.term("reference latents", row.kind, ""));
    }
  }
  add_controlnets(sum, c);
  add_item_and_cast(sum, c);
  return sum;
}

// ---- VAEs ------------------------------------------------------------------------------------

struct VaeSide {
  const char* what;  ///< `decode`
  const VaeFormula& formula;
  const VaeLive& live;
  Shape picture;
};

Sum vae_estimate(const VaeCase& c, const VaeSide& side) {
  Product product;
  product.times(formula_scale(side.formula, c.shape));
  product.count(frames_counted(side.formula.frames, c.shape), "frames");
  product.times(static_cast<double>(c.shape.height)).times(static_cast<double>(c.shape.width));
  product.count(side.formula.unit, "");
  product.times(c.element_bytes, "bytes");
  if (const double times = card_times(c, side.formula); times != 1) product.times(times, "card's");
  product.over(kMib);
  std::string source =
      fmt::format("{} of {} in comfy/sd.py {}", side.what, c.row->key, column_of(c.version));
  if (c.tile > 0) source += "; tiles change nothing here";
  return {"asked",
          fmt::format("What ComfyUI asks for the {} (memory_used_{} in comfy/sd.py)", side.what,
                      side.what),
          "MiB",
          {product.term("the whole picture", NumberKind::computed, source)},
          "asked"};
}

Sum vae_live(const VaeCase& c, const VaeSide& side, const Sum& asked) {
  const Tile tile = tile_of(c, side.picture);
  Sum sum{"live", "What the step truly allocates (docs/demand.md)", "MiB", {}, "live"};
  const VaeLive& live = side.live;
  const std::string tiled = c.tile > 0 ? ", one tile" : "";
  if (live.pixel == 0 && live.frame == 0) {
    Product share;
    share.times(static_cast<double>(asked.total()) / 100, "asked").times(c.row->share);
    if (tile.part != 1) share.times(tile.part);
    sum.terms.push_back(
        share.term("a share of the estimate" + tiled, NumberKind::assumed, "nobody has traced it"));
    return sum;
  }
  const auto add = [&](double rate, double frames, std::string what, std::string source) {
    if (rate == 0) return;
    Product product;
    product.times(tile.height).times(tile.width).count(frames, "frames").times(rate, "bytes");
    if (c.element_bytes != 2) product.times(c.element_bytes).over(2);
    sum.terms.push_back(product.over(kMib).term(std::move(what), c.row->kind, std::move(source)));
  };
  const double frames = c.row->temporal > 0 ? tile.frames : 1;
  const std::string source = fmt::format("row {}: {}", c.row->key, c.row->source);
  if (live.picture > 0 && frames == 1) {
    add(live.picture, 1, "pixels" + tiled, source);
  } else {
    add(live.pixel, 1, "pixels" + tiled, source);
    add(live.frame, frames, "frames kept" + tiled, live.pixel == 0 ? source : "");
  }
  return sum;
}

std::string allocator_source(bool async_allocator) {
  return async_allocator ? "not measured for cudaMallocAsync"
                         : "PyTorch's own allocator, simulated";
}

DemandTerms vae_terms(const VaeCase& c, const VaeSide& side) {
  DemandTerms terms;
  if (side.formula.scale == 0) return terms;
  terms.asked = vae_estimate(c, side);
  terms.live = vae_live(c, side, terms.asked);
  terms.reserved_factor = side.live.reserved;
  terms.reserved_source = allocator_source(c.async_allocator);
  return terms;
}

}  // namespace

// ---- sums and products -----------------------------------------------------------------------

std::int64_t Sum::total() const {
  std::int64_t total = 0;
  for (const Term& term : terms) total += term.hundredths;
  return total;
}

double Product::add(const char* sign, double factor, std::string_view unit) {
  const bool whole = factor == std::floor(factor) && std::abs(factor) < 1e15;
  std::string digits =
      whole ? format_count(static_cast<std::int64_t>(factor)) : fmt::format("{:.9g}", factor);
  const double value = whole ? factor : std::strtod(digits.c_str(), nullptr);
  if (const auto point = digits.find('.'); !whole && factor >= 1000 && point < 9) {
    digits = format_count(static_cast<std::int64_t>(value)) + digits.substr(point);
  }
  if (!text_.empty()) text_ += sign;
  text_ += digits;
  if (!unit.empty()) text_ += fmt::format(" {}", unit);
  ++factors_;
  return value;
}

Product& Product::times(double factor, std::string_view unit) {
  value_ *= add(" x ", factor, unit);
  return *this;
}

Product& Product::over(double divisor, std::string_view unit) {
  value_ /= add(" / ", divisor, unit);
  return *this;
}

Term Product::term(std::string what, NumberKind kind, Message source) const {
  return {to_hundredths(value_), factors_ > 1 ? text_ : "", std::move(what), kind,
          std::move(source)};
}

Term bytes_term(std::int64_t bytes, std::string what, NumberKind kind, Message source) {
  return {to_hundredths(static_cast<double>(bytes) / kMib), "", std::move(what), kind,
          std::move(source)};
}

// ---- steps -----------------------------------------------------------------------------------

DemandTerms sample_terms(const SampleCase& c) {
  DemandTerms terms;
  terms.area = sampled_area(c);
  terms.asked = sampled_estimate(c, terms.area);
  terms.live = sampled_live(c, terms.asked);
  terms.reserved_factor = reserved_factor(c);
  terms.reserved_source = allocator_source(c.async_allocator);
  return terms;
}

DemandTerms decode_terms(const VaeCase& c) {
  const int column = table_column(c.version);
  return vae_terms(c, {"decode", c.row->decode[column], c.row->decode_live[column],
                       decoded_picture(*c.row, c.shape)});
}

DemandTerms encode_terms(const VaeCase& c) {
  const int column = table_column(c.version);
  return vae_terms(c, {"encode", c.row->encode[column], c.row->encode_live[column], c.shape});
}

DemandTerms text_terms(const Demand& demand) {
  DemandTerms terms;
  if (!demand.asked.known() || demand.live.bytes <= 0) return terms;
  terms.asked = {"asked",
                 "What ComfyUI asks for (load_model in comfy/sd.py)",
                 "MiB",
                 {bytes_term(demand.minimum.bytes, "text encoders", demand.minimum.kind,
                             demand.minimum.source)},
                 "asked"};
  terms.live = {"live",
                "What the step truly allocates (docs/demand.md)",
                "MiB",
                {bytes_term(demand.live.bytes, "one prompt", demand.live.kind, demand.live.source)},
                "live"};
  terms.reserved_factor =
      static_cast<double>(demand.reserved.bytes) / static_cast<double>(demand.live.bytes);
  terms.reserved_source = "the allocator's slack";
  return terms;
}

DemandTerms upscale_terms(const UpscaleCase& c) {
  const std::string node = "comfy_extras/nodes_upscale_model.py";
  const NumberKind computed = NumberKind::computed;
  const NumberKind traced = c.rrdb ? NumberKind::measured : NumberKind::assumed;
  const auto pictures = [&c](NumberKind kind) {
    Product all;
    return all.times(static_cast<double>(element_count(c.picture)), "values")
        .times(4, "bytes")
        .over(kMib)
        .term("the picture", kind, "");
  };
  Product asked, live;
  asked.times(512).times(512).times(3).times(4, "bytes").times(std::max(c.scale, 1.0));
  const UpscalerRow& row = upscaler_row(c.scale);
  live.times(c.tile_pixels(), "pixels").times(row.pixel, "bytes");
  DemandTerms terms;
  terms.asked = {"asked",
                 fmt::format("What the node asks for ({})", node),
                 "MiB",
                 {bytes_term(c.weights_bytes, "its weights", computed, ""),
                  asked.times(384).over(kMib).term("one tile", computed, node), pictures(computed)},
                 "asked"};
  const std::string source = fmt::format(
      "row {}: {}", row.key,
      c.rrdb ? "traced on meta tensors, tests/demand/traced.inc" : "as an ESRGAN would");
  terms.live = {"live",
                "What the step truly allocates (docs/demand.md)",
                "MiB",
                {live.over(kMib).term("one tile", traced, source), pictures(traced)},
                "live"};
  terms.reserved_factor = row.reserved;
  terms.reserved_source = "the allocator's slack";
  return terms;
}

DemandTerms larger(DemandTerms a, DemandTerms b) {
  if (b.asked.total() > a.asked.total()) {
    a.asked = std::move(b.asked);
    a.area = std::move(b.area);
  }
  if (b.live.total() > a.live.total()) {
    a.live = std::move(b.live);
    a.reserved_factor = b.reserved_factor;
    a.reserved_source = std::move(b.reserved_source);
  }
  return a;
}

}  // namespace ebb
