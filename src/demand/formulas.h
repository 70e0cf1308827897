// SPDX-License-Identifier: Apache-2.0
// From a row and a shape to bytes: ComfyUI's own estimate, what is truly allocated, and what the
// allocator takes. Everything saturates; nothing here looks at the graph.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "demand/architectures.h"
#include "ebb/demand.h"
#include "ebb/machine.h"

namespace ebb {

/// No size in this folder exceeds it, so that sums of a few never overflow.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 60;

/// A size rounded to whole bytes, from 0 to kMostBytes.
std::int64_t to_bytes(double bytes);

/// Elements of a shape, kMostBytes at most.
std::int64_t element_count(const Shape& shape);

Quantity unknown_quantity(Message why);

/// A denoising run on one latent.
struct SampleCase {
  const DiffusionRow* row = nullptr;
  Shape latent;
  ComfyVersion version;
  int element_bytes = 2;         ///< of the type ComfyUI computes in
  bool plain_attention = false;  ///< neither PyTorch's nor xformers' attention
  bool quantised = false;        ///< weights are cast one by one while computing
  double reference_area = 0;     ///< pixels of all reference latents, both conditionings together
  double reference_most = 0;     ///< of the conditioning that has most
  bool packed = false;           ///< video and audio latent packed into one row
  std::int64_t audio_elements = 0;
  int forwards = 1;              ///< conditionings of one step
  int controlnets = 0;           ///< in a row: those of the conditioning that has most
  bool async_allocator = false;  ///< cudaMallocAsync: the reserved factors were not measured on it

  bool operator==(const SampleCase&) const = default;
};
Demand sample_demand(const SampleCase& c);

/// Floating-point operations of one forward; 0 if the row lacks what it takes.
double forward_flops(const DiffusionRow& row, const Shape& latent, double reference_area = 0);

/// One VAE call. `shape` is the latent for decode, the picture for encode.
struct VaeCase {
  const VaeRow* row = nullptr;
  Shape shape;
  ComfyVersion version;
  int element_bytes = 2;
  std::int64_t tile = 0;         ///< pixels along a side; 0: not tiled
  std::int64_t tile_frames = 0;  ///< pictures in a tile; 0: all
  bool async_allocator = false;
  double kl_times = 1;  ///< what the card multiplies the KL autoencoder's own estimate by

  bool operator==(const VaeCase&) const = default;
};
Demand decode_demand(const VaeCase& c);
Demand encode_demand(const VaeCase& c);

/// A text encoder's call; `row` may be null.
Demand text_demand(const TextRow* row, const ComfyVersion& version, int element_bytes);
/// A vision encoder's: one picture.
Demand vision_demand(const ComfyVersion& version);
/// A sound's latent decoded, or (without one) a sound encoded, whose length no workflow tells.
struct SoundCase {
  std::int64_t latent_values = 0;
  ComfyVersion version;
  int element_bytes = 2;
};
Demand sound_demand(const SoundCase& c);

/// One that writes up to `most_tokens` (TextGenerate): it keeps keys and values of all of them.
Demand writing_demand(const TextRow* row, const ComfyVersion& version, int element_bytes,
                      std::int64_t most_tokens);

/// The picture that an upscaler gets, which its node works through in tiles.
struct UpscaleCase {
  Shape picture;
  double scale = 1;
  std::int64_t weights_bytes = 0;
  bool rrdb = false;  ///< an ESRGAN, whose kind was traced; others are assumed to need the same
};
Demand upscale_demand(const UpscaleCase& c);

/// The demand of a step that does two things one after the other: the larger of each.
Demand larger(const Demand& a, const Demand& b);

/// The picture that a latent becomes.
Shape decoded_picture(const VaeRow& row, const Shape& latent);

}  // namespace ebb
