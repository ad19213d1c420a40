// Large images in tiles: where the tiles lie, and how the boxes that were found in them become boxes of the
// image.
#pragma once

#include <vector>

#include "marrow/detect/nms.h"
#include "marrow/geometry/size.h"

namespace marrow::predict {

struct TileOptions {
  int side = 0;          // pixels of the image, of the square tiles; 0: the image is not cut
  double overlap = 0.2;  // of neighbours, a share of the side, 0 to below 1
};

struct Tile {
  int x = 0, y = 0;  // of its upper left corner in the image
  Size size;

  bool operator==(const Tile&) const = default;
};

// Rows of tiles of the given side, at least `overlap` of which lies in the neighbour; those at the right and
// lower border are moved inwards so that they are whole. A picture that is smaller than a tile, on either
// axis, is not cut on it.
std::vector<Tile> tiles_of(Size picture, const TileOptions& options);

struct TileDetection {
  detect::Detection detection;  // its box in pixels of the whole image
  size_t tile = 0;              // that it was found in
};

// One list of a picture's detections out of those of its tiles, each tile's as the network's own suppression
// left them. By falling confidence, a detection joins an earlier one of its class (agnostic: of any) from
// another tile when
// - they overlap by more than options.iou, as whole objects that both tiles see do; or
// - the smaller one is cut by its tile's border and lies to more than kFragmentShare in the other: a piece of
// it; or
// - borders that face each other cut both, and along the seam they agree by more than half: two pieces of one
// object. Of joined detections the most confident names class and confidence. Its box grows around the other
// when a border cuts one of them. At most options.max_detections, by falling confidence.
inline constexpr float kFragmentShare = 0.7f;
std::vector<detect::Detection> join_tiles(std::vector<TileDetection> detections,
                                          const std::vector<Tile>& tiles, Size picture,
                                          const detect::NmsOptions& options);

}  // namespace marrow::predict
