// SPDX-License-Identifier: Apache-2.0
// Demand: the bytes a step needs beside weights. *asked* is what ComfyUI reserves by its formula,
// *live* what is truly allocated at the peak, *reserved* live plus the allocator's slack.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/bytes.h"
#include "ebb/index.h"
#include "ebb/machine.h"
#include "ebb/sum.h"
#include "ebb/weights.h"
#include "ebb/workflow.h"

namespace ebb {

/// The size of a picture, a video or their latent. For latents, height and width are the latent's.
struct Shape {
  std::int64_t batch = 1;
  std::int64_t channels = 0;
  std::int64_t frames = 1;  ///< latent frames for latents, pictures for images
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool video = false;  ///< has a time axis, even of length 1

  std::int64_t elements() const { return batch * channels * frames * height * width; }
  bool operator==(const Shape&) const = default;
};

/// How a demand was computed, in MiB. Empty sums where nothing is known.
struct DemandSums {
  Sum area;  ///< latent values, where ComfyUI counts more than the pixels of the latent; else empty
  Sum asked;  ///< Demand::minimum
  Sum live;
  double reserved_factor = 0;  ///< reserved divided by live
  Message reserved_source;
};

/// What a step needs beside weights. Unknown parts say why in their source.
struct Demand {
  Quantity asked;     ///< passed to the loader as memory required (two batches for a sampler)
  Quantity minimum;   ///< passed as minimum (one batch); the budget for weights is cut by this one
  Quantity live;      ///< allocated at the peak
  Quantity reserved;  ///< taken from the driver at the peak
  double low = 1;     ///< factors on live and reserved: what the row's source leaves open
  double high = 1;
  /// What streaming the largest weight takes beside live: its copy and, where it is quantised, a
  /// second one in the type that is computed in. 0: not known.
  std::int64_t cast_bytes = 0;
  std::int64_t result_bytes = 0;  ///< what the step leaves in RAM (latents, images, conditioning)
  int repeats = 1;                ///< denoising steps, twice as many for methods like heun
  int forwards = 1;               ///< conditionings that a repeat computes: 2 with CFG, else 1
  double flops = 0;               ///< of one repeat, all forwards; 0 if unknown
  std::shared_ptr<const DemandSums> sums;  ///< null where nothing is known

  /// What ComfyUI takes off the budget for weights: its one-batch estimate.
  const Quantity& subtracted() const { return minimum.known() ? minimum : asked; }
};

/// Values that replace what the workflow says: a table over --frames, or a fix being tried.
struct SizeOverrides {
  std::optional<std::int64_t> frames;
  std::optional<std::int64_t> width;
  std::optional<std::int64_t> height;
  bool tile_vae = false;  ///< decode in tiles where the workflow does not

  bool operator==(const SizeOverrides&) const = default;
};

/// What kind of work a node does with weights.
enum class StepKind {
  other,
  load,
  encode_text,
  encode_vision,
  encode_image,
  sample,
  decode,
  upscale,
  use,  ///< work of another kind with weights: a detector, a depth model
};
/// `encode_text`: stable names.
const char* to_string(StepKind kind);

/// What a node has done before it asks for its main weights: pictures through the VAE, say.
struct EarlierWork {
  std::vector<WeightsIndex> uses;
  Demand demand;
};

/// What one node needs, read off the prompt.
struct NodeDemand {
  StepKind kind = StepKind::other;
  std::vector<WeightsIndex> uses;   ///< needed on the GPU by this node, main one first
  std::vector<WeightsIndex> reads;  ///< that this loader node reads from disk
  std::vector<WeightsIndex> loras;  ///< LoRA weights applied to uses[0]
  std::optional<Shape> shape;       ///< latent sampled, picture decoded or encoded
  Demand demand;
  std::optional<EarlierWork> earlier;  ///< its weights stand in `uses`, too
  Message note;                        ///< why something is unknown; empty if nothing is
  /// False: which kind of model its main weights are, is not known.
  bool model_known = true;
  bool loads_unseen = false;  ///< it loads models that ComfyUI's memory manager does not see
};

/// A picture or a video that a node loads from a file.
struct LoadedMedia {
  std::string node;                        ///< id
  Shape shape;                             ///< as many as it has stand in the batch
  double frames_per_second = 0;            ///< 0: not known, or no video
  NumberKind kind = NumberKind::computed;  ///< from its header; given, or assumed
};

/// The whole prompt: its weights and, per node (same order as prompt.nodes), its demand.
struct PromptDemand {
  List<Weights, WeightsIndex> weights;
  List<NodeDemand, NodeIndex> nodes;
  std::optional<Shape> picture;  ///< the main picture or video in pixels, for the headline
  std::vector<LoadedMedia> loaded;
  std::vector<WeightsIndex> unused;  ///< that some node takes, but none is known to use
  std::vector<Message> notes;
};

/// Frames of video between two frames of the latent: 4 for Wan, 8 for LTX-Video. 1 for pictures
/// and for architectures that are not in the table.
int frame_stride(std::string_view architecture);

/// Finds the weights for a loader's request: find_weights with its search, or a memo of it.
using FindWeights = std::function<Result<Weights>(const WeightsRequest&)>;

/// What the header of a picture or a video says that a loader names; nothing if it is not at hand.
using FindMedia = std::function<std::optional<MediaSize>(std::string_view name)>;

/// What one step with one model needs, for programs that have no prompt. `shape` is the latent to
/// sample or decode, or the picture to encode. Unknown where the table lacks the architecture.
Demand estimate_step(StepKind kind, const Weights& weights, const Shape& shape,
                     const ComfyVersion& version);

/// Finds the loaders, follows MODEL, CLIP, VAE, LATENT and IMAGE links, and gives every node its
/// weights and demand. Errors: a broken model file, a size that is not usable (negative, 10^9).
Result<PromptDemand> estimate_demand(const Prompt& prompt, const FindWeights& find,
                                     const Machine& machine, const SizeOverrides& sizes = {},
                                     const FindMedia& media = {});

/// The flags that have a say in what estimate_demand answers; the others as by default. Two trials
/// that agree in these, in sizes and in the version have the same demand.
ComfyFlags demand_flags(ComfyFlags flags);

/// One call of a model as the tracer (tools/trace_demand.py) recorded it in a ComfyUI checkout.
struct TracedCall {
  std::string architecture;  ///< may be one that the table lacks
  StepKind step = StepKind::sample;
  Shape picture;  ///< in pixels
  ComfyVersion comfyui;
  std::string torch;  ///< version
  std::int64_t live_bytes = 0;
  std::int64_t reserved_bytes = 0;
  std::int64_t cast_bytes = 0;  ///< the largest weight of the blocks
  std::string error;            ///< why there are no figures; empty if there are
};

/// Reads the tracer's rows, one JSON object a line. Errors: a line that is none.
Result<std::vector<TracedCall>> parse_traced_calls(std::string_view rows,
                                                   const std::string& file = {});

/// What the table predicts for the same call; nothing if it has no such architecture or step.
std::optional<Demand> table_demand(const TracedCall& call);

}  // namespace ebb
