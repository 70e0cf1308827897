// SPDX-License-Identifier: Apache-2.0
// The demand table: one row per architecture, with ComfyUI's usage factors by version, the traced
// or assumed activation coefficients, and the sizes that turn pixels into tokens.
#pragma once

#include <span>
#include <string_view>

#include "ebb/bytes.h"
#include "ebb/machine.h"
#include "machine/versions.h"

namespace ebb {

/// The column for a version: the newest that is not newer.
inline int table_column(const ComfyVersion& version) {
  return static_cast<int>(column_index(version));
}
/// The version that a column was read from.
inline const ComfyVersion& column_version(int column) {
  return kColumns[static_cast<std::size_t>(column)];
}

/// What the live coefficient of a row counts.
enum class LiveRule {
  tokens,         ///< rate * picture's tokens * hidden * element size
  latent_pixels,  ///< rate bytes per pixel of the latent
  share,          ///< rate times ComfyUI's own one-batch estimate: nobody has traced it
};

/// Shapes beside the latent that ComfyUI's estimate counts.
enum class Counted { latent, reference_latents, sound_to_video };

/// What is live at the peak of one item: rate * (what the rule counts) + a part that does not grow.
struct SampleLive {
  double rate;
  double item_mib;  ///< text tokens and the like
  double reserved;  ///< reserved divided by live
};

struct DiffusionRow {
  const char* key;           ///< Weights::architecture
  const char* title;         ///< for people
  ByVersion<double> factor;  ///< usage factor per column; 0: that version lacks the model
  const char* factor_text;   ///< how the factor is made, empty if it is a plain number
  Counted counted;
  int channels;                   ///< of the latent
  int spatial;                    ///< pixels per latent pixel
  int temporal;                   ///< frames per latent frame; 0: a model for pictures
  int patch;                      ///< latent pixels per token along one side
  int layers;                     ///< blocks with self-attention over all tokens; 0: unknown
  int hidden;                     ///< 0: unknown
  double cast_mib;                ///< largest weight of the blocks in 16 bits; 0: unknown
  int text_tokens;                ///< attended together with the picture's; 0: cross-attention
  double parameters;              ///< that a token meets, counted (Wan: all); 0: unknown
  double flops_per_latent_pixel;  ///< UNets, counted at one size; 0: use parameters
  LiveRule rule;
  ByVersion<SampleLive> live;  ///< per column
  double low, high;
  NumberKind kind;
  const char* source;
};

/// What a model needs more than alone while conditioning goes through ControlNets: their outputs,
/// which are there during the whole forward or part of it.
struct ControlRow {
  const char* key;             ///< of the traced calls
  const char* base;            ///< the model's row
  int nets;                    ///< in a row, each adding what the one before it made
  ByVersion<SampleLive> more;  ///< per column; reserved / live is that of all together
  double low, high;
  const char* source;
};

/// How many frames a VAE formula counts.
enum class Frames {
  none,  ///< chunked: the number of frames does not matter
  all,   ///< latent frames for decode, pictures for encode
  at_least_2,
  at_least_7,
  at_most_8,  ///< pictures of the decoded latent frames, at most 8
  at_most_9,
  rounded_up_to_8,
};

/// bytes = scale * frames * height * width * unit * element size.
struct VaeFormula {
  double scale;
  Frames frames;
  int unit;
  double scale_few;  ///< in place of scale when there are at most 4 frames; 0: no such case
};

/// Live bytes per pixel of the picture: pixel + frame * frames.
struct VaeLive {
  double pixel;
  double frame;     ///< both 0: nobody has traced it, use the share
  double picture;   ///< where there is one frame; 0: as above
  double reserved;  ///< reserved divided by live
};

struct VaeRow {
  const char* key;
  const char* title;
  int channels, spatial, temporal;
  ByVersion<VaeFormula> decode, encode;  ///< per column; scale 0: unknown
  ByVersion<VaeLive> decode_live, encode_live;
  double share;  ///< live as a share of ComfyUI's estimate
  double low, high;
  NumberKind kind;  ///< of live and reserved, where they are not a share of the estimate
  const char* source;
};

/// Floating-point operations of a VAE, traced like its live bytes: what they come to a pixel of the
/// first frame and of each later one, and the width of its attention.
struct VaeFlops {
  const char* key;
  double decode_first, decode_later;
  double encode_first, encode_later;
  double attention;  ///< channels; 4 * channels * (latent pixels of a frame)^2 a latent frame
  bool whole_video;  ///< it attends over all latent frames at once
};

/// A picture upscaler: live bytes per pixel of the tile that its node works on, beside the picture.
struct UpscalerRow {
  const char* key;  ///< of the traced calls
  int scale;
  double pixel;
  double reserved;  ///< reserved divided by live
};

struct TextRow {
  const char* key;
  const char* title;
  int tokens, width;  ///< of the conditioning it makes
  int live_mib;
  double asked_mib_per_token;  ///< where the version asks, of at least 642 tokens; 0: asks nothing
  const char* source;
  double parameters;  ///< published, as in 2 * parameters * tokens operations
};

std::span<const DiffusionRow> diffusion_rows();
std::span<const ControlRow> control_rows();
std::span<const VaeRow> vae_rows();
std::span<const UpscalerRow> upscaler_rows();
std::span<const TextRow> text_rows();
std::span<const VaeFlops> vae_flops();

/// Null where no row has that key.
const DiffusionRow* find_diffusion_row(std::string_view key);
/// The row for a model with that many ControlNets in a row, or with the most below it; null where
/// there are none or nobody has traced one.
const ControlRow* find_control_row(std::string_view base, int nets);
/// By its own key.
const ControlRow* find_control_row(std::string_view key);
const VaeRow* find_vae_row(std::string_view key);
/// The row for a scale, or for the next larger one there is.
const UpscalerRow& upscaler_row(double scale);
const UpscalerRow* find_upscaler_row(std::string_view key);
const TextRow* find_text_row(std::string_view key);
const VaeFlops* find_vae_flops(std::string_view key);

}  // namespace ebb
