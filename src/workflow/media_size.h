// SPDX-License-Identifier: Apache-2.0
// Readers of the sizes that headers of pictures and videos state, one a container.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "ebb/workflow.h"
#include "workflow/window.h"

namespace ebb {

/// Nothing where the header makes no sense.
using ReadSize = std::optional<MediaSize> (*)(Window& file);

std::optional<MediaSize> size_of_png(Window& file);
std::optional<MediaSize> size_of_jpeg(Window& file);
std::optional<MediaSize> size_of_webp(Window& file);
std::optional<MediaSize> size_of_gif(Window& file);
std::optional<MediaSize> size_of_bmp(Window& file);
std::optional<MediaSize> size_of_avif(Window& file);
std::optional<MediaSize> size_of_mp4(Window& file);
std::optional<MediaSize> size_of_webm(Window& file);

/// EXIF's orientation, 1 to 8, in a TIFF block; 1 where it has none.
int orientation_of(std::string_view tiff);
/// Turned as a picture of this orientation is shown: 5 to 8 lie on their side.
MediaSize turned(MediaSize size, int orientation);

/// One box of an MP4 or an AVIF: where its content is. Nothing at the end of the outer one, or
/// where the bytes make no sense; `at` is moved behind the box.
struct BoxAt {
  std::string type;
  std::int64_t from = 0, to = 0;
};
std::optional<BoxAt> next_box(Window& file, std::int64_t& at, std::int64_t end);
/// The first box of this type between two places.
std::optional<BoxAt> find_box(Window& file, std::int64_t from, std::int64_t end,
                              std::string_view type);

}  // namespace ebb
