// SPDX-License-Identifier: Apache-2.0
// A denoising run: ComfyUI's estimate, and what is truly allocated. Each formula is written once,
// as the products and sums that give its number and tell how it came about.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "demand/sums.h"

namespace ebb {
namespace {

/// The factor of a version; where the version lacks the model, that of the first which has it.
struct UsageFactor {
  double value = 0;
  int column = 0;
  bool of_a_later_version = false;
};

UsageFactor usage_factor(const DiffusionRow& row, const ComfyVersion& version) {
  const int wanted = table_column(version);
  int column = wanted;
  while (row.factor[column] == 0 && column + 1 < static_cast<int>(row.factor.size())) ++column;
  return {row.factor[column], column, column != wanted};
}

/// Tokens of one item without text; a model with patches pads to whole ones.
double picture_tokens(const DiffusionRow& row, const Shape& latent) {
  const double patch = row.patch;
  return static_cast<double>(latent.frames) *
         std::ceil(static_cast<double>(latent.height) / patch) *
         std::ceil(static_cast<double>(latent.width) / patch);
}

const SampleLive& live_of(const SampleCase& c) { return c.row->live[table_column(c.version)]; }

/// What ControlNets add; null where there are none or nobody has traced them.
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

/// Whether ComfyUI's estimate counts the reference latents; they are live in any case.
bool counts_references(const SampleCase& c) {
  return std::string_view(c.row->key) != "flux" || rules_for(c.version).flux_counts_references;
}

double attended_tokens(const DiffusionRow& row, const Shape& latent, double reference_area) {
  return picture_tokens(row, latent) + reference_area / (row.patch * row.patch);
}

Product latent_pixels(const Shape& s) {
  return Product()
      .count(static_cast<double>(s.batch), "items")
      .count(static_cast<double>(s.frames), "frames")
      .times(static_cast<double>(s.height))
      .times(static_cast<double>(s.width));
}

/// As many hidden states of the model as there are tokens.
Product hidden_states(const SampleCase& c, Product tokens) {
  return tokens.times(c.row->hidden).times(c.element_bytes, "bytes");
}

Product picture_states(const SampleCase& c) {
  Product tokens;
  tokens.count(static_cast<double>(c.latent.batch), "items");
  return hidden_states(c, tokens.times(picture_tokens(*c.row, c.latent), "tokens"));
}

/// What was traced in 16 bits, in the type that is computed in.
Product in_type(const SampleCase& c, Product traced) {
  return c.element_bytes == 2 ? traced : traced.times(c.element_bytes, "bytes").over(2);
}

/// Bytes a pixel of the latent that were traced in 16 bits, in MiB.
Product pixel_bytes(const Shape& latent, double rate, int element_bytes) {
  Product product = latent_pixels(latent).times(rate, "bytes");
  if (element_bytes != 2) product.times(element_bytes).over(2);
  return product.over(kMib);
}

/// What ComfyUI multiplies, without references.
Sum counted_values(const SampleCase& c) {
  Sum sum{"area", Say::title_counted, "", {}, Say::counted};
  Product latent = latent_pixels(c.latent);
  if (c.packed) latent.times(static_cast<double>(c.latent.channels), "channels");
  sum.terms.push_back({latent, Say::latent, NumberKind::computed, Say::the_workflow});
  if (c.packed && c.audio_elements > 0) {
    Product sound;
    sound.count(static_cast<double>(c.latent.batch), "items");
    sum.terms.push_back({sound.times(static_cast<double>(c.audio_elements)),
                         Say::sound_in_the_same_row, NumberKind::computed, Say::memory_required});
  }
  return sum;
}

/// memory_required in comfy/model_base.py, its factors in its order.
Product estimate(const SampleCase& c, Product counted, double factor) {
  c.plain_attention ? counted.times(0.15) : counted.times(c.element_bytes, "bytes").times(0.01);
  return counted.times(factor);
}

/// ComfyUI's estimate of one batch. Gives that of two, which it asks for to make room.
double add_estimate(const SampleCase& c, DemandSums& sums) {
  const UsageFactor factor = usage_factor(*c.row, c.version);
  const bool counts = counts_references(c), references = counts && c.reference_most > 0;
  sums.area = counted_values(c);
  const double two = 2 * sums.area.total() + (counts ? c.reference_area : 0.0);
  if (references) {
    sums.area.terms.push_back({Product().times(c.reference_most), Say::reference_latents,
                               NumberKind::computed, Say::the_workflow});
  }
  Product counted = sums.area.terms.front().product;
  if (c.packed || references) {
    counted = Product().times(sums.area.total(), "counted");
  } else {
    sums.area = {};
  }
  Message source = {Say::last_factor, {c.row->key, to_string(column_version(factor.column))}};
  if (*c.row->factor_text) source += {Say::after_a_comma, {c.row->factor_text}};
  if (factor.of_a_later_version) source += Say::chosen_version_lacks_it;
  const NumberKind kind = factor.of_a_later_version ? NumberKind::assumed : NumberKind::computed;
  sums.asked = asked_sum(Say::title_asked_for_step,
                         {{estimate(c, counted, factor.value), Say::one_batch, kind, source}});
  return estimate(c, Product().times(two), factor.value).value();
}

/// What grows with the latent and with references, and what an item adds.
void add_live(const SampleCase& c, Sum& sum, double asked) {
  const DiffusionRow& row = *c.row;
  const SampleLive& live = live_of(c);
  const Message source = {Say::row_named, {row.key, row.source}};
  if (row.rule == LiveRule::share) {
    sum.terms.push_back({Product().result(asked, "asked").times(live.rate),
                         {Say::share_of_the_estimate, {""}},
                         row.kind,
                         row.source});
  } else if (row.rule == LiveRule::latent_pixels) {
    sum.terms.push_back(
        {pixel_bytes(c.latent, live.rate, c.element_bytes), Say::latent_pixels, row.kind, source});
  } else {
    sum.terms.push_back(
        {picture_states(c).times(live.rate).over(kMib), Say::hidden_states, row.kind, source});
    if (c.reference_most > 0) {
      Product tokens;
      tokens.count(static_cast<double>(c.latent.batch), "items");
      tokens.times(c.reference_most).over(row.patch * row.patch);
      sum.terms.push_back(
          {hidden_states(c, tokens).times(live.rate).over(kMib), Say::reference_latents, row.kind});
    }
  }
}

/// What ControlNets hand over; they see the picture, not its references.
void add_controlnets(const SampleCase& c, Sum& sum) {
  const ControlRow* control = control_of(c);
  if (!control) return;
  const SampleLive& more = more_of(c, *control);
  const bool pixels = c.row->rule == LiveRule::latent_pixels;
  sum.terms.push_back(
      {pixels ? pixel_bytes(c.latent, more.rate, c.element_bytes)
              : picture_states(c).times(more.rate).over(kMib),
       control->nets > 1 ? Say::outputs_of_several_controlnets : Say::outputs_of_a_controlnet,
       c.row->kind,
       {Say::row_named, {control->key, control->source}}});
}

Sum sampled_live(const SampleCase& c, double asked) {
  Sum sum = live_sum();
  const auto add_item = [&](const SampleLive& live, Say what) {
    if (live.item_mib == 0) return;
    Product item;
    item.count(static_cast<double>(c.latent.batch), "items").times(live.item_mib);
    sum.terms.push_back({in_type(c, item), what, c.row->kind});
  };
  add_live(c, sum, asked);
  add_controlnets(c, sum);
  if (const ControlRow* control = control_of(c)) add_item(more_of(c, *control), Say::does_not_grow);
  add_item(live_of(c), Say::text_and_what_does_not_grow);
  if (c.quantised && c.row->cast_mib > 0) {
    sum.terms.push_back(
        {in_type(c, Product().times(c.row->cast_mib)), Say::one_weight, c.row->kind});
  }
  return sum;
}

/// Bounds of a sampler: more ControlNets than were traced may need half as much again.
void set_bounds(const SampleCase& c, Demand& demand) {
  const ControlRow* control = control_of(c);
  demand.low = control ? control->low : c.row->low;
  demand.high = control ? control->high : c.row->high;
  if (c.controlnets > (control ? control->nets : 0)) demand.high *= 1.5;
}

}  // namespace

Demand sample_demand(const SampleCase& c) {
  DemandSums sums;
  const double asked = add_estimate(c, sums);
  sums.live = sampled_live(c, sums.asked.total());
  sums.reserved_factor = reserved_factor(c);
  Demand demand =
      demand_of(std::move(sums), c.async_allocator ? Slack::not_measured : Slack::simulated);
  demand.asked.bytes = to_bytes(asked * kMib);
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

}  // namespace ebb
