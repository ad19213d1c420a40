// Large images in tiles: where the tiles lie.
#pragma once

#include <cstdint>
#include <vector>

#include "marrow/geometry/size.h"

namespace marrow {

struct TileOptions {
  int side = 0;          // pixels of the image, of the square tiles; 0: the image is not cut
  double overlap = 0.2;  // of neighbours, a share of the side, 0 to below 1

  bool operator==(const TileOptions&) const = default;
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
// Windows as DOTA's images are cut into, column by column: `overlap` pixels of each lie in the next one, the
// last of a row or column ends at the border. An axis shorter than a window has one that reaches beyond it.
// Those of which no more than kLeastInside lies in the picture are left out, unless all are: then those with
// the most stay. 0 <= overlap < side.
inline constexpr double kLeastInside = 0.6;
std::vector<Tile> windows_of(Size picture, int side, int overlap);

int64_t tile_count(Size picture, const TileOptions& options);  // of them, without making them

}  // namespace marrow
