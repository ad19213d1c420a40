// How what was found in the tiles of an image becomes what was found in the image.
#pragma once

#include <vector>

#include "marrow/detect/nms.h"
#include "marrow/geometry/tiles.h"
#include "marrow/graph/operation.h"
#include "marrow/predict/read_prediction.h"

namespace marrow::predict {

struct TileDetection {
  detect::Detection detection;  // its box in pixels of the whole image
  size_t tile = 0;              // that it was found in
};

// Throws Error{kUnsupported} for tiles where the head finds keypoints.
void require_joinable(const DetectDecode& decode, const TileOptions& tiles);

// Of what was found in tile `number`, in pixels of the tile.
TileDetection moved_from_tile(const detect::Detection& found, const Tile& tile, size_t number);

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
std::vector<detect::Detection> join_tiles(const std::vector<TileDetection>& detections,
                                          const std::vector<Tile>& tiles, Size picture,
                                          const detect::NmsOptions& options);

// What is found in the whole image, of what was found in each tile, in pixels of the tile; masks are of its
// size, and outlines none. Boxes, and the masks with them, are joined as above: where a box grows, its mask
// takes in the other's. Of turned boxes that overlap by more than detect::kTurnedOverlap, or options.iou
// where that is less, only the most confident one stays.
ImageFindings join_findings(std::vector<ImageFindings> found, const std::vector<Tile>& tiles, Size picture,
                            DetectExtra extra, const detect::NmsOptions& options);

}  // namespace marrow::predict
