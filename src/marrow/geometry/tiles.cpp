#include "marrow/geometry/tiles.h"

#include <algorithm>
#include <cmath>

namespace marrow {
namespace {

// How far tiles of the side begin from each other.
int step_of(const TileOptions& options) {
  return std::max(static_cast<int>(std::floor(options.side * (1 - options.overlap))), 1);
}

// Tiles on an axis of `length` pixels.
int count_on(int length, const TileOptions& options) {
  if (length <= options.side) return 1;
  return (length - options.side + step_of(options) - 1) / step_of(options) + 1;
}

std::vector<int> starts(int length, const TileOptions& options) {
  std::vector<int> result;
  for (int i = 0; i < count_on(length, options); ++i)
    result.push_back(std::min(i * step_of(options), std::max(length - options.side, 0)));
  return result;
}

}  // namespace

std::vector<Tile> tiles_of(Size picture, const TileOptions& options) {
  if (options.side <= 0) return {{0, 0, picture}};
  std::vector<Tile> tiles;
  for (const int y : starts(picture.height, options))
    for (const int x : starts(picture.width, options))
      tiles.push_back(
          {x, y, {std::min(options.side, picture.width), std::min(options.side, picture.height)}});
  return tiles;
}

int64_t tile_count(Size picture, const TileOptions& options) {
  if (options.side <= 0) return 1;
  return int64_t{count_on(picture.width, options)} * count_on(picture.height, options);
}

}  // namespace marrow
