// SPDX-License-Identifier: Apache-2.0
// The demand table: one row per architecture, with ComfyUI's usage factors by version, the traced
// or assumed activation coefficients, and the sizes that turn pixels into tokens.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "ebb/bytes.h"
#include "ebb/machine.h"

namespace ebb {

/// ComfyUI versions that the columns of this table were read from, oldest first.
constexpr std::array<ComfyVersion, 4> kTableVersions = {
    {{0, 3, 64}, {0, 3, 73}, {0, 8, 0}, {0, 18, 2}}};

/// The column for a version: the newest one that is not newer, else the oldest.
int table_column(const ComfyVersion& version);

/// What the live coefficient of a row counts.
enum class LiveRule {
  tokens,         ///< `live` * tokens * hidden * element size
  latent_pixels,  ///< `live` bytes per pixel of the latent
  share,          ///< `live` times ComfyUI's own one-batch estimate: nobody has traced it
};

/// Shapes beside the latent that ComfyUI's estimate counts.
enum class Counted { latent, reference_latents, sound_to_video };

struct DiffusionRow {
  const char* key;               ///< Weights::architecture
  const char* title;             ///< for people
  std::array<double, 4> factor;  ///< usage factor per column; 0: that version lacks the model
  const char* factor_text;       ///< how the factor is made, empty if it is a plain number
  Counted counted;
  int channels;                   ///< of the latent
  int spatial;                    ///< pixels per latent pixel
  int temporal;                   ///< frames per latent frame; 0: a model for pictures
  int patch;                      ///< latent pixels per token along one side
  int layers;                     ///< blocks with self-attention over all tokens; 0: unknown
  int hidden;                     ///< 0: unknown
  int ffn;                        ///< inner size of the feed-forward part; 0: unknown
  int text_tokens;                ///< attended together with the picture's; 0: cross-attention
  double parameters;              ///< 0: unknown
  double flops_per_latent_pixel;  ///< UNets, assumed; 0: use parameters and tokens
  LiveRule rule;
  double live;
  int live_fixed_mib;
  double reserved;  ///< reserved divided by live
  double low, high;
  NumberKind kind;
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

struct VaeRow {
  const char* key;
  const char* title;
  int channels, spatial, temporal;
  std::array<VaeFormula, 4> decode, encode;  ///< per column; scale 0: unknown
  double decode_pixel;        ///< live bytes per pixel of the decoded picture; 0: use the share
  double decode_pixel_frame;  ///< further bytes per pixel and frame
  double decode_picture;      ///< bytes per pixel when there is one latent frame; 0: as above
  double encode_pixel;        ///< live bytes per pixel of the encoded picture; 0: use the share
  double share;               ///< live as a share of ComfyUI's estimate
  double reserved, low, high;
  NumberKind kind;           ///< of live
  NumberKind reserved_kind;  ///< of the reserved factor
  const char* source;
};

struct TextRow {
  const char* key;
  const char* title;
  int tokens, width;  ///< of the conditioning it makes
  int live_mib;
  double asked_mib_per_token;  ///< 0.18.2 and later, of at least 642 tokens; 0: asks nothing
  const char* source;
};

std::span<const DiffusionRow> diffusion_rows();
std::span<const VaeRow> vae_rows();
std::span<const TextRow> text_rows();

/// Null where no row has that key.
const DiffusionRow* find_diffusion_row(std::string_view key);
const VaeRow* find_vae_row(std::string_view key);
const TextRow* find_text_row(std::string_view key);

}  // namespace ebb
