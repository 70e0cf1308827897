// SPDX-License-Identifier: Apache-2.0
// What VAEDecodeTiled is given where nobody says: its own defaults (nodes.py of ComfyUI).
#pragma once

namespace ebb {

/// In the order of the node's widgets; sizes in pixels and frames.
struct TileWidget {
  const char* name;
  int value;
};
inline constexpr TileWidget kTileWidgets[] = {
    {"tile_size", 512}, {"overlap", 64}, {"temporal_size", 64}, {"temporal_overlap", 8}};
inline constexpr int kTile = kTileWidgets[0].value, kTileFrames = kTileWidgets[2].value;

}  // namespace ebb
