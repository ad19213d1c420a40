// Large images for training, cut into the tiles that prediction cuts them into: each tile becomes an image of
// its own, with the labels that lie in it.
#pragma once

#include <cstdint>
#include <vector>

#include "marrow/data/labels.h"
#include "marrow/geometry/tiles.h"

namespace marrow::loader {

// Of an object that a tile's border cuts, at least this share of its outline, or its box, must lie in the
// tile for the piece to be an object there. An object no larger than a tile is cut into four pieces at most,
// the largest of which has a quarter of it: so it is an object in at least one tile, whatever the overlap. A
// smaller piece shows too little of an object to tell what it is, and its box says nothing of the object's
// size: it is a region to ignore.
inline constexpr double kLeastShare = 0.25;

struct TileLabels {
  data::LabelledImage image;    // the tile, with what lies in it cut at its border, in shares of it
  std::vector<size_t> objects;  // the numbers of image.labels among the labels of the whole image
};

// `tile` lies in the image, whose size is known. The box of an object with an outline is the one around what
// lies of the outline in the tile. Turned boxes (kObb) keep their corners, so that their angle stays;
// keypoints outside the tile are not labelled there. A tile as large as the image has its labels as they are.
TileLabels labels_of_tile(const data::LabelledImage& image, const Tile& tile, Task task = Task::kDetect);

struct TiledImages {
  struct Place {
    size_t whole = 0;  // the image
    Tile tile;         // of it
  };

  std::vector<data::LabelledImage> whole;
  std::vector<data::LabelledImage> tiles;  // with the path of their image; image by image, row by row
  std::vector<Place> places;               // of the tiles
  int64_t empty = 0;                       // tiles without objects
  int64_t lost = 0;                        // objects that are in no tile: larger than it
};

// Memory for the tiles of a split is bounded: Error{kUsage} for more than kMostTiles. options.side > 0.
inline constexpr int64_t kMostTiles = 10'000'000;
TiledImages cut_into_tiles(std::vector<data::LabelledImage> images, const TileOptions& options,
                           Task task = Task::kDetect);

}  // namespace marrow::loader
