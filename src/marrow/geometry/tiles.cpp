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

std::vector<Tile> windows_of(Size picture, int side, int overlap) {
  const auto starts_of = [&](int length) {
    std::vector<int> starts = {0};
    while (starts.back() + side < length)
      starts.push_back(std::min(starts.back() + side - overlap, length - side));
    return starts;
  };
  std::vector<Tile> windows;
  std::vector<double> shares;
  for (const int x : starts_of(picture.width))
    for (const int y : starts_of(picture.height)) {
      windows.push_back({x, y, {side, side}});
      const double width = std::min(picture.width - x, side), height = std::min(picture.height - y, side);
      shares.push_back(width * height / (static_cast<double>(side) * side));
    }
  constexpr double kAsGood = 0.01;
  const double best = std::ranges::max(shares);
  std::vector<Tile> kept;
  for (size_t i = 0; i < windows.size(); ++i)
    if (best > kLeastInside ? shares[i] > kLeastInside : best - shares[i] < kAsGood)
      kept.push_back(windows[i]);
  return kept;
}

int64_t tile_count(Size picture, const TileOptions& options) {
  if (options.side <= 0) return 1;
  return int64_t{count_on(picture.width, options)} * count_on(picture.height, options);
}

}  // namespace marrow
