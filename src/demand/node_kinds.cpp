// SPDX-License-Identifier: Apache-2.0
// Tells kinds of nodes apart by what they take and give, and reads samplers' settings.
#include "demand/node_kinds.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/names.h"
#include "base/text.h"
#include "demand/classes.h"
#include "demand/link_types.h"

namespace ebb {
namespace {

bool one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// A sampler that goes on with the model of the one before it.
bool continues_sampler(std::string_view class_type) { return contains(class_type, "Chainsampler"); }

/// Nobody knows what its outputs are.
bool gives_unknown(const PromptNode& n) {
  return std::all_of(n.output_types.begin(), n.output_types.end(),
                     [](const std::string& type) { return is_any(type); });
}

/// It takes a model and a latent or picture and has the knobs of a sampler.
bool samples(const PromptGraph& graph, NodeIndex node) {
  const PromptNode& n = graph.node(node);
  if (is_unmanaged_sampler(n.class_type)) return true;
  if (n.class_type == "AddNoise" || contains(n.class_type, "Scheduler")) return false;
  const bool named = contains(n.class_type, "ampler");
  const bool model = graph.input_of_type(node, "MODEL") || graph.input_of_type(node, "GUIDER");
  if (!model) return continues_sampler(n.class_type);
  if (graph.gives(node, "GUIDER") || (graph.gives(node, "MODEL") && !named)) return false;
  const bool knobs = n.input("steps") || n.input("sigmas") || n.input("sampler_name") ||
                     n.input("sampler") || n.input("cfg");
  const bool latent = graph.input_of_type(node, "LATENT") != nullptr;
  if (latent && (graph.gives(node, "LATENT") || (gives_unknown(n) && knobs))) return true;
  return knobs && graph.input_of_type(node, "VAE") &&
         (graph.gives(node, "IMAGE") || gives_unknown(n));
}

constexpr int kWalkMax = 1000;  // nodes in a row; a circle has no end

/// The node behind a GUIDER input that has the model.
NodeIndex guider_of(const PromptGraph& graph, NodeIndex node) {
  const PromptInput* input = graph.input_of_type(node, "GUIDER");
  PromptGraph::Source source = input ? graph.source(*input) : PromptGraph::Source{};
  for (int i = 0; source.exists() && i <= kWalkMax; ++i) {
    if (graph.input_of_type(source.node, "MODEL")) return source.node;
    source = graph.handed_on(source, "GUIDER");
  }
  return {};
}

/// Weights that nodes put into the conditioning, for the sampler.
bool goes_with_conditioning(std::string_view type) {
  return one_of(type, {"CONTROL_NET", "GLIGEN", "HOOKS"});
}

/// ComfyUI's own nodes that take a model to read its settings or to compute on the CPU, where next
/// to nothing is done: a noise, a style's tokens, a size.
bool computes_nothing(std::string_view class_type) {
  return one_of(class_type, {"AddNoise", "StyleModelApply", "LTXVEmptyLatentAudio",
                             "SeedVR2Conditioning", "GetICLoRAParameters"});
}

/// It gets a picture, a sound or a latent: something to encode or to decode.
bool takes_data(const PromptGraph& graph, NodeIndex node) {
  return std::ranges::any_of(graph.node(node).inputs, [&](const PromptInput& input) {
    const LinkKind kind = link_kind(graph.type(input));
    return input.link && (kind == LinkKind::any || kind == LinkKind::data) &&
           graph.type(input) != "CONDITIONING";
  });
}

PromptGraph::Source model_of(const PromptGraph& graph, NodeIndex node) {
  for (int steps = 0; node.exists() && steps <= kWalkMax; ++steps) {
    if (const PromptInput* model = graph.input_of_type(node, "MODEL")) return graph.source(*model);
    if (!continues_sampler(graph.node(node).class_type)) return {};
    const PromptInput* latent = graph.input_of_type(node, "LATENT");
    node = latent ? graph.source(*latent).node : NodeIndex();
  }
  return {};
}

/// The second of two models that a guider asks in turn.
PromptGraph::Source other_model_of(const PromptGraph& graph, NodeIndex node,
                                   const PromptGraph::Source& first) {
  for (const PromptInput& input : graph.node(node).inputs) {
    if (!input.link || graph.type(input) != "MODEL") continue;
    const PromptGraph::Source source = graph.source(input);
    if (source.node != first.node || source.slot != first.slot) return source;
  }
  return {};
}

/// Evaluations of the model that one step of a sampling method takes.
int evaluations(std::string_view sampler) {
  if (one_of(sampler, {"heun", "dpm_2", "dpm_2_ancestral", "dpmpp_2s_ancestral",
                       "dpmpp_2s_ancestral_cfg_pp", "dpmpp_sde", "dpmpp_sde_gpu", "seeds_2",
                       "exp_heun_2_x0", "exp_heun_2_x0_sde", "sa_solver_pece"})) {
    return 2;
  }
  return one_of(sampler, {"heunpp2", "seeds_3"}) ? 3 : 1;
}

std::string sampler_name(const PromptGraph& graph, NodeIndex node) {
  const PromptInput* name = graph.node(node).input("sampler_name");
  if (!name) {
    const PromptInput* input = graph.input_of_type(node, "SAMPLER");
    const PromptGraph::Source from = input ? graph.source(*input) : PromptGraph::Source{};
    if (from.exists()) name = graph.node(from.node).input("sampler_name");
  }
  return name ? name->text().value_or("") : "";
}

/// How many conditionings one step evaluates.
int branches(const PromptGraph& graph, NodeIndex sampler, NodeIndex guider, PromptValues& values,
             Message& why) {
  const NodeIndex with_cfg = guider.exists() ? guider : sampler;
  const std::string& name = graph.node(with_cfg).class_type;
  if (name == "BasicGuider") return 1;
  if (one_of(name, {"DualCFGGuider", "PerpNegGuider"})) return 3;
  if (!graph.node(with_cfg).input("cfg")) return 1;
  const auto cfg = values.number(with_cfg, "cfg");
  if (!cfg) why = Say::cfg_not_known;
  return cfg && *cfg == 1 ? 1 : 2;
}

std::optional<double> step_count(const PromptGraph& graph, NodeIndex node, PromptValues& values) {
  if (const PromptInput* sigmas = graph.input_of_type(node, "SIGMAS")) {
    const SizeValue& value = values.of(graph.source(*sigmas));
    return value.is_number() ? std::optional(value.number) : std::nullopt;
  }
  const auto steps = values.number(node, "steps");
  if (!steps) return {};
  if (!graph.node(node).input("end_at_step")) return steps;
  const double end = std::min(values.number(node, "end_at_step").value_or(*steps), *steps);
  return std::max(0.0, end - values.number(node, "start_at_step").value_or(0));
}

}  // namespace

bool writes_text(const PromptGraph& graph, NodeIndex node) {
  return graph.node(node).input("max_length") && graph.gives(node, "STRING");
}

bool is_bypassed(const PromptGraph& graph, NodeIndex node, PromptValues& values) {
  const PromptInput* bypass = graph.node(node).input("bypass");
  return bypass && values.truth(*bypass).value_or(false);
}

bool is_sound(const PromptGraph& graph, NodeIndex node) {
  return one_of(graph.node(node).class_type,
                {"AudioEncoderEncode", "LTXVAudioVAEDecode", "LTXVAudioVAEEncode"});
}

const PromptInput* works_with(const PromptGraph& graph, NodeIndex node) {
  const PromptNode& n = graph.node(node);
  if (computes_nothing(n.class_type) || (n.output_types.empty() && !n.known)) return nullptr;
  bool results = n.output_types.empty();  // it saves what it makes of them
  for (const std::string& type : n.output_types) {
    const LinkKind kind = link_kind(type);
    if (kind == LinkKind::weights || kind == LinkKind::any) return nullptr;  // it may hand them on
    results |= kind == LinkKind::data;
  }
  if (!results) return nullptr;
  for (const PromptInput& input : n.inputs) {
    if (is_model_at_work(graph, node, input)) return &input;
  }
  return nullptr;
}

bool is_model_at_work(const PromptGraph& graph, NodeIndex node, const PromptInput& input) {
  const std::string_view type = graph.type(input);
  return input.link && link_kind(type) == LinkKind::weights && !goes_with_conditioning(type) &&
         !contains(type, "PIPE") && (type != "VAE" || takes_data(graph, node));
}

bool answers_for(const PromptGraph& graph, NodeIndex node, std::string_view type) {
  const PromptNode& n = graph.node(node);
  if (computes_nothing(n.class_type)) return false;
  if (one_of(type, {"CONTROL_NET", "GLIGEN"})) return false;
  if (type == "VAE" && !takes_data(graph, node)) return false;
  if (type == "MODEL_PATCH") return !graph.gives(node, "MODEL");
  return n.output_types.empty() || !std::ranges::all_of(n.output_types, [](const auto& given) {
           return given == "GUIDER" || link_kind(given) == LinkKind::settings;
         });
}

bool encodes_whole_video(std::string_view class_type) {
  return class_type.substr(0, 3) == "Wan" &&
         !one_of(class_type, {"Wan22ImageToVideoLatent", "WanPhantomSubjectToVideo",
                              "WanHuMoImageToVideo", "WanSoundImageToVideo"});
}

bool encodes_pictures(const PromptGraph& graph, NodeIndex node) {
  const std::string& name = graph.node(node).class_type;
  if (!graph.input_of_type(node, "VAE")) return false;
  if (graph.gives(node, "MODEL") || graph.gives(node, "IMAGE")) return false;
  if (one_of(name, {"WanVaceToVideo", "WanAnimateToVideo"})) return true;
  return graph.input_of_type(node, "IMAGE") != nullptr;
}

StepKind kind_of(const PromptGraph& graph, NodeIndex node, PromptValues& values) {
  const PromptNode& n = graph.node(node);
  if (!loader_rows(n.class_type).empty() || !lora_files(n).empty() ||
      is_unmanaged_loader(n.class_type)) {
    return StepKind::load;
  }
  if (is_bypassed(graph, node, values)) return StepKind::other;
  if (samples(graph, node)) return StepKind::sample;
  // A context or a pipe: it hands on what it takes, and works with none of it.
  if (graph.gives(node, "VAE") && graph.gives(node, "CLIP")) return StepKind::other;
  const bool vae = graph.input_of_type(node, "VAE") != nullptr;
  if (graph.input_of_type(node, "LATENT_UPSCALE_MODEL") ||
      (graph.input_of_type(node, "UPSCALE_MODEL") && graph.input_of_type(node, "IMAGE"))) {
    return StepKind::upscale;
  }
  if (vae && graph.input_of_type(node, "LATENT") &&
      (graph.gives(node, "IMAGE") || n.class_type.rfind("VAEDecode", 0) == 0)) {
    return StepKind::decode;
  }
  if (graph.input_of_type(node, "CLIP") &&
      (graph.gives(node, "CONDITIONING") || writes_text(graph, node))) {
    return StepKind::encode_text;
  }
  if (encodes_pictures(graph, node)) return StepKind::encode_image;
  if (graph.input_of_type(node, "CLIP_VISION") && graph.input_of_type(node, "IMAGE")) {
    return StepKind::encode_vision;
  }
  if (graph.input_of_type(node, "CLIP") && gives_unknown(n) && n.input("text")) {
    return StepKind::encode_text;
  }
  return works_with(graph, node) ? StepKind::use : StepKind::other;
}

SamplerSettings sampler_settings(const PromptGraph& graph, NodeIndex node, PromptValues& values) {
  SamplerSettings settings;
  const NodeIndex guider = guider_of(graph, node), asked = guider.exists() ? guider : node;
  settings.model = model_of(graph, asked);
  settings.other_model = other_model_of(graph, asked, settings.model);
  for (const NodeIndex place : {node, guider}) {
    if (!place.exists()) continue;
    for (const PromptInput& input : graph.node(place).inputs) {
      if (input.link && graph.type(input) == "CONDITIONING") {
        settings.conditionings.push_back(graph.source(input));
      }
    }
  }
  settings.forwards = branches(graph, node, guider, values, settings.why);
  const auto steps = step_count(graph, node, values);
  if (!steps) settings.why = Say::steps_not_known;
  const double repeats = steps.value_or(1) * evaluations(sampler_name(graph, node));
  settings.repeats = static_cast<int>(std::clamp(repeats, 1.0, 1e6));
  return settings;
}

const char* to_string(StepKind kind) {
  return name_in<StepKind::use>({"other", "load", "encode_text", "encode_vision", "encode_image",
                                 "sample", "decode", "upscale", "use"},
                                kind);
}

}  // namespace ebb
