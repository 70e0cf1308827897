// SPDX-License-Identifier: Apache-2.0
// Demand of text encoders, sounds and upscalers, and what the formulas share.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "demand/sums.h"

namespace ebb {
namespace {

constexpr double kUpscaleTile = 512;  // of ImageUpscaleWithModel, halved where memory ends
constexpr NumberKind kComputed = NumberKind::computed;
constexpr NumberKind kAssumed = NumberKind::assumed;

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

Quantity quantity(const Sum& sum) {
  const Term& first = sum.terms.front();
  return {to_bytes(sum.total() * kMib), first.kind, first.source};
}

Sum asked_sum(Message title, std::vector<Term> terms) {
  return {"asked", std::move(title), "MiB", std::move(terms), Say::asked};
}

Sum live_sum(std::vector<Term> terms) {
  return {"live", Say::title_live, "MiB", std::move(terms), Say::live};
}

Demand demand_of(DemandSums sums, Slack slack) {
  Demand demand;
  demand.asked = demand.minimum = quantity(sums.asked);
  demand.live = demand.reserved = quantity(sums.live);
  demand.reserved.bytes = to_bytes(sums.live.total() * sums.reserved_factor * kMib);
  if (slack != Slack::simulated) demand.reserved.kind = kAssumed;
  sums.reserved_source = slack == Slack::simulated ? Say::allocator_simulated
                         : slack == Slack::assumed ? Say::allocators_slack
                                                   : Say::allocator_not_measured;
  demand.reserved.source = {Say::both, {sums.reserved_source, demand.live.source}};
  demand.sums = std::make_shared<const DemandSums>(std::move(sums));
  return demand;
}

Demand text_demand(const TextRow* row, const ComfyVersion& version, int element_bytes) {
  Product asked;
  Message source = Say::nothing_asked_for_text;
  if (row && row->asked_mib_per_token > 0 && rules_for(version).text_encoders_ask) {
    const double per_token = row->asked_mib_per_token * (element_bytes == 2 ? 0.5 : 1.0);
    asked.times(642, "tokens").times(per_token, "MiB");
    source = {Say::asked_for_text, {fmt::format("{:.5g}", per_token), row->key}};
  } else {
    asked.times(0);
  }
  DemandSums sums;
  sums.asked =
      asked_sum(Say::title_asked_for_text, {{asked, Say::text_encoders, kComputed, source}});
  sums.live = live_sum({{Product().times(row ? row->live_mib : 200), Say::one_prompt, kAssumed,
                         row ? Message(Say::row_of, {row->key, row->source})
                             : Message(Say::as_large_text_encoders)}});
  sums.reserved_factor = 1.5;
  Demand demand = demand_of(std::move(sums));
  if (row) demand.flops = 2 * row->parameters * row->tokens;
  demand.low = 0.2;
  demand.high = 2;
  return demand;
}

Demand vision_demand(const ComfyVersion& version) {
  const Demand text = text_demand(nullptr, version, 2);
  DemandSums sums = *text.sums;
  sums.live.terms.front().source = Say::vision_encoder_live;
  Demand demand = demand_of(std::move(sums));
  demand.low = text.low;
  demand.high = text.high;
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
  const auto kept = std::ranges::find_if(
      kKept, [&](const KeptRow& entry) { return row && entry.key == row->key; });
  const bool known = kept != std::end(kKept);
  const std::int64_t each = known ? kept->bytes : kKept[0].bytes;
  const std::int64_t writes = std::clamp<std::int64_t>(most_tokens, 1, 1'000'000);
  const std::int64_t tokens = (row ? row->tokens : 512) + writes;
  DemandSums sums = *text_demand(row, version, element_bytes).sums;
  Product keys;
  keys.times(static_cast<double>(tokens), "tokens").times(static_cast<double>(each), "bytes");
  sums.live.terms.push_back({keys.over(kMib), Say::keys_and_values_kept, kAssumed,
                             known ? Say::configuration_of_the_encoder : Say::as_qwen_3_4b});
  sums.reserved_factor = 1.1;
  // One token at a time reads all weights: no matter of operations.
  Demand demand = demand_of(std::move(sums));
  demand.repeats = static_cast<int>(writes);
  demand.low = known ? 0.8 : 0.4;
  demand.high = known ? 1.2 : 2.7;
  return demand;
}

Demand sound_demand(const SoundCase& c) {
  const bool decodes = c.latent_values > 0;
  Product live;
  if (decodes) {  // 87,000 of a latent row: comfy/sd.py of 0.33.0
    live.times(static_cast<double>(c.latent_values), "values").over(8).times(87'000);
  } else {  // three copies of a layer
    live.times(60, "seconds").times(3).times(512).times(3200);
  }
  live.times(c.element_bytes, "bytes").over(kMib);
  const Message source = decodes ? Say::sound_decoded : Say::sound_encoded;
  const bool asks = decodes && c.version >= ComfyVersion{0, 25, 0};
  DemandSums sums;
  sums.asked = asked_sum(Say::title_asked_for_sound,
                         {{asks ? live : Product().times(0), Say::the_sound, kComputed,
                           asks ? source : Message(Say::nothing_asked)}});
  sums.live = live_sum({{live, Say::the_sound, kAssumed, source}});
  sums.reserved_factor = 1.2;
  Demand demand = demand_of(std::move(sums));
  demand.low = 0.3;
  demand.high = 1.5;
  return demand;
}

Demand upscale_demand(const UpscaleCase& c) {
  // The node frees this much by itself and then moves the model over: no loader is involved.
  const UpscalerRow& row = upscaler_row(c.scale);
  const NumberKind kind = c.rrdb ? NumberKind::measured : kAssumed;
  const double scale = std::max(c.scale, 1.0);
  const double tile = std::min(static_cast<double>(c.picture.width), kUpscaleTile) *
                      std::min(static_cast<double>(c.picture.height), kUpscaleTile);
  Product weights, picture, work, live;
  weights.times(static_cast<double>(c.weights_bytes) / kMib);
  picture.times(static_cast<double>(element_count(c.picture)), "values").times(4, "bytes");
  picture.over(kMib);
  work.times(kUpscaleTile).times(kUpscaleTile).times(3).times(4, "bytes").times(scale).times(384);
  live.times(tile, "pixels").times(row.pixel, "bytes");
  const Message node = Say::upscaler_node;
  DemandSums sums;
  sums.asked = asked_sum(Say::title_asked_for_upscaler,
                         {{weights, Say::its_weights},
                          {work.over(kMib), Say::one_tile_of_it, kComputed, node},
                          {picture, Say::the_picture}});
  const Say traced = c.rrdb ? Say::traced_on_meta_tensors : Say::as_an_esrgan;
  sums.live = live_sum(
      {{live.over(kMib), Say::one_tile_of_it, kind, {Say::row_named, {row.key, Message(traced)}}},
       {picture, Say::the_picture, kind}});
  sums.reserved_factor = row.reserved;
  Demand demand = demand_of(std::move(sums));
  // Nearly all of such a model works on the small picture: each of its 32-bit weights once a pixel.
  demand.flops = 2 * static_cast<double>(c.weights_bytes) / 4 *
                 static_cast<double>(c.picture.batch) * plane(c.picture);
  demand.low = c.rrdb ? 0.88 : 0.06;
  demand.high = c.rrdb ? 1.4 : 2;
  return demand;
}

namespace {

/// Of each sum the larger, as the quantities are taken.
std::shared_ptr<const DemandSums> larger_sums(const Demand& a, const Demand& b) {
  const bool known = a.live.known() && b.live.known() && a.asked.known() && b.asked.known();
  if (!known || !a.sums || !b.sums) return nullptr;
  DemandSums sums = b.live.bytes > a.live.bytes ? *b.sums : *a.sums;
  const DemandSums& asking = b.minimum.bytes > a.minimum.bytes ? *b.sums : *a.sums;
  sums.area = asking.area;
  sums.asked = asking.asked;
  return std::make_shared<const DemandSums>(std::move(sums));
}

}  // namespace

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
  demand.sums = larger_sums(a, b);
  demand.low = std::min(a.low, b.low);
  demand.high = std::max(a.high, b.high);
  demand.flops = a.flops > 0 && b.flops > 0 ? a.flops + b.flops : 0;
  demand.result_bytes = std::min(kMostBytes, a.result_bytes + b.result_bytes);
  return demand;
}

}  // namespace ebb
