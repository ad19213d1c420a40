#include "marrow/geometry/tiles.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace marrow {
namespace {

TEST(Tiles, CoverThePictureAndOverlap) {
  for (const Size picture : {Size{1000, 700}, Size{640, 640}, Size{641, 1280}, Size{300, 2000}, Size{5, 5}})
    for (const double overlap : {0.0, 0.2, 0.5, 0.99}) {
      const TileOptions options{640, overlap};
      const std::vector<Tile> tiles = tiles_of(picture, options);
      EXPECT_EQ(tile_count(picture, options), static_cast<int64_t>(tiles.size()));
      std::vector<bool> seen(static_cast<size_t>(picture.width));
      for (const Tile& tile : tiles) {
        EXPECT_EQ(tile.size.width, std::min(640, picture.width));
        EXPECT_EQ(tile.size.height, std::min(640, picture.height));
        EXPECT_LE(tile.x + tile.size.width, picture.width);
        EXPECT_LE(tile.y + tile.size.height, picture.height);
        if (tile.y == 0)
          for (int x = tile.x; x < tile.x + tile.size.width; ++x) seen[static_cast<size_t>(x)] = true;
      }
      EXPECT_TRUE(std::ranges::all_of(seen, [](bool s) { return s; }));
      for (size_t i = 1; i < tiles.size(); ++i) {
        if (tiles[i].y == tiles[i - 1].y) {
          EXPECT_GE(tiles[i - 1].x + 640 - tiles[i].x, static_cast<int>(640 * overlap));
        }
      }
    }
  EXPECT_EQ(tiles_of({2000, 1000}, {}), (std::vector<Tile>{{0, 0, {2000, 1000}}}));
  EXPECT_EQ(tile_count({60000, 50000}, {1, 0}), 3'000'000'000);
  EXPECT_EQ(tiles_of({1152, 640}, {640, 0.2}), (std::vector<Tile>{{0, 0, {640, 640}}, {512, 0, {640, 640}}}));
}

}  // namespace
}  // namespace marrow
