// SPDX-License-Identifier: Apache-2.0
// MP4, MOV, WebM and Matroska: width, height, frames and their rate. Only heads of boxes are read,
// and what lies between them is passed by seeking.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/text.h"
#include "workflow/embedded.h"
#include "workflow/media_size.h"

namespace ebb {
namespace {

constexpr int kBoxesMax = 200'000;
constexpr std::int64_t kFramesMax = 10'000'000;

std::int64_t bounded(double frames) {
  if (!(frames > 0)) return 0;
  return static_cast<std::int64_t>(std::llround(std::min(frames, double(kFramesMax))));
}

// ---- MP4 -------------------------------------------------------------------------------------

std::optional<BoxAt> find_path(Window& file, BoxAt box,
                               std::initializer_list<std::string_view> path) {
  for (const std::string_view type : path) {
    const auto inner = find_box(file, box.from, box.to, type);
    if (!inner) return std::nullopt;
    box = *inner;
  }
  return box;
}

/// Whether the matrix of a track's header turns it by a quarter: nothing on its diagonal.
bool on_its_side(Window& file, const BoxAt& tkhd) {
  const std::int64_t matrix = tkhd.from + (file.big(tkhd.from, 1) == 1 ? 52 : 40);
  return file.big(matrix, 4) == 0 && file.big(matrix + 4, 4) != 0;
}

/// Frames that stand in fragments behind the header, as recorders write them, and their rate.
void add_fragments(Window& file, std::size_t track, double scale, MediaSize& size) {
  double frames = 0, ticks = 0;
  std::int64_t at = 0;
  for (int i = 0; i < kBoxesMax; ++i) {
    const auto moof = next_box(file, at, file.size());
    if (!moof) break;
    const auto traf =
        moof->type == "moof" ? find_box(file, moof->from, moof->to, "traf") : std::nullopt;
    const auto head = traf ? find_box(file, traf->from, traf->to, "tfhd") : std::nullopt;
    const auto run = traf ? find_box(file, traf->from, traf->to, "trun") : std::nullopt;
    if (!head || !run || file.big(head->from + 4, 4) != track) continue;
    const std::size_t flags = file.big(head->from + 1, 3);
    const auto count = static_cast<double>(file.big(run->from + 4, 4));
    frames += count;
    const std::int64_t before = (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0);
    if (flags & 8) ticks += count * static_cast<double>(file.big(head->from + 8 + before, 4));
  }
  size.frames = bounded(frames);
  if (ticks > 0) size.frames_per_second = frames * scale / ticks;
}

std::optional<MediaSize> track_size(Window& file, const BoxAt& track) {
  const auto mdia = find_box(file, track.from, track.to, "mdia");
  const auto hdlr = mdia ? find_box(file, mdia->from, mdia->to, "hdlr") : std::nullopt;
  if (!hdlr) return std::nullopt;
  const auto kind = file.at(hdlr->from + 8, 4);
  if (kind != "vide" && kind != "pict") return std::nullopt;
  const auto table = find_path(file, *mdia, {"minf", "stbl"});
  const auto entry = table ? find_box(file, table->from, table->to, "stsd") : std::nullopt;
  if (!entry) return std::nullopt;
  MediaSize size;
  size.width = static_cast<std::int64_t>(file.big(entry->from + 8 + 32, 2));
  size.height = static_cast<std::int64_t>(file.big(entry->from + 8 + 34, 2));
  if (size.width == 0 || size.height == 0) return std::nullopt;
  size.video = true;
  size.frames = 0;
  if (const auto sizes = find_box(file, table->from, table->to, "stsz")) {
    size.frames = bounded(static_cast<double>(file.big(sizes->from + 8, 4)));
  }
  const auto tkhd = find_box(file, track.from, track.to, "tkhd");
  if (const auto head = find_box(file, mdia->from, mdia->to, "mdhd")) {
    const bool wide = file.big(head->from, 1) == 1;
    const auto scale = static_cast<double>(file.big(head->from + (wide ? 20 : 12), 4));
    const auto length = static_cast<double>(file.big(head->from + (wide ? 24 : 16), wide ? 8 : 4));
    if (size.frames == 0 && tkhd) {
      const bool long_times = file.big(tkhd->from, 1) == 1;
      add_fragments(file, file.big(tkhd->from + (long_times ? 20 : 12), 4), scale, size);
    } else if (scale > 0 && length > 0) {
      size.frames_per_second = static_cast<double>(size.frames) * scale / length;
    }
  }
  return tkhd && on_its_side(file, *tkhd) ? turned(size, 6) : size;
}

}  // namespace

std::optional<BoxAt> next_box(Window& file, std::int64_t& at, std::int64_t end) {
  if (at + 8 > end) return std::nullopt;
  auto length = static_cast<std::int64_t>(file.big(at, 4));
  BoxAt box{std::string(file.at(at + 4, 4)), at + 8, end};
  if (length == 1) {
    length = static_cast<std::int64_t>(file.big(at + 8, 8));
    box.from = at + 16;
  }
  if (length == 0) length = end - at;
  if (box.type.size() < 4 || length < box.from - at) return std::nullopt;
  box.to = length > end - at ? end : at + length;
  at = box.to;
  return box;
}

std::optional<BoxAt> find_box(Window& file, std::int64_t from, std::int64_t end,
                              std::string_view type) {
  for (int i = 0; i < kBoxesMax; ++i) {
    auto box = next_box(file, from, end);
    if (!box || box->type == type) return box;
  }
  return std::nullopt;
}

std::optional<MediaSize> size_of_mp4(Window& file) {
  const auto moov = find_box(file, 0, file.size(), "moov");
  if (!moov) return std::nullopt;
  std::int64_t at = moov->from;
  for (int i = 0; i < kBoxesMax; ++i) {
    const auto box = next_box(file, at, moov->to);
    if (!box) break;
    if (box->type != "trak") continue;
    if (const auto size = track_size(file, *box)) return size;
  }
  return std::nullopt;
}

// ---- WebM and Matroska -----------------------------------------------------------------------

namespace {

struct ElementAt {
  std::size_t id = 0;
  std::int64_t from = 0, to = 0;
};

/// A number of variable length at `at`, which is moved behind it; nothing where there is none.
std::optional<std::size_t> take_number(Window& file, std::int64_t& at, bool is_id) {
  const std::size_t first = file.big(at, 1);
  if (first == 0) return std::nullopt;
  const auto width =
      static_cast<std::size_t>(std::countl_zero(static_cast<std::uint8_t>(first))) + 1;
  std::size_t value = file.big(at, width);
  at += static_cast<std::int64_t>(width);
  if (is_id) return value;
  const std::size_t all = (std::size_t{1} << (7 * width)) - 1;
  value &= all;
  return value == all ? ~std::size_t{0} : value;  // a length that is not known
}

std::optional<ElementAt> next_element(Window& file, std::int64_t& at, std::int64_t end) {
  if (at >= end) return std::nullopt;
  const auto id = take_number(file, at, true);
  const auto length = id ? take_number(file, at, false) : std::nullopt;
  if (!length) return std::nullopt;
  const bool fits = *length <= static_cast<std::size_t>(std::max<std::int64_t>(end - at, 0));
  ElementAt element{*id, at, fits ? at + static_cast<std::int64_t>(*length) : end};
  at = element.to;
  return element;
}

double float_at(Window& file, const ElementAt& element) {
  const auto width = static_cast<std::size_t>(element.to - element.from);
  const std::size_t bits = width <= 8 ? file.big(element.from, width) : 0;
  if (width == 4) return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
  return width == 8 ? std::bit_cast<double>(static_cast<std::uint64_t>(bits)) : 0;
}

class Matroska {
 public:
  explicit Matroska(Window& file) : file_(file) {}

  std::optional<MediaSize> read() {
    walk(0, file_.size(), 0);
    if (size_.width == 0 || size_.height == 0) return std::nullopt;
    size_.video = true;
    const double seconds = duration_ * scale_ / 1e9;
    size_.frames = blocks_;
    if (frame_ns_ > 0) size_.frames_per_second = 1e9 / frame_ns_;
    if (frame_ns_ == 0 && seconds > 0) {
      size_.frames_per_second = static_cast<double>(blocks_) / seconds;
    }
    if (blocks_ == 0) size_.frames = bounded(seconds * size_.frames_per_second);
    return size_;
  }

 private:
  static constexpr std::size_t kSegment = 0x18538067, kInfo = 0x1549A966, kTracks = 0x1654AE6B,
                               kTrack = 0xAE, kVideo = 0xE0, kCluster = 0x1F43B675, kGroup = 0xA0,
                               kSimpleBlock = 0xA3, kBlock = 0xA1;
  static constexpr int kDepthMax = 6;

  std::size_t number(const ElementAt& e) {
    const auto width = static_cast<std::size_t>(e.to - e.from);
    return width <= 8 ? file_.big(e.from, width) : 0;
  }

  void walk(std::int64_t at, std::int64_t end, int depth) {
    while (steps_++ < kBoxesMax) {
      const auto element = next_element(file_, at, end);
      if (!element) return;
      take(*element, depth);
    }
  }

  void take(const ElementAt& e, int depth) {
    switch (e.id) {
      case kTrack: track_(e, depth); break;
      case kSegment:
      case kInfo:
      case kTracks:
      case kVideo:
      case kCluster:
      case kGroup:
        if (depth < kDepthMax) walk(e.from, e.to, depth + 1);
        break;
      case 0x2AD7B1: scale_ = static_cast<double>(number(e)); break;
      case 0x4489: duration_ = float_at(file_, e); break;
      case 0xD7: number_ = number(e); break;
      case 0x83: type_ = number(e); break;
      case 0x23E383: default_ns_ = static_cast<double>(number(e)); break;
      case 0xB0: width_ = number(e); break;
      case 0xBA: height_ = number(e); break;
      case kSimpleBlock:
      case kBlock: {
        std::int64_t at = e.from;
        const auto track = take_number(file_, at, false);
        blocks_ += track && *track == video_;
        break;
      }
      default: break;
    }
  }

  /// The first track of type 1 is the picture.
  void track_(const ElementAt& e, int depth) {
    number_ = type_ = width_ = height_ = 0;
    default_ns_ = 0;
    if (depth < kDepthMax) walk(e.from, e.to, depth + 1);
    if (type_ != 1 || size_.width != 0 || width_ > 1 << 20 || height_ > 1 << 20) return;
    size_.width = static_cast<std::int64_t>(width_);
    size_.height = static_cast<std::int64_t>(height_);
    video_ = number_;
    frame_ns_ = default_ns_;
  }

  Window& file_;
  MediaSize size_;
  double scale_ = 1e6, duration_ = 0, default_ns_ = 0, frame_ns_ = 0;
  std::size_t number_ = 0, type_ = 0, width_ = 0, height_ = 0;
  std::size_t video_ = ~std::size_t{1};
  std::int64_t blocks_ = 0;
  int steps_ = 0;
};

}  // namespace

std::optional<MediaSize> size_of_webm(Window& file) { return Matroska(file).read(); }

}  // namespace ebb
