// SPDX-License-Identifier: Apache-2.0
// Puts weights, sizes and formulas together: one NodeDemand per node of a prompt.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "demand/classes.h"
#include "demand/conditioning.h"
#include "demand/formulas.h"
#include "demand/memo.h"
#include "demand/node_kinds.h"
#include "demand/rules.h"
#include "demand/tiles.h"
#include "demand/values.h"
#include "demand/weights_of.h"
#include "ebb/demand.h"

namespace ebb {
namespace {

void set_unknown(Demand& demand, const Message& why) {
  demand.asked = demand.minimum = demand.live = demand.reserved = unknown_quantity(why);
  demand.sums.reset();
}

/// Weights whose tensors are not of the type ComfyUI computes in.
bool is_quantised(const Weights& weights) {
  const std::string type = lower(weights.stored_type);
  return !type.empty() && type != "bf16" && type != "fp16" && type != "f16" && type != "fp32" &&
         type != "f32";
}

class Estimate {
 public:
  Estimate(const Prompt& prompt, const Machine& machine, const SizeOverrides& sizes,
           const FindMedia& media)
      : graph_(prompt),
        machine_(machine),
        card_(card_rules(machine)),
        sizes_(sizes),
        weights_(graph_),
        values_(graph_, sizes_,
                {[this](NodeIndex node) { return vae_row(node); },
                 [this] { return architecture(); }, media}) {}

  Result<PromptDemand> run(const FindWeights& find);

 private:
  const VaeRow* vae_row(NodeIndex node) const {
    const Origin origin = weights_.origin(node, "VAE");
    return origin.weights < 0 ? nullptr : find_vae_row(weights_[origin.weights].architecture);
  }

  /// Of the diffusion model that the prompt names first.
  std::string architecture() const {
    for (const Weights& weights : weights_.all()) {
      if (weights.role == WeightsRole::diffusion) return weights.architecture;
    }
    return {};
  }

  std::vector<LoadedMedia> loaded();
  void node(NodeIndex i, NodeDemand& out);
  void load(const PromptNode& node, NodeDemand& out);
  void sample(NodeIndex i, NodeDemand& out);
  void sample_known(const SamplerSettings& settings, const DiffusionRow& row,
                    const SizeValue& latent, NodeDemand& out);
  void use_other_model(const SamplerSettings& settings, NodeDemand& out);
  void decode(NodeIndex i, NodeDemand& out);
  void encode_text(NodeIndex i, NodeDemand& out);
  void encode_image(NodeIndex i, NodeDemand& out);
  void encode_vision(NodeIndex i, NodeDemand& out);
  void upscale(NodeIndex i, NodeDemand& out);
  void work(NodeIndex i, NodeDemand& out);

  std::optional<WeightsIndex> use(NodeIndex i, std::string_view type, NodeDemand& out);
  SizeValue encoded_size(NodeIndex i, const VaeRow& row);
  std::int64_t result_bytes(NodeIndex i);
  std::optional<Shape> main_picture(const PromptDemand& demand);
  void assume(const Message& what);
  bool plain_attention() const {
    return machine_.flags.disable_xformers_and_pytorch_attention || card_.plain_attention;
  }
  void general_notes();
  std::vector<WeightsIndex> unused(const PromptDemand& demand);

  PromptGraph graph_;
  const Machine& machine_;
  const CardRules card_;
  const SizeOverrides& sizes_;
  PromptWeights weights_;
  PromptValues values_;
  CarriedBy carried_{graph_, weights_, values_};
  Memo<SampleCase> samples_;
  Memo<VaeCase> decodes_;
  std::vector<Message> notes_;
};

void Estimate::assume(const Message& what) {
  if (what.empty() || std::ranges::find(notes_, what) != notes_.end()) return;
  notes_.push_back(what);
}

/// Adds the weights of this type to those in use; says why where they are not known.
std::optional<WeightsIndex> Estimate::use(NodeIndex i, std::string_view type, NodeDemand& out) {
  const Origin origin = weights_.origin(i, type);
  if (origin.weights < 0) {
    if (out.note.empty()) out.note = origin.why;
    return {};
  }
  out.uses.push_back(origin.weights);
  return origin.weights;
}

void Estimate::load(const PromptNode& node, NodeDemand& out) {
  if (out.reads.empty()) {
    out.loads_unseen = is_unmanaged_loader(node.class_type);
    out.note = Say::classes_models_not_counted;
  }
}

void Estimate::sample_known(const SamplerSettings& settings, const DiffusionRow& row,
                            const SizeValue& latent, NodeDemand& out) {
  SampleCase c;
  c.row = &row;
  c.latent = latent.shape;
  c.version = machine_.comfyui;
  const Weights& weights = weights_[out.uses.front()];
  c.element_bytes = weights.compute_type_bytes;
  c.plain_attention = plain_attention();
  c.quantised = is_quantised(weights);
  c.async_allocator = !machine_.flags.disable_cuda_malloc;
  c.packed = latent.packed;
  c.audio_elements = latent.audio_elements;
  c.forwards = settings.forwards;
  for (const PromptGraph::Source& conditioning : settings.conditionings) {
    const Carried& carried = carried_.from(conditioning);
    if (row.counted != Counted::latent) {
      c.reference_area += carried.reference_area;
      c.reference_most = std::max(c.reference_most, carried.reference_area);
      if (!carried.why.empty()) assume({Say::reference_not_counted, {carried.why}});
    }
    c.controlnets = std::max(c.controlnets, carried.nets);
    for (const WeightsIndex net : carried.controlnets) {
      if (std::find(out.uses.begin(), out.uses.end(), net) == out.uses.end()) {
        out.uses.push_back(net);
      }
    }
  }
  const int repeats = out.demand.repeats;
  out.demand = samples_.get(c, sample_demand);
  out.demand.repeats = repeats;
}

/// A guider with two models loads the other one first, in a request of its own, unless cfg is 1.
void Estimate::use_other_model(const SamplerSettings& settings, NodeDemand& out) {
  if (!settings.other_model.exists() || settings.forwards < 2) return;
  const Origin other = weights_.origin(settings.other_model, "MODEL");
  if (other.weights >= 0) {
    out.uses.push_back(other.weights);
  } else if (out.note.empty()) {
    out.note = other.why;
  }
}

void Estimate::sample(NodeIndex i, NodeDemand& out) {
  const SamplerSettings settings = sampler_settings(graph_, i, values_);
  out.demand.repeats = settings.repeats;
  out.note = settings.why;
  if (is_unmanaged_sampler(graph_.node(i).class_type)) {
    out.note = Say::packs_models_not_counted;
    set_unknown(out.demand, out.note);
    return;
  }
  const Origin origin = weights_.origin(settings.model, "MODEL");
  if (origin.weights < 0) {
    set_unknown(out.demand, origin.why);
    out.note = origin.why;
    return;
  }
  out.uses.push_back(origin.weights);
  for (const WeightsIndex patch : origin.patches) out.uses.push_back(patch);
  use_other_model(settings, out);
  out.loras = origin.loras;
  std::reverse(out.loras.begin(), out.loras.end());  // as they are put on: loader first
  const PromptInput* input = graph_.input_of_type(i, "LATENT");
  if (!input) {
    for (const char* type : {"VAE", "UPSCALE_MODEL"}) {
      if (graph_.input_of_type(i, type)) use(i, type, out);
    }
    out.note = Say::samples_pieces;
    set_unknown(out.demand, out.note);
    return;
  }
  const SizeValue latent = values_.of(graph_.source(*input));
  if (latent.is_shape()) {
    out.shape = latent.shape;
    assume(latent.why);
  }
  const Weights& weights = weights_[origin.weights];
  const DiffusionRow* row = find_diffusion_row(weights.architecture);
  out.model_known = row != nullptr;
  if (!row || !latent.is_shape()) {
    Message nearest;
    if (!weights.nearest.empty()) nearest = {Say::nearest_is, {weights.nearest}};
    out.note =
        !latent.is_shape() ? latent.why : Message(Say::kind_not_known, {weights.name, nearest});
    set_unknown(out.demand, out.note);
    return;
  }
  sample_known(settings, *row, latent, out);
}

void Estimate::decode(NodeIndex i, NodeDemand& out) {
  const auto vae = use(i, "VAE", out);
  const PromptInput* input = graph_.input_of_type(i, "LATENT");
  const SizeValue latent = values_.of(graph_.source(*input));
  const VaeRow* row = vae ? find_vae_row(weights_[*vae].architecture) : nullptr;
  const SizeValue picture = values_.of({i, 0});
  if (picture.is_shape()) {
    out.shape = picture.shape;
    assume(picture.why);
  }
  if (!row || !latent.is_shape()) {
    if (!latent.is_shape()) out.note = latent.why;
    if (out.note.empty()) out.note = Say::kind_of_vae_not_known;
    set_unknown(out.demand, out.note);
    return;
  }
  VaeCase c{row, latent.shape, machine_.comfyui, weights_[*vae].compute_type_bytes};
  const bool tiled = contains(graph_.node(i).class_type, "Tiled");
  if (tiled || sizes_.tile_vae) {
    c.tile = static_cast<std::int64_t>(
        std::clamp(tiled ? values_.number(i, "tile_size").value_or(kTile) : kTile, 16.0, 16384.0));
    c.tile_frames = static_cast<std::int64_t>(
        std::clamp(tiled ? values_.number(i, "temporal_size").value_or(kTileFrames) : kTileFrames,
                   1.0, 131072.0));
  }
  c.async_allocator = !machine_.flags.disable_cuda_malloc;
  c.kl_times = card_.kl_vae_times;
  out.demand = decodes_.get(c, decode_demand);
}

/// The pictures that a node encodes, as the VAE gets them.
SizeValue Estimate::encoded_size(NodeIndex i, const VaeRow& row) {
  const PromptNode& node = graph_.node(i);
  const PromptInput* image = graph_.input_of_type(i, "IMAGE");
  SizeValue value = image ? values_.of(graph_.source(*image)) : unknown_value("no picture");
  if (value.is_shape() && row.temporal > 0) {
    value.shape.frames *= value.shape.batch;  // a video VAE takes a batch of pictures as a video
    value.shape.batch = 1;
  }
  if (node.class_type.rfind("TextEncodeQwenImageEdit", 0) == 0) {
    SizeValue megapixel = value;
    megapixel.kind = SizeValue::Kind::shape;
    megapixel.shape = {1, 3, 1, 1024, 1024, false};
    megapixel.why = {Say::scaled_to_a_megapixel, {NodeName{node.label()}}};
    return megapixel;
  }
  const bool of_picture = node.class_type.rfind("VAEEncode", 0) == 0 ||
                          !graph_.gives(i, "LATENT") || contains(node.class_type, "Inpaint") ||
                          contains(node.class_type, "InstructPixToPix");
  if (of_picture && node.class_type != "WanFunInpaintToVideo") return value;
  for (int slot = 0; slot < static_cast<int>(node.output_types.size()); ++slot) {
    if (node.output_types[slot] != "LATENT") continue;
    const SizeValue latent = values_.of({i, slot});
    if (!latent.is_shape()) return latent;
    SizeValue picture = latent;
    picture.shape = {1,
                     3,
                     value.is_shape() ? value.shape.frames : 1,
                     latent.shape.height * row.spatial,
                     latent.shape.width * row.spatial,
                     latent.shape.video};
    if (encodes_whole_video(node.class_type) && row.temporal > 0) {
      picture.shape.frames = (latent.shape.frames - 1) * row.temporal + 1;
    }
    return picture;
  }
  return value;
}

void Estimate::encode_image(NodeIndex i, NodeDemand& out) {
  const auto vae = use(i, "VAE", out);
  if (graph_.input_of_type(i, "CLIP_VISION")) use(i, "CLIP_VISION", out);
  const VaeRow* row = vae ? find_vae_row(weights_[*vae].architecture) : nullptr;
  if (!row) {
    if (out.note.empty()) out.note = Say::kind_of_vae_not_known;
    set_unknown(out.demand, out.note);
    return;
  }
  const SizeValue picture = encoded_size(i, *row);
  if (!picture.is_shape()) {
    out.note = picture.why;
    set_unknown(out.demand, out.note);
    return;
  }
  out.shape = picture.shape;
  assume(picture.why);
  VaeCase c{row, picture.shape, machine_.comfyui, weights_[*vae].compute_type_bytes};
  if (contains(graph_.node(i).class_type, "Tiled")) {
    c.tile = static_cast<std::int64_t>(
        std::clamp(values_.number(i, "tile_size").value_or(kTile), 16.0, 16384.0));
    c.tile_frames = kTileFrames;
  }
  c.async_allocator = !machine_.flags.disable_cuda_malloc;
  c.kl_times = card_.kl_vae_times;
  out.demand = encode_demand(c);
}

void Estimate::encode_text(NodeIndex i, NodeDemand& out) {
  const auto clip = use(i, "CLIP", out);
  const TextRow* row = clip ? find_text_row(weights_[*clip].architecture) : nullptr;
  const int element_bytes = clip ? weights_[*clip].compute_type_bytes : 2;
  out.demand = text_demand(row, machine_.comfyui, element_bytes);
  if (writes_text(graph_, i)) {
    constexpr double kUsual = 512, kMost = 1e6;  // the node's own default
    const double most = std::clamp(values_.number(i, "max_length").value_or(kUsual), 1.0, kMost);
    out.demand =
        writing_demand(row, machine_.comfyui, element_bytes, static_cast<std::int64_t>(most));
    if (!out.demand.asked.known() && out.note.empty()) out.note = out.demand.asked.source;
    return;
  }
  const std::int64_t tokens = row ? row->tokens : 512, width = row ? row->width : 4096;
  out.demand.result_bytes = tokens * width * 4;
  if (!encodes_pictures(graph_, i)) return;
  NodeDemand picture;
  encode_image(i, picture);
  out.uses.insert(out.uses.end(), picture.uses.begin(), picture.uses.end());
  if (out.note.empty()) out.note = picture.note;
  if (picture.demand.asked.known() && clip) {  // the pictures first, then the text
    out.demand.flops += picture.demand.flops;
    out.earlier = EarlierWork{std::move(picture.uses), std::move(picture.demand)};
  } else {
    out.demand = larger(out.demand, picture.demand);
  }
}

void Estimate::encode_vision(NodeIndex i, NodeDemand& out) {
  const auto vision = use(i, "CLIP_VISION", out);
  out.demand = vision_demand(machine_.comfyui);
  if (vision && weights_[*vision].known()) {  // 729 tokens: the most that one picture makes
    const Weights& weights = weights_[*vision];
    out.demand.flops =
        2 * 729.0 * static_cast<double>(weights.bytes) / std::max(1, weights.compute_type_bytes);
  }
  out.demand.result_bytes = 3 * 257 * 1280 * 4;  // last and next to last hidden state, pooled
}

void Estimate::upscale(NodeIndex i, NodeDemand& out) {
  if (graph_.input_of_type(i, "LATENT_UPSCALE_MODEL")) {
    use(i, "LATENT_UPSCALE_MODEL", out);
    if (graph_.input_of_type(i, "VAE")) use(i, "VAE", out);
    out.note = Say::latent_upscaler_not_traced;
    set_unknown(out.demand, out.note);
    return;
  }
  const auto model = use(i, "UPSCALE_MODEL", out);
  const PromptInput* input = graph_.input_of_type(i, "IMAGE");
  const SizeValue before = values_.of(graph_.source(*input));
  const SizeValue after = values_.of({i, 0});
  if (!before.is_shape() || !after.is_shape()) {
    out.note = before.is_shape() ? after.why : before.why;
    set_unknown(out.demand, out.note);
    return;
  }
  out.shape = after.shape;
  assume(after.why);
  UpscaleCase c{before.shape};
  c.scale = static_cast<double>(after.shape.width) / static_cast<double>(before.shape.width);
  c.weights_bytes = model ? weights_[*model].bytes : 0;
  c.rrdb = model && weights_[*model].architecture == "rrdb";
  out.demand = upscale_demand(c);
}

/// Weights are used in a way that Ebb has no formula for.
void Estimate::work(NodeIndex i, NodeDemand& out) {
  for (const PromptInput& input : graph_.node(i).inputs) {
    if (!is_model_at_work(graph_, i, input)) continue;
    const Origin origin = weights_.origin(graph_.source(input), graph_.type(input));
    if (origin.weights < 0) {
      if (out.note.empty()) out.note = origin.why;
    } else if (std::ranges::find(out.uses, origin.weights) == out.uses.end()) {
      out.uses.push_back(origin.weights);
    }
  }
  if (out.note.empty() && is_sound(graph_, i)) {
    SoundCase c{0, machine_.comfyui, weights_[out.uses.front()].compute_type_bytes};
    const PromptInput* latent = graph_.input_of_type(i, "LATENT");
    const SizeValue value = latent ? values_.of(graph_.source(*latent)) : SizeValue{};
    if (value.is_shape()) {
      c.latent_values = value.shape.batch * value.audio_elements;
      if (c.latent_values == 0) c.latent_values = element_count(value.shape);
    }
    out.demand = sound_demand(c);
    return;
  }
  if (out.note.empty()) {
    out.note = {Say::need_beside_weights_not_known, {NodeName{graph_.node(i).label()}}};
  }
  out.model_known = false;
  set_unknown(out.demand, out.note);
}

/// What the node itself allocates and leaves in the cache, as fp32.
std::int64_t Estimate::result_bytes(NodeIndex i) {
  std::int64_t bytes = 0;
  const PromptNode& node = graph_.node(i);
  for (int slot = 0; slot < static_cast<int>(node.output_types.size()); ++slot) {
    const std::string& type = node.output_types[slot];
    if (type != "LATENT" && type != "IMAGE") continue;
    const SizeValue& value = values_.of({i, slot});
    if (!value.is_shape() || value.made_by != i) continue;
    const std::int64_t sound = value.shape.batch * value.audio_elements;
    bytes = std::min(kMostBytes, bytes + 4 * (element_count(value.shape) + sound));
  }
  return bytes;
}

void Estimate::node(NodeIndex i, NodeDemand& out) {
  out.kind = kind_of(graph_, i, values_);
  out.reads = weights_.reads(i);
  switch (out.kind) {
    case StepKind::load: load(graph_.node(i), out); break;
    case StepKind::sample: sample(i, out); break;
    case StepKind::decode: decode(i, out); break;
    case StepKind::encode_text: encode_text(i, out); break;
    case StepKind::encode_image: encode_image(i, out); break;
    case StepKind::encode_vision: encode_vision(i, out); break;
    case StepKind::upscale: upscale(i, out); break;
    case StepKind::use: work(i, out); break;
    case StepKind::other: break;
  }
  if (!card_.known && !out.uses.empty()) {
    out.note = machine_.card.vendor == GpuVendor::apple ? Say::apples_cards_not_known
                                                        : Say::makers_cards_not_known;
    set_unknown(out.demand, out.note);
  }
  out.demand.result_bytes = std::min(kMostBytes, out.demand.result_bytes + result_bytes(i));
}

std::vector<LoadedMedia> Estimate::loaded() {
  std::vector<LoadedMedia> all;
  for (const NodeIndex i : graph_.nodes()) {
    const RuleRow* rule = find_rule(graph_.node(i).class_type);
    if (!rule || !loads_media(*rule)) continue;
    const SizeValue& value = values_.of({i, 0});
    if (!value.is_shape()) continue;
    all.push_back({graph_.node(i).id, value.shape, value.frames_per_second, value.size_kind});
  }
  return all;
}

/// The largest picture decoded; without one, the largest latent sampled, in pixels.
std::optional<Shape> Estimate::main_picture(const PromptDemand& demand) {
  std::optional<Shape> best;
  const auto offer = [&best](const Shape& shape) {
    if (!best || element_count(shape) > element_count(*best)) best = shape;
  };
  for (const NodeDemand& node : demand.nodes) {
    if (node.kind == StepKind::decode && node.shape) offer(*node.shape);
  }
  if (best) return best;
  for (const NodeDemand& node : demand.nodes) {
    if (node.kind != StepKind::sample || !node.shape || node.uses.empty()) continue;
    const auto* row = find_diffusion_row(weights_[node.uses.front()].architecture);
    if (!row) continue;
    if (row->spatial == 1 && row->channels != 3) continue;  // sound, or a solid: no picture
    Shape shape = *node.shape;
    shape.channels = 3;
    shape.height *= row->spatial;
    shape.width *= row->spatial;
    if (row->temporal > 0) shape.frames = (shape.frames - 1) * row->temporal + 1;
    offer(shape);
  }
  return best;
}

void Estimate::general_notes() {
  if (plain_attention()) {
    assume(Say::attention_in_slices);
  }
  const ComfyVersion known = kColumns[column_index(machine_.comfyui)];
  if (known != machine_.comfyui) {
    assume({Say::estimates_of_version, {to_string(known)}});
  }
}

/// Weights that a node takes, but that no node is known to use. LoRAs change weights in place.
std::vector<WeightsIndex> Estimate::unused(const PromptDemand& demand) {
  std::vector<WeightsIndex> left =
      weights_.taken([this](NodeIndex node) { return is_bypassed(graph_, node, values_); });
  std::ranges::sort(left);
  left.erase(std::unique(left.begin(), left.end()), left.end());
  List<bool, WeightsIndex> used(weights_.all().size());
  for (const NodeDemand& node : demand.nodes) {
    for (const WeightsIndex w : node.uses) used[w] = true;
  }
  std::erase_if(left, [&](WeightsIndex w) {
    return used[w] || weights_[w].role == WeightsRole::lora || weights_[w].absent();
  });
  return left;
}

Result<PromptDemand> Estimate::run(const FindWeights& find) {
  general_notes();
  if (auto found = weights_.find_all(find); !found) return found.error();
  PromptDemand demand;
  demand.nodes.resize(graph_.size());
  for (const NodeIndex i : graph_.nodes()) {
    node(i, demand.nodes[i]);
    if (values_.error()) return *values_.error();
  }
  demand.picture = main_picture(demand);
  demand.loaded = loaded();
  demand.unused = unused(demand);
  demand.weights = weights_.take();
  demand.notes = std::move(notes_);
  return demand;
}

}  // namespace

Result<PromptDemand> estimate_demand(const Prompt& prompt, const FindWeights& find,
                                     const Machine& machine, const SizeOverrides& sizes,
                                     const FindMedia& media) {
  if (auto ok = check_overrides(sizes); !ok) return ok.error();
  return Estimate(prompt, machine, sizes, media).run(find);
}

// A reserve is only subtracted, a cache only keeps, and streams only hide time.
ComfyFlags demand_flags(ComfyFlags flags) {
  flags.reserve_vram_gib.reset();
  flags.cache = CacheKind::standard;
  flags.async_offload.reset();
  flags.disable_async_offload = false;
  return flags;
}

}  // namespace ebb
