#include "marrow/predict/join_tiles.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "marrow/image/scene.h"
#include "marrow/model/zoo.h"
#include "marrow/predict/detector.h"
#include "support/scene_weights.h"

namespace marrow::predict {
namespace {

detect::Detection detection(float x1, float y1, float x2, float y2, float confidence, int class_id = 0) {
  return {{x1, y1, x2, y2}, confidence, class_id, 0};
}

class JoinTiles : public ::testing::Test {
 protected:
  std::vector<detect::Detection> join(const std::vector<TileDetection>& found) const {
    return join_tiles(found, tiles, picture, options);
  }
  Size picture = {1152, 640};
  std::vector<Tile> tiles = tiles_of(picture, {640, 0.2});  // 0..640 and 512..1152
  detect::NmsOptions options;
};

TEST(TileDetection, LiesInTheImage) {
  const TileDetection moved = moved_from_tile(detection(1, 2, 30, 40, 0.5f, 3), {512, 100, {640, 640}}, 7);
  EXPECT_EQ(moved.detection.box, (Box<ImagePixels>{513, 102, 542, 140}));
  EXPECT_EQ(moved.detection.class_id, 3);
  EXPECT_EQ(moved.tile, 7u);
}

TEST_F(JoinTiles, KeepsTheMoreConfidentOfAnObjectThatBothTilesSee) {
  const auto joined =
      join({{detection(530, 100, 600, 200, 0.6f), 0}, {detection(531, 101, 601, 201, 0.8f), 1}});
  ASSERT_EQ(joined.size(), 1u);
  EXPECT_EQ(joined[0].confidence, 0.8f);
  EXPECT_EQ(joined[0].box, (Box<ImagePixels>{531, 101, 601, 201}));
}

TEST_F(JoinTiles, TakesThePieceIntoTheWhole) {
  // The left tile sees the object up to its border, the right one all of it.
  const auto joined =
      join({{detection(520, 100, 640, 200, 0.9f), 0}, {detection(520, 100, 800, 204, 0.7f), 1}});
  ASSERT_EQ(joined.size(), 1u);
  EXPECT_EQ(joined[0].confidence, 0.9f);
  EXPECT_EQ(joined[0].box, (Box<ImagePixels>{520, 100, 800, 204}));
}

TEST_F(JoinTiles, PutsTwoHalvesTogether) {
  const auto joined =
      join({{detection(100, 100, 639, 300, 0.9f), 0}, {detection(513, 90, 1000, 310, 0.7f), 1}});
  ASSERT_EQ(joined.size(), 1u);
  EXPECT_EQ(joined[0].box, (Box<ImagePixels>{100, 90, 1000, 310}));
  // Along the seam they do not agree: two objects.
  EXPECT_EQ(
      join({{detection(100, 100, 639, 300, 0.9f), 0}, {detection(513, 250, 1000, 600, 0.7f), 1}}).size(), 2u);
}

TEST_F(JoinTiles, LeavesWhatIsNotOneObject) {
  // Another class, another place, one tile's own list, and a small object before a large one that no border
  // cuts.
  EXPECT_EQ(
      join({{detection(530, 100, 600, 200, 0.6f, 0), 0}, {detection(530, 100, 600, 200, 0.8f, 1), 1}}).size(),
      2u);
  EXPECT_EQ(join({{detection(530, 100, 560, 200, 0.6f), 0}, {detection(570, 100, 600, 200, 0.8f), 1}}).size(),
            2u);
  EXPECT_EQ(join({{detection(530, 100, 600, 200, 0.6f), 0}, {detection(531, 101, 601, 201, 0.8f), 0}}).size(),
            2u);
  EXPECT_EQ(join({{detection(540, 150, 560, 180, 0.9f), 0}, {detection(520, 100, 620, 300, 0.8f), 1}}).size(),
            2u);
  options.agnostic = true;
  EXPECT_EQ(
      join({{detection(530, 100, 600, 200, 0.6f, 0), 0}, {detection(530, 100, 600, 200, 0.8f, 1), 1}}).size(),
      1u);
}

TEST_F(JoinTiles, ReturnsTheBestByFallingConfidence) {
  options.max_detections = 2;
  const auto joined = join({{detection(10, 10, 20, 20, 0.3f), 0},
                            {detection(30, 10, 40, 20, 0.5f), 0},
                            {detection(700, 10, 740, 20, 0.4f), 1}});
  ASSERT_EQ(joined.size(), 2u);
  EXPECT_EQ(joined[0].confidence, 0.5f);
  EXPECT_EQ(joined[1].confidence, 0.4f);
}

// What a detector finds in tiles is what it finds in each tile alone, moved and joined.
TEST(TiledDetector, EqualsItsTilesAlone) {
  const Graph graph = model::make_model("yolov8n", {}, {.classes = 3}).graph;
  const Weights weights = testing::scene_weights(graph, 2);
  DetectorOptions options;
  options.size = {128, 128};
  options.engine.threads = 1;
  options.nms.confidence = 0.3f;
  options.nms.max_detections = 1000;
  Detector whole(graph, weights, options);
  options.tiles = {100, 0.25};
  Detector tiled(graph, weights, options);
  const image::Image picture = image::draw_scene(230, 120, 3);
  std::vector<TileDetection> expected;
  const std::vector<Tile> tiles = tiles_of({230, 120}, options.tiles);
  ASSERT_EQ(tiles.size(), 6u);
  for (size_t i = 0; i < tiles.size(); ++i) {
    const image::Image part =
        image::copy_image(picture.region(tiles[i].x, tiles[i].y, tiles[i].size.width, tiles[i].size.height));
    for (const detect::Detection& found : whole.detect(part).detections)
      expected.push_back(moved_from_tile(found, tiles[i], i));
  }
  ASSERT_FALSE(expected.empty());
  const auto wanted = join_tiles(expected, tiles, {230, 120}, options.nms);
  const auto found = tiled.detect(picture).detections;
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].box, wanted[i].box);
    EXPECT_EQ(found[i].confidence, wanted[i].confidence);
  }
}

// A mask of the tile's part of a box, in a tile of 640 pixels.
MaskPart box_mask(int x1, int y1, int x2, int y2) {
  MaskPart part{x1, y1, Mask({x2 - x1, y2 - y1})};
  std::ranges::fill(part.mask.pixels, uint8_t{1});
  return part;
}

ImageFindings with_mask(const detect::Detection& detection, const MaskPart& mask) {
  ImageFindings found;
  found.detections.push_back(detection);
  found.extras.masks.push_back(mask);
  return found;
}

TEST_F(JoinTiles, JoinsTheMasksOfPieces) {
  const auto joined =
      join_findings({with_mask(detection(100, 100, 640, 300, 0.9f), box_mask(100, 100, 640, 300)),
                     with_mask(detection(0, 90, 488, 310, 0.7f), box_mask(0, 90, 488, 310))},
                    tiles, picture, DetectExtra::kCoefficients, options);
  ASSERT_EQ(joined.detections.size(), 1u);
  EXPECT_EQ(joined.detections[0].box, (Box<ImagePixels>{100, 90, 1000, 310}));
  EXPECT_EQ(joined.extras.mask_size, picture);
  const Mask mask = whole(joined.extras.masks.at(0), picture);
  EXPECT_EQ(mask.area(), 540 * 200 + 488 * 220 - (640 - 512) * 200);
  EXPECT_EQ(mask.at(100, 100), 1);
  EXPECT_EQ(mask.at(999, 90), 1);
  EXPECT_EQ(mask.at(100, 90), 0);
}

// Both see all of it: the surer one's mask is right.
TEST_F(JoinTiles, KeepsTheMaskOfTheSurerOneOfTwoWholes) {
  const auto joined =
      join_findings({with_mask(detection(530, 100, 600, 200, 0.6f), box_mask(530, 100, 600, 200)),
                     with_mask(detection(19, 101, 89, 201, 0.8f), box_mask(19, 101, 89, 201))},
                    tiles, picture, DetectExtra::kCoefficients, options);
  ASSERT_EQ(joined.detections.size(), 1u);
  EXPECT_EQ(joined.extras.masks.at(0).x, 531);
  EXPECT_EQ(joined.extras.masks.at(0).mask.area(), 70 * 100);
}

TEST_F(JoinTiles, OfTurnedBoxesThatOverlapTheSurestStays) {
  const auto turned = [](const RotatedBox<ImagePixels>& box, float confidence, int class_id) {
    ImageFindings found;
    found.detections.push_back({box.bounds(), confidence, class_id, 0});
    found.extras.rotated.push_back(box);
    return found;
  };
  std::vector<ImageFindings> found = {turned({560, 100, 60, 20, 0.5f}, 0.6f, 0),
                                      turned({49, 101, 60, 20, 0.5f}, 0.8f, 0)};
  auto joined = join_findings(found, tiles, picture, DetectExtra::kAngle, options);
  ASSERT_EQ(joined.detections.size(), 1u);
  EXPECT_EQ(joined.extras.rotated.at(0), (RotatedBox<ImagePixels>{561, 101, 60, 20, 0.5f}));
  EXPECT_EQ(joined.detections[0].box, joined.extras.rotated[0].bounds());
  found[1].detections[0].class_id = 1;
  joined = join_findings(found, tiles, picture, DetectExtra::kAngle, options);
  ASSERT_EQ(joined.detections.size(), 2u);
  EXPECT_EQ(joined.detections[0].class_id, 1);
}

}  // namespace
}  // namespace marrow::predict
