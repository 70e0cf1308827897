// SPDX-License-Identifier: Apache-2.0
// Rules for nodes that make or change pictures and videos.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "demand/rules.h"

namespace ebb {
namespace {

using Whole = std::optional<std::int64_t>;

/// Strides of the VAE that usually goes with a latent of so many channels.
struct Strides {
  int channels, spatial, temporal;
};
constexpr Strides kUsual[] = {{3, 1, 0},   {4, 8, 0},   {12, 8, 6},  {16, 8, 4},
                              {32, 16, 4}, {48, 16, 4}, {64, 32, 0}, {128, 32, 8}};

/// Rounded as Python does, halves to even.
std::int64_t scaled(std::int64_t side, double by, std::int64_t step = 1) {
  const double steps = std::nearbyint(static_cast<double>(side) * by / static_cast<double>(step));
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(steps) * step);
}

/// The picture with other sides; assumptions stay.
SizeValue with_sides(RuleScope& s, const SizeValue& picture, std::int64_t width,
                     std::int64_t height) {
  Shape shape = picture.shape;
  shape.width = width;
  shape.height = height;
  if (!picture.why.empty()) s.assume(picture.why);
  return s.made(shape);
}

}  // namespace

SizeValue picture_decoded(RuleScope& s, const RuleRow&) {
  const SizeValue latent = s.first({"LATENT"});
  if (s.pending()) return {};
  if (!latent.is_shape()) return latent;
  const VaeRow* vae = s.vae();
  Strides strides{static_cast<int>(latent.shape.channels), 0, 0};
  if (vae) {
    strides = {vae->channels, vae->spatial, vae->temporal};
  } else {
    for (const Strides& usual : kUsual) {
      if (usual.channels == latent.shape.channels) strides = usual;
    }
    if (strides.spatial == 0) return s.unknown();
    s.assume({Say::vae_strides_assumed, {s.node_name(), strides.spatial}});
  }
  if (!latent.why.empty()) s.assume(latent.why);
  Shape shape = latent.shape;
  shape.channels = 3;
  shape.width *= strides.spatial;
  shape.height *= strides.spatial;
  shape.frames = strides.temporal > 0 ? (shape.frames - 1) * strides.temporal + 1 : shape.frames;
  return s.made(shape);
}

SizeValue picture_from_size(RuleScope& s, const RuleRow&) {
  const Whole width = s.sizes().width ? s.sizes().width : s.whole("width", 1, kMostPixels);
  const Whole height = s.sizes().height ? s.sizes().height : s.whole("height", 1, kMostPixels);
  const Whole batch = s.whole("batch_size", 1, kMostBatch, 1);
  if (!width || !height || !batch) return s.unknown();
  return s.made({*batch, 3, 1, *height, *width, false});
}

SizeValue picture_resized(RuleScope& s, const RuleRow& row) {
  const bool target = row.class_type == "ResizeAndPadImage";
  const SizeValue picture = s.first({"IMAGE", "VIDEO", "MASK"});
  const Whole width = s.whole(target ? "target_width" : "width", 0, kMostPixels);
  const Whole height = s.whole(target ? "target_height" : "height", 0, kMostPixels);
  if (s.pending()) return {};
  if (!width || !height) return picture.is_shape() || !picture.known() ? s.unknown() : picture;
  if (*width > 0 && *height > 0) {
    SizeValue one = picture;
    if (picture.size_kind == NumberKind::assumed) one.why = {};   // its own size does not matter
    if (!picture.is_shape()) one.shape = {1, 3, 1, 1, 1, false};  // only the number is assumed
    if (!picture.is_shape()) one.why = {};
    return with_sides(s, one, *width, *height);
  }
  if (!picture.is_shape()) return unknown_value(picture.why);
  if (*width == 0 && *height == 0) return picture;
  const double ratio =
      static_cast<double>(picture.shape.width) / static_cast<double>(picture.shape.height);
  return *width > 0 ? with_sides(s, picture, *width, scaled(*width, 1 / ratio))
                    : with_sides(s, picture, scaled(*height, ratio), *height);
}

SizeValue picture_scaled(RuleScope& s, const RuleRow&) {
  const SizeValue picture = s.first({"IMAGE", "VIDEO"});
  const auto scale = s.real("scale_by", 0.001, 1024);
  if (s.pending()) return {};
  if (!picture.is_shape()) return unknown_value(picture.why);
  if (!scale) return s.unknown();
  return with_sides(s, picture, scaled(picture.shape.width, *scale),
                    scaled(picture.shape.height, *scale));
}

namespace {

/// The picture at so many pixels; of an unknown one only their number counts.
SizeValue at_pixels(RuleScope& s, const SizeValue& picture, double pixels, std::int64_t step) {
  if (!picture.is_shape()) {
    const std::int64_t side = scaled(1, std::sqrt(pixels), step);
    s.assume({Say::square_assumed, {s.node_name()}});
    return s.made({1, 3, 1, side, side, false});
  }
  const double scale = std::sqrt(pixels / (static_cast<double>(picture.shape.width) *
                                           static_cast<double>(picture.shape.height)));
  return with_sides(s, picture, scaled(picture.shape.width, scale, step),
                    scaled(picture.shape.height, scale, step));
}

/// The picture with its longer or shorter side so long.
SizeValue at_side(RuleScope& s, const SizeValue& picture, std::int64_t side, bool shorter) {
  const std::int64_t from = shorter ? std::min(picture.shape.width, picture.shape.height)
                                    : std::max(picture.shape.width, picture.shape.height);
  const double scale = static_cast<double>(side) / static_cast<double>(from);
  return with_sides(s, picture, scaled(picture.shape.width, scale),
                    scaled(picture.shape.height, scale));
}

/// Cut to whole multiples.
SizeValue at_multiple(RuleScope& s, const SizeValue& picture, std::int64_t multiple) {
  const std::int64_t width = picture.shape.width / multiple * multiple;
  const std::int64_t height = picture.shape.height / multiple * multiple;
  return width == 0 || height == 0 ? picture : with_sides(s, picture, width, height);
}

}  // namespace

SizeValue picture_to_megapixels(RuleScope& s, const RuleRow&) {
  const SizeValue picture = s.first({"IMAGE", "VIDEO"});
  const auto megapixels = s.real("megapixels", 0.001, 1024);
  const Whole step = s.whole("resolution_steps", 1, kMostPixels, 1);
  if (s.pending()) return {};
  if (!megapixels || !step) return s.unknown();
  return at_pixels(s, picture, *megapixels * 1024 * 1024, *step);
}

/// ResizeImageMaskNode: nine ways to say a size, each with inputs of its own.
SizeValue picture_resized_by_type(RuleScope& s, const RuleRow&) {
  const SizeValue picture = s.get("input");
  const std::string type = s.text("resize_type").value_or("");
  const auto pixels = [&](const char* name) { return s.whole(name, 0, kMostPixels, 0); };
  const Whole width = pixels("resize_type.width"), height = pixels("resize_type.height");
  const Whole longer = pixels("resize_type.longer_size");
  const Whole shorter = pixels("resize_type.shorter_size");
  const Whole multiple = pixels("resize_type.multiple");
  const auto megapixels = s.real("resize_type.megapixels", 0, 1024, 0.0);
  const auto by = s.real("resize_type.multiplier", 0, 1024, 1.0);
  const SizeValue match = type == "match size" ? s.get("resize_type.match") : SizeValue{};
  if (s.pending()) return {};
  if (!width || !height || !longer || !shorter || !multiple || !megapixels || !by) {
    return s.unknown();
  }
  if (type == "scale dimensions" && *width > 0 && *height > 0) {
    SizeValue one = picture;
    if (!picture.is_shape()) one.shape = {1, 3, 1, 1, 1, false};  // only the number is assumed
    if (!picture.is_shape()) one.why = {};
    return with_sides(s, one, *width, *height);
  }
  if (type == "scale total pixels" && *megapixels > 0) {
    return at_pixels(s, picture, std::trunc(*megapixels * 1024 * 1024), 1);
  }
  if (type == "match size") return match;
  if (!picture.is_shape()) return unknown_value(picture.why);
  const double ratio =
      static_cast<double>(picture.shape.width) / static_cast<double>(picture.shape.height);
  if (*width > 0) return with_sides(s, picture, *width, scaled(*width, 1 / ratio));
  if (*height > 0) return with_sides(s, picture, scaled(*height, ratio), *height);
  if (type == "scale by multiplier") {
    return with_sides(s, picture, scaled(picture.shape.width, *by),
                      scaled(picture.shape.height, *by));
  }
  if (*longer > 0) return at_side(s, picture, *longer, false);
  if (*shorter > 0) return at_side(s, picture, *shorter, true);
  return *multiple > 1 ? at_multiple(s, picture, *multiple) : picture;
}

SizeValue picture_to_side(RuleScope& s, const RuleRow& row) {
  const SizeValue picture = s.first({"IMAGE", "VIDEO"});
  const bool shorter = row.class_type == "ResizeImagesByShorterEdge";
  const char* name = shorter                 ? "shorter_edge"
                     : s.has("largest_size") ? "largest_size"
                                             : "longer_edge";
  const Whole side = s.whole(name, 1, kMostPixels);
  if (s.pending()) return {};
  if (!picture.is_shape()) return unknown_value(picture.why);
  if (!side) return s.unknown();
  return at_side(s, picture, *side, shorter);
}

SizeValue picture_for_kontext(RuleScope& s, const RuleRow&) {
  // The sizes that Flux Kontext was trained on, widths; the heights are the same list backwards.
  constexpr std::array<std::int64_t, 17> kSides = {
      672, 688, 720, 752, 800, 832, 880, 944, 1024, 1104, 1184, 1248, 1328, 1392, 1456, 1504, 1568};
  const SizeValue picture = s.first({"IMAGE"});
  if (s.pending()) return {};
  if (!picture.is_shape()) {
    s.assume({Say::usual_square_assumed, {s.node_name()}});
    return s.made({1, 3, 1, 1024, 1024, false});
  }
  const double ratio =
      static_cast<double>(picture.shape.width) / static_cast<double>(picture.shape.height);
  std::size_t best = 0;
  double least = 1e9;
  for (std::size_t i = 0; i < kSides.size(); ++i) {
    const double other =
        static_cast<double>(kSides[i]) / static_cast<double>(kSides[kSides.size() - 1 - i]);
    if (std::abs(ratio - other) < least) {
      least = std::abs(ratio - other);
      best = i;
    }
  }
  return with_sides(s, picture, kSides[best], kSides[kSides.size() - 1 - best]);
}

double upscale_factor(std::string_view file) {
  const std::string name = lower(base_name(file));
  for (int scale : {2, 3, 4, 8, 16, 1}) {
    if (contains(name, fmt::format("{}x", scale)) || contains(name, fmt::format("x{}", scale))) {
      return scale;
    }
  }
  return 4;
}

SizeValue picture_upscaled(RuleScope& s, const RuleRow&) {
  const SizeValue picture = s.first({"IMAGE"});
  if (s.pending()) return {};
  if (!picture.is_shape()) return picture;
  const PromptGraph::Source loader = s.graph().source(s.position(), "upscale_model");
  std::string file;
  if (loader.exists()) {
    const PromptInput* input = s.graph().node(loader.node).input("model_name");
    if (input) file = input->text().value_or("");
  }
  const double scale = upscale_factor(file);
  SizeValue value = with_sides(s, picture, scaled(picture.shape.width, scale),
                               scaled(picture.shape.height, scale));
  if (value.is_shape() && value.why.empty()) {
    value.why = {Say::scale_by_name, {s.node_name(), scale}};
  }
  return value;
}

SizeValue picture_padded(RuleScope& s, const RuleRow&) {
  const SizeValue picture = s.first({"IMAGE"});
  const Whole left = s.whole("left", 0, kMostPixels, 0),
              right = s.whole("right", 0, kMostPixels, 0);
  const Whole top = s.whole("top", 0, kMostPixels, 0),
              bottom = s.whole("bottom", 0, kMostPixels, 0);
  if (s.pending()) return {};
  if (!picture.is_shape()) return unknown_value(picture.why);
  if (!left || !right || !top || !bottom) return s.unknown();
  return with_sides(s, picture, picture.shape.width + *left + *right,
                    picture.shape.height + *top + *bottom);
}

SizeValue pictures_joined(RuleScope& s, const RuleRow&) {
  std::int64_t pictures = 0;
  SizeValue one;
  for (const PromptInput& input : s.node().inputs) {
    if (!input.link || s.graph().type(input) != "IMAGE") continue;
    const SizeValue value = s.get(input);
    if (!value.is_shape()) {
      one.why = value.why;
      ++pictures;
      continue;
    }
    if (!one.is_shape()) one = value;  // the others are scaled to the first
    pictures += value.shape.batch * value.shape.frames;
  }
  if (s.pending()) return {};
  if (!one.is_shape()) return unknown_value(one.why);
  Shape shape = one.shape;
  shape.batch = std::min<std::int64_t>(pictures, kMostFrames);
  shape.frames = 1;
  if (!one.why.empty()) s.assume(one.why);
  return s.made(shape);
}

SizeValue pictures_repeated(RuleScope& s, const RuleRow&) {
  const SizeValue picture = s.first({"IMAGE"});
  const Whole amount = s.whole("amount", 1, kMostFrames);
  if (s.pending()) return {};
  if (!picture.is_shape()) return unknown_value(picture.why);
  if (!amount) return s.unknown();
  Shape shape = picture.shape;
  shape.batch *= *amount;
  return s.made(shape);
}

SizeValue pictures_cut(RuleScope& s, const RuleRow&) {
  const SizeValue picture = s.first({"IMAGE"});
  const Whole length = s.whole("length", 1, kMostFrames);
  if (s.pending()) return {};
  if (!picture.is_shape()) return unknown_value(picture.why);
  if (!length) return s.unknown();
  Shape shape = picture.shape;
  shape.batch = std::min(shape.batch * shape.frames, *length);
  shape.frames = 1;
  return s.made(shape);
}

SizeValue picture_stitched(RuleScope& s, const RuleRow&) {
  const SizeValue a = s.get("image1");
  const bool two = s.linked("image2");
  const SizeValue b = two ? s.get("image2") : SizeValue{};
  if (s.pending()) return {};
  if (!two || !a.is_shape()) return a;
  if (!b.is_shape()) return b;
  const std::string direction = s.text("direction").value_or("right");
  const bool across = direction == "right" || direction == "left";
  // The second picture is scaled to the first one's side, as the node does by default.
  const double scale =
      across ? static_cast<double>(a.shape.height) / static_cast<double>(b.shape.height)
             : static_cast<double>(a.shape.width) / static_cast<double>(b.shape.width);
  return across ? with_sides(s, a, a.shape.width + scaled(b.shape.width, scale), a.shape.height)
                : with_sides(s, a, a.shape.width, a.shape.height + scaled(b.shape.height, scale));
}

}  // namespace ebb
