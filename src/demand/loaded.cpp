// SPDX-License-Identifier: Apache-2.0
// Pictures and videos that come from files: the size in the file's header, else the user's, else
// what is usual for the model, which is then said.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "demand/rules.h"

namespace ebb {
namespace {

/// What workflows of a family of models usually make: sides, and a video's frames and their rate.
struct Usual {
  std::string_view begins;  ///< of the architecture
  std::int64_t width, height, frames;
  double frames_per_second;
};
// As ComfyUI's own templates for these models have them.
constexpr Usual kUsualSizes[] = {
    {"sd15", 512, 512, 0, 0},
    {"sd21", 768, 768, 0, 0},
    {"svd", 1024, 576, 14, 6},
    {"wan-5b", 1280, 704, 121, 24},
    {"wan-", 832, 480, 81, 16},
    {"hunyuan-video-15", 1280, 720, 121, 24},
    {"hunyuan-video", 848, 480, 73, 24},
    {"ltxv", 768, 512, 97, 25},
    {"ltxav", 1280, 720, 121, 25},
    {"mochi", 848, 480, 37, 24},
    {"cosmos-predict2", 1024, 1024, 0, 0},
    {"cosmos", 1280, 704, 121, 24},
    {"kandinsky5", 768, 512, 121, 24},
};
constexpr Usual kElse = {"", 1024, 1024, 81, 16};

const Usual& usual_of(std::string_view architecture) {
  const auto row = std::find_if(std::begin(kUsualSizes), std::end(kUsualSizes),
                                [&](const Usual& u) { return architecture.starts_with(u.begins); });
  return row == std::end(kUsualSizes) ? kElse : *row;
}

/// The name of the file that a loader's widget holds.
std::string file_of(const RuleScope& s) {
  for (const char* name : {"image", "file", "video", "path", "image_path"}) {
    if (auto text = s.linked(name) ? std::nullopt : s.text(name)) return *std::move(text);
  }
  return {};
}

bool gives_video(const RuleScope& s) {
  const std::string_view name = s.node().class_type;
  return name.find("Video") != std::string_view::npos;
}

SizeValue of_media(RuleScope& s, const MediaSize& size, NumberKind kind) {
  const std::int64_t frames = std::clamp<std::int64_t>(size.frames, 1, kMostFrames);
  if (size.width > kMostPixels || size.height > kMostPixels) {
    return unknown_value({Say::picture_larger_than_any, {s.node_name(), size.width, size.height}});
  }
  SizeValue value = s.made({frames, 3, 1, size.height, size.width, false});
  value.frames_per_second = size.frames_per_second;
  value.size_kind = kind;
  return value;
}

SizeValue as_given(RuleScope& s, const MediaSize& usual) {
  const SizeOverrides& sizes = s.sizes();
  s.assume({Say::loaded_picture_assumed, {s.node_name(), *sizes.width, *sizes.height}});
  MediaSize size = usual;
  size.width = *sizes.width;
  size.height = *sizes.height;
  return of_media(s, size, NumberKind::given);
}

/// Neither the file nor the user says it: what is usual.
SizeValue as_usual(RuleScope& s, const MediaSize& usual, const std::string& file) {
  const std::string architecture = s.architecture();
  Message frames, whose;
  if (gives_video(s)) frames = {Say::and_frames, {usual.frames}};
  if (!architecture.empty()) whose = {Say::as_is_usual_for, {architecture}};
  s.assume({Say::usual_size_assumed,
            {s.node_name(), file.empty() ? Argument(Say::its_file) : Argument(file), usual.width,
             usual.height, frames, whose}});
  return of_media(s, usual, NumberKind::assumed);
}

/// What a value becomes where only some of its frames are taken.
SizeValue with_frames(RuleScope& s, const SizeValue& video, double frames) {
  if (!video.why.empty()) s.assume(video.why);
  Shape shape = video.shape;
  shape.batch = std::clamp<std::int64_t>(std::llround(frames), 1, kMostFrames);
  SizeValue value = s.made(shape);
  value.frames_per_second = video.frames_per_second;
  value.size_kind = video.size_kind;
  return value;
}

double frames_of(const SizeValue& value) {
  return static_cast<double>(value.shape.batch * value.shape.frames);
}

}  // namespace

SizeValue picture_loaded(RuleScope& s, const RuleRow&) {
  const std::string file = file_of(s);
  const bool video = gives_video(s);
  const Usual& row = usual_of(s.architecture());
  MediaSize usual{row.width, row.height, 1, 0, video};
  if (video) {
    const Usual& timed = row.frames > 0 ? row : kElse;
    usual.frames = s.sizes().frames.value_or(timed.frames);
    usual.frames_per_second = timed.frames_per_second;
  }
  const auto found = file.empty() ? std::nullopt : s.media(file);
  if (!found) {
    if (s.sizes().width && s.sizes().height) return as_given(s, usual);
    return as_usual(s, usual, file);
  }
  MediaSize size = *found;
  NumberKind kind = NumberKind::computed;
  if (video && s.sizes().frames) size.frames = *s.sizes().frames;
  if (size.frames == 0) {
    size.frames = video ? usual.frames : 1;
    kind = NumberKind::assumed;
    s.assume({Say::frames_assumed, {file, size.frames}});
  }
  if (s.sizes().width && s.sizes().height) return as_given(s, size);
  return of_media(s, size, kind);
}

// VideoHelperSuite's loader: its own rate, a cap, every n-th frame, and a size.
SizeValue video_loaded_by_vhs(RuleScope& s, const RuleRow& row) {
  const SizeValue video = picture_loaded(s, row);
  const auto rate = s.real("force_rate", 0, 1e4, 0.0);
  const auto cap = s.whole("frame_load_cap", 0, kMostFrames, 0);
  const auto skip = s.whole("skip_first_frames", 0, kMostFrames, 0);
  const auto nth = s.whole("select_every_nth", 1, kMostFrames, 1);
  const auto width = s.whole("custom_width", 0, kMostPixels, 0);
  const auto height = s.whole("custom_height", 0, kMostPixels, 0);
  if (s.pending()) return {};
  if (!video.is_shape()) return video;
  if (!rate || !cap || !skip || !nth || !width || !height) return s.unknown();
  double frames = frames_of(video);
  if (*rate > 0 && video.frames_per_second > 0) frames *= *rate / video.frames_per_second;
  frames =
      std::ceil(std::max(1.0, frames - static_cast<double>(*skip)) / static_cast<double>(*nth));
  if (*cap > 0 && !s.sizes().frames) frames = std::min(frames, static_cast<double>(*cap));
  SizeValue value = with_frames(s, video, s.sizes().frames ? frames_of(video) : frames);
  if (s.slot() == 1) return number_value(frames_of(value));
  if (!value.is_shape()) return value;
  const double ratio =
      static_cast<double>(value.shape.width) / static_cast<double>(value.shape.height);
  const auto side = [](double pixels) { return std::max<std::int64_t>(1, std::llround(pixels)); };
  if (*width > 0 || *height > 0) {
    value.shape.width = *width > 0 ? *width : side(static_cast<double>(*height) * ratio);
    value.shape.height = *height > 0 ? *height : side(static_cast<double>(*width) / ratio);
  }
  return value;
}

SizeValue video_taken_apart(RuleScope& s, const RuleRow&) {
  const SizeValue video = s.first({"VIDEO"});
  if (s.pending()) return {};
  if (!video.is_shape()) return unknown_value(video.why);
  const std::string_view type = s.graph().output_type({s.position(), s.slot()});
  if (type == "IMAGE") return video;
  if (type != "FLOAT" || video.frames_per_second <= 0) {
    return unknown_value({Say::rate_of_video_not_known, {s.node_name()}});
  }
  SizeValue value = number_value(video.frames_per_second);
  value.why = video.why;
  return value;
}

SizeValue video_made(RuleScope& s, const RuleRow&) {
  const SizeValue pictures = s.first({"IMAGE"});
  const auto rate = s.has("fps") ? s.real("fps", 0.001, 1e4) : std::nullopt;
  if (s.pending()) return {};
  SizeValue value = pictures;
  value.frames_per_second = rate.value_or(0);
  return value;
}

SizeValue video_cut(RuleScope& s, const RuleRow&) {
  const SizeValue video = s.first({"VIDEO"});
  const auto start = s.real("start_time", -1e6, 1e6, 0.0);
  const auto length = s.real("duration", 0, 1e6, 0.0);
  if (s.pending()) return {};
  if (!video.is_shape()) return unknown_value(video.why);
  if (!start || !length || video.frames_per_second <= 0) return video;
  const double seconds = frames_of(video) / video.frames_per_second;
  double rest = *start < 0 ? std::min(-*start, seconds) : std::max(0.0, seconds - *start);
  if (*length > 0) rest = std::min(rest, *length);
  return with_frames(s, video, rest * video.frames_per_second);
}

bool loads_media(const RuleRow& row) {
  return row.apply == picture_loaded || row.apply == video_loaded_by_vhs;
}

}  // namespace ebb
