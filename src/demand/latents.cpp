// SPDX-License-Identifier: Apache-2.0
// Rules for nodes that make or change latents.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "demand/rules.h"

namespace ebb {
namespace {

using Whole = std::optional<std::int64_t>;

/// A size that the user may replace.
Whole size_input(RuleScope& s, std::string_view name, std::int64_t most, Whole replacement) {
  const Whole value = replacement ? replacement : s.whole(name, 1, most);
  return value;
}

Whole frames_input(RuleScope& s) {
  for (const char* name : {"length", "video_frames", "num_frames", "frames"}) {
    if (s.has(name)) return size_input(s, name, kMostFrames, s.sizes().frames);
  }
  return s.sizes().frames;
}

std::int64_t latent_frames(std::int64_t frames, int temporal) {
  return temporal > 0 ? (frames - 1) / temporal + 1 : 1;
}

/// Latent frames that a Wan node puts in front of the video for a reference picture.
int reference_frames(const RuleScope& s, const RuleRow& row) {
  if (s.node().class_type == "WanVaceToVideo") return s.linked("reference_image") ? 1 : 0;
  return row.extra_frames;
}

}  // namespace

SizeValue latent_from_size(RuleScope& s, const RuleRow& row) {
  if (s.graph().output_type({s.position(), s.slot()}) == "INT") {
    return number_value(s.slot() == 3 ? reference_frames(s, row) : 0);
  }
  int channels = row.channels, spatial = row.spatial;
  if (channels == 0) {  // follows the VAE; without one, Wan 2.1's
    const VaeRow* vae = s.vae();
    channels = vae ? vae->channels : 16;
    spatial = vae ? vae->spatial : 8;
  }
  const Whole width = size_input(s, "width", kMostPixels, s.sizes().width);
  const Whole height = size_input(s, "height", kMostPixels, s.sizes().height);
  const Whole batch = s.whole("batch_size", 1, kMostBatch, 1);
  const Whole frames = row.temporal > 0 ? frames_input(s) : Whole(1);
  if (!width || !height || !batch || !frames) return s.unknown();
  Shape shape{*batch,
              channels,
              latent_frames(*frames, row.temporal) + reference_frames(s, row),
              *height / spatial,
              *width / spatial,
              row.temporal > 0};
  return s.made(shape);
}

SizeValue latent_pictures_as_batch(RuleScope& s, const RuleRow& row) {
  const Whole width = size_input(s, "width", kMostPixels, s.sizes().width);
  const Whole height = size_input(s, "height", kMostPixels, s.sizes().height);
  const Whole frames = frames_input(s);
  if (!width || !height || !frames) return s.unknown();
  return s.made({*frames, row.channels, 1, *height / row.spatial, *width / row.spatial, false});
}

SizeValue latent_layers(RuleScope& s, const RuleRow& row) {
  const Whole layers = s.whole("layers", 0, 4096);
  RuleRow one = row;
  SizeValue value = latent_from_size(s, one);
  if (!layers) return s.unknown();
  if (!value.is_shape()) return value;
  value.shape.frames = *layers + 1;
  return s.made(value.shape);
}

SizeValue latent_cascade(RuleScope& s, const RuleRow&) {
  const Whole width = size_input(s, "width", kMostPixels, s.sizes().width);
  const Whole height = size_input(s, "height", kMostPixels, s.sizes().height);
  const Whole batch = s.whole("batch_size", 1, kMostBatch, 1);
  const Whole compression = s.whole("compression", 4, 128, 42);
  if (!width || !height || !batch || !compression) return s.unknown();
  if (s.slot() == 0) {
    return s.made({*batch, 16, 1, *height / *compression, *width / *compression, false});
  }
  return s.made({*batch, 4, 1, *height / 4, *width / 4, false});
}

SizeValue latent_cascade_of_picture(RuleScope& s, const RuleRow&) {
  const SizeValue picture = s.first({"IMAGE"});
  const Whole compression = s.whole("compression", 4, 128, 42);
  if (s.pending()) return {};
  if (!picture.is_shape()) return unknown_value(picture.why);
  if (!compression) return s.unknown();
  const Shape& p = picture.shape;
  if (s.slot() == 0) {
    return s.made({p.batch, 16, 1, p.height / *compression, p.width / *compression, false});
  }
  return s.made({p.batch, 4, 1, p.height / 8 * 2, p.width / 8 * 2, false});
}

SizeValue latent_row(RuleScope& s, const RuleRow& row) {
  const Whole resolution = s.whole("resolution", 1, kMostPixels);
  const Whole batch = s.whole("batch_size", 1, kMostBatch, 1);
  if (!resolution || !batch) return s.unknown();
  return s.made({*batch, row.channels, 1, 1, *resolution, false});
}

SizeValue latent_audio(RuleScope& s, const RuleRow& row) {
  const auto seconds = s.real("seconds", 0, 1e6);
  const Whole batch = s.whole("batch_size", 1, kMostBatch, 1);
  if (!seconds || !batch) return s.unknown();
  double length = std::trunc(*seconds * 44100 / 512 / 8);  // ACE-Step
  if (row.class_type == "EmptyLatentAudio") {  // Stable Audio: pairs of blocks of 2,048 samples
    length = std::nearbyint(*seconds * 44100 / 2048 / 2) * 2;
  } else if (row.class_type == "EmptyAceStep1.5LatentAudio") {
    length = std::nearbyint(*seconds * 48000 / 1920);  // halves to even, as Python does
  }
  const auto columns = std::max<std::int64_t>(static_cast<std::int64_t>(length), 1);
  return s.made({*batch, row.channels, 1, row.channels == 8 ? 16 : 1, columns, false});
}

SizeValue latent_ltx_audio(RuleScope& s, const RuleRow&) {
  const Whole frames =
      s.sizes().frames ? s.sizes().frames : s.whole("frames_number", 1, kMostFrames);
  const auto rate = s.real("frame_rate", 1, 1000, 25);
  const Whole batch = s.whole("batch_size", 1, kMostBatch, 1);
  if (!frames || !rate || !batch) return s.unknown();
  const auto length = std::llround(static_cast<double>(*frames) / *rate * 25);
  return s.made({*batch, 8, 1, std::max<std::int64_t>(length, 1), 16, false});
}

SizeValue latent_of_picture(RuleScope& s, const RuleRow&) {
  const SizeValue picture = s.first({"IMAGE"});
  if (s.pending()) return {};
  const VaeRow* vae = s.vae();
  if (!vae) return s.unknown();
  if (!picture.is_shape()) return unknown_value(picture.why);
  const std::int64_t pictures = picture.shape.batch * picture.shape.frames;
  Shape shape{pictures,
              vae->channels,
              1,
              picture.shape.height / vae->spatial,
              picture.shape.width / vae->spatial,
              false};
  if (vae->temporal > 0) {
    shape.batch = 1;
    shape.frames = latent_frames(pictures, vae->temporal);
    shape.video = true;
  }
  return s.made(shape);
}

SizeValue latent_sampled(RuleScope& s, const RuleRow&) {
  const SizeValue latent = s.first({"LATENT"});
  if (!latent.is_shape()) return latent;
  SizeValue value = latent;
  value.made_by = s.position();
  return value;
}

SizeValue latent_resized(RuleScope& s, const RuleRow& row) {
  const SizeValue latent = s.first({"LATENT"});
  Whole width = s.whole("width", 0, kMostPixels);
  Whole height = s.whole("height", 0, kMostPixels);
  if (s.pending()) return {};
  if (!latent.is_shape()) return unknown_value(latent.why);
  if (!width || !height) return s.unknown();
  const int stride = row.spatial > 0 ? row.spatial : 8;
  SizeValue value = latent;
  value.made_by = s.position();
  if (*width == 0 && *height == 0) return value;
  const double ratio =
      static_cast<double>(value.shape.width) / static_cast<double>(value.shape.height);
  const std::int64_t h = *height / stride, w = *width / stride;
  value.shape.height =
      *height > 0 ? std::max<std::int64_t>(h, 1) : std::llround(static_cast<double>(w) / ratio);
  value.shape.width =
      *width > 0 ? std::max<std::int64_t>(w, 1) : std::llround(static_cast<double>(h) * ratio);
  const SizeValue checked = s.made(value.shape);
  if (!checked.is_shape()) return checked;
  return value;
}

SizeValue latent_scaled(RuleScope& s, const RuleRow&) {
  const SizeValue latent = s.first({"LATENT"});
  const bool apart = s.has("WidthFactor");
  const char* name = apart ? "WidthFactor" : s.has("factor") ? "factor" : "scale_by";
  const auto across = s.real(name, 0.001, 1024);
  const auto down = s.real(apart ? "HeightFactor" : name, 0.001, 1024);
  if (s.pending()) return {};
  if (!latent.is_shape()) return unknown_value(latent.why);
  if (!across || !down) return s.unknown();
  SizeValue value = latent;
  const auto side = [](std::int64_t from, double by) {
    return std::max<std::int64_t>(1, std::llround(static_cast<double>(from) * by));
  };
  value.shape.width = side(latent.shape.width, *across);
  value.shape.height = side(latent.shape.height, *down);
  return s.made(value.shape);
}

SizeValue latent_upsampled(RuleScope& s, const RuleRow&) {
  const SizeValue latent = s.first({"LATENT"});
  if (s.pending()) return {};
  if (!latent.is_shape()) return latent;
  // The file's name says what the model does; LTX's spatial upscalers double both sides.
  std::string name;
  const PromptGraph::Source loader =
      s.graph().source(s.position(), s.has("upscale_model") ? "upscale_model" : "model");
  if (loader.exists()) {
    const PromptInput* input = s.graph().node(loader.node).input("model_name");
    if (input) name = lower(input->text().value_or(""));
  }
  Shape shape = latent.shape;
  if (contains(name, "temporal")) {
    shape.frames = shape.frames * 2 - 1;
  } else {
    const double scale = contains(name, "x1.5") ? 1.5 : 2;
    shape.width = std::llround(static_cast<double>(shape.width) * scale);
    shape.height = std::llround(static_cast<double>(shape.height) * scale);
    if (name.empty()) s.assume({Say::doubles_both_sides, {s.node_name()}});
  }
  return s.made(shape);
}

SizeValue latent_batched(RuleScope& s, const RuleRow&) {
  const SizeValue a = s.get("samples1");
  const SizeValue b = s.get("samples2");
  if (s.pending()) return {};
  if (!a.is_shape() || !b.is_shape()) return unknown_value(a.is_shape() ? b.why : a.why);
  Shape shape = a.shape;
  shape.batch += b.shape.batch;
  return s.made(shape);
}

SizeValue latent_joined(RuleScope& s, const RuleRow&) {
  const SizeValue a = s.get("samples1");
  const SizeValue b = s.get("samples2");
  if (s.pending()) return {};
  if (!a.is_shape() || !b.is_shape()) return unknown_value(a.is_shape() ? b.why : a.why);
  Shape shape = a.shape;
  const std::string along = s.text("dim").value_or("x");
  if (contains(along, "t")) {
    shape.frames += b.shape.frames;
  } else if (contains(along, "y")) {
    shape.height += b.shape.height;
  } else {
    shape.width += b.shape.width;
  }
  return s.made(shape);
}

SizeValue latent_repeated(RuleScope& s, const RuleRow&) {
  const SizeValue latent = s.first({"LATENT"});
  const Whole amount = s.whole("amount", 1, kMostBatch);
  if (s.pending()) return {};
  if (!latent.is_shape()) return unknown_value(latent.why);
  if (!amount) return s.unknown();
  Shape shape = latent.shape;
  shape.batch *= *amount;
  return s.made(shape);
}

// A further stretch of a video: its own length, in the size of the latent that it goes on from.
SizeValue latent_continued(RuleScope& s, const RuleRow& row) {
  const SizeValue latent = s.first({"LATENT"});
  if (s.pending()) return {};
  if (!latent.is_shape()) return latent;
  const Whole length = s.whole("length", 1, kMostFrames);
  if (!length) return s.unknown();
  Shape shape = latent.shape;
  shape.frames = (*length - 1) / row.temporal + 1;
  return s.made(shape);
}

SizeValue latent_cut(RuleScope& s, const RuleRow& row) {
  const SizeValue latent = s.first({"LATENT"});
  if (s.pending()) return {};
  if (!latent.is_shape()) return latent;
  Shape shape = latent.shape;
  if (row.class_type == "TrimVideoLatent") {
    const Whole amount = s.whole("trim_amount", 0, kMostFrames);
    if (!amount) return s.unknown();
    shape.frames = std::max<std::int64_t>(1, shape.frames - *amount);
  } else if (row.class_type == "LatentFromBatch") {
    const Whole amount = s.whole("length", 1, kMostBatch);
    if (!amount) return s.unknown();
    shape.batch = std::min(shape.batch, *amount);
  } else if (row.class_type == "LatentCut") {
    const Whole amount = s.whole("amount", 1, kMostFrames);
    if (!amount) return s.unknown();
    const std::string along = s.text("dim").value_or("x");
    std::int64_t& side = contains(along, "t")   ? shape.frames
                         : contains(along, "y") ? shape.height
                                                : shape.width;
    side = std::min(side, *amount);
  } else if (row.class_type == "LatentRotate") {
    const std::string turn = s.text("rotation").value_or("none");
    if (contains(turn, "90") || contains(turn, "270")) std::swap(shape.height, shape.width);
  }
  return s.made(shape);
}

SizeValue latent_with_guide(RuleScope& s, const RuleRow&) {
  const SizeValue latent = s.first({"LATENT"});
  const SizeValue picture = s.first({"IMAGE"});
  if (s.pending()) return {};
  if (!latent.is_shape()) return latent;
  const std::int64_t pictures = picture.is_shape() ? picture.shape.batch * picture.shape.frames : 1;
  SizeValue value = latent;
  value.made_by = s.position();
  value.guide_frames += latent_frames(pictures, 8);
  value.shape.frames += latent_frames(pictures, 8);
  return value;
}

SizeValue latent_without_guides(RuleScope& s, const RuleRow&) {
  const SizeValue latent = s.first({"LATENT"});
  if (!latent.is_shape()) return latent;
  SizeValue value = latent;
  value.made_by = s.position();
  value.shape.frames = std::max<std::int64_t>(1, value.shape.frames - value.guide_frames);
  value.guide_frames = 0;
  return value;
}

SizeValue latent_with_sound(RuleScope& s, const RuleRow&) {
  const SizeValue video = s.get("video_latent");
  const SizeValue audio = s.get("audio_latent");
  if (s.pending()) return {};
  if (!video.is_shape()) return unknown_value(video.why);
  SizeValue value = video;
  value.packed = true;
  if (audio.is_shape()) {
    value.audio_elements = audio.shape.elements() / std::max<std::int64_t>(1, audio.shape.batch);
  } else {
    value.why = {Say::sound_of_node_not_counted, {s.node_name()}};
  }
  return value;  // hands both tensors on
}

SizeValue latent_separated(RuleScope& s, const RuleRow&) {
  const SizeValue latent = s.first({"LATENT"});
  if (!latent.is_shape()) return latent;
  SizeValue value = latent;
  value.packed = false;
  if (s.slot() == 0) {
    value.audio_elements = 0;
    return value;
  }
  if (value.audio_elements == 0) return unknown_value(Say::sound_not_counted);
  value.shape = {
      value.shape.batch, 8, 1, std::max<std::int64_t>(1, value.audio_elements / 128), 16, false};
  value.audio_elements = 0;
  return value;
}

}  // namespace ebb
