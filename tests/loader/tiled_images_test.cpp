#include "marrow/loader/tiled_images.h"

#include <gtest/gtest.h>

#include <set>

#include "loader/all_batches.h"
#include "loader/temporary_images.h"
#include "marrow/base/error.h"
#include "marrow/image/decode.h"
#include "marrow/loader/detection_loader.h"
#include "support/expect_says.h"
#include "support/message_of.h"

namespace marrow::loader {
namespace {

using data::LabelledImage;
using testing::TemporaryImages;
using PixelBox = Box<ImagePixels, double>;

constexpr Size kPicture = {1000, 800};

data::Label label(int class_id, const PixelBox& box, Size picture = kPicture) {
  const double w = picture.width, h = picture.height;
  return {class_id, data::centred({box.x1 / w, box.y1 / h, box.x2 / w, box.y2 / h})};
}

LabelledImage picture_with(const std::vector<PixelBox>& boxes) {
  LabelledImage image{{}, "a.jpg", kPicture.width, kPicture.height};
  for (size_t i = 0; i < boxes.size(); ++i) image.labels.push_back(label(static_cast<int>(i), boxes[i]));
  return image;
}

void expect_box(const data::Label& found, const PixelBox& wanted, Size tile) {
  const auto box = found.box.corner_form();
  EXPECT_NEAR(box.x1 * tile.width, wanted.x1, 1e-3);
  EXPECT_NEAR(box.y1 * tile.height, wanted.y1, 1e-3);
  EXPECT_NEAR(box.x2 * tile.width, wanted.x2, 1e-3);
  EXPECT_NEAR(box.y2 * tile.height, wanted.y2, 1e-3);
}

TEST(LabelsOfTile, AreCutAtItsBorder) {
  const Tile tile{300, 200, {400, 400}};
  const TileLabels found = labels_of_tile(picture_with({{350, 250, 450, 300},    // inside
                                                        {250, 300, 350, 400},    // half of it to the left
                                                        {690, 300, 790, 400},    // a tenth to the right
                                                        {0, 0, 100, 100},        // elsewhere
                                                        {100, 500, 300, 550},    // touches the border
                                                        {600, 575, 800, 625}}),  // half and half: a quarter
                                          tile);
  EXPECT_EQ(found.image.path, "a.jpg");
  EXPECT_EQ(found.image.width, 400);
  EXPECT_EQ(found.image.height, 400);
  EXPECT_EQ(found.objects, (std::vector<size_t>{0, 1, 5}));
  ASSERT_EQ(found.image.labels.size(), 3u);
  EXPECT_EQ(found.image.labels[1].class_id, 1);
  expect_box(found.image.labels[0], {50, 50, 150, 100}, tile.size);
  expect_box(found.image.labels[1], {0, 100, 50, 200}, tile.size);
  expect_box(found.image.labels[2], {300, 375, 400, 400}, tile.size);
  ASSERT_EQ(found.image.ignored.size(), 1u);
  EXPECT_EQ(found.image.ignored[0].reason, data::IgnoredLabel::Reason::kClass);
  EXPECT_EQ(found.image.ignored[0].label.class_id, data::kIgnoreClass);
  expect_box(found.image.ignored[0].label, {390, 100, 400, 200}, tile.size);
}

TEST(LabelsOfTile, OfOutlinesGoAroundWhatIsLeft) {
  LabelledImage image = picture_with({{200, 100, 400, 300}, {250, 100, 350, 200}});
  const auto outline = [](std::vector<Point<Normalised, double>> pixels) {
    for (auto& [x, y] : pixels) x /= kPicture.width, y /= kPicture.height;
    return pixels;
  };
  // A diamond, whose right half is as high as it; and one whose box reaches into the tile, but nothing of it.
  image.polygons = {outline({{300, 100}, {400, 200}, {300, 300}, {200, 200}}),
                    outline({{250, 100}, {290, 100}, {290, 110}, {250, 200}})};
  const Tile tile{350, 0, {400, 400}};
  const TileLabels found = labels_of_tile(image, tile);
  ASSERT_EQ(found.image.labels.size(), 0u);
  ASSERT_EQ(found.image.ignored.size(), 1u);  // 50 x 100 of 200 x 200
  expect_box(found.image.ignored[0].label, {0, 150, 50, 250}, tile.size);
  const TileLabels half = labels_of_tile(image, {300, 0, {400, 400}});
  ASSERT_EQ(half.image.labels.size(), 1u);
  ASSERT_EQ(half.image.polygons.size(), 1u);
  expect_box(half.image.labels[0], {0, 100, 100, 300}, {400, 400});
  for (const auto& [x, y] : half.image.polygons[0]) {
    EXPECT_GE(x, 0);
    EXPECT_LE(x, 0.2501);
  }
}

TEST(LabelsOfTile, OfTheWholeImageAreItsOwn) {
  LabelledImage image = picture_with({{350, 250, 451, 300}, {0, 0, 1000, 800}});
  image.ignored.push_back({image.labels[0], data::IgnoredLabel::Reason::kCrowd});
  const TileLabels found = labels_of_tile(image, {0, 0, kPicture});
  EXPECT_EQ(found.image, image);
  EXPECT_EQ(found.objects, (std::vector<size_t>{0, 1}));
}

TEST(LabelsOfTile, KeepsWhatIsIgnored) {
  LabelledImage image = picture_with({});
  image.ignored = {{label(1, {0, 0, 500, 400}), data::IgnoredLabel::Reason::kCrowd},
                   {label(0, {0, 0, 100, 100}), data::IgnoredLabel::Reason::kDifficult}};
  const TileLabels found = labels_of_tile(image, {400, 300, {400, 400}});
  ASSERT_EQ(found.image.ignored.size(), 1u);
  EXPECT_EQ(found.image.ignored[0].reason, data::IgnoredLabel::Reason::kCrowd);
  expect_box(found.image.ignored[0].label, {0, 0, 100, 100}, {400, 400});
}

// Where four tiles meet, too.
TEST(CutIntoTiles, NoObjectThatFitsATileIsLost) {
  LabelledImage image{{}, "a.jpg", 900, 700};
  for (int x = 0; x <= 800; x += 25)
    for (int y = 0; y <= 600; y += 25)
      image.labels.push_back(label(0, {double(x), double(y), x + 100.0, y + 100.0}, {900, 700}));
  for (const double overlap : {0.0, 0.2, 0.7}) {
    const TiledImages tiled = cut_into_tiles({image}, {100, overlap});
    EXPECT_EQ(tiled.lost, 0) << overlap;
    EXPECT_EQ(tiled.empty, 0) << overlap;
  }
  // Thin outlines along a diagonal, of which every piece has a small box.
  LabelledImage diagonal = image;
  for (const data::Label& each : image.labels) {
    const auto [x1, y1, x2, y2] = each.box.corner_form();
    const double w = (x2 - x1) / 20, h = (y2 - y1) / 20;
    diagonal.polygons.push_back({{x1, y1 + h}, {x1 + w, y1}, {x2, y2 - h}, {x2 - w, y2}});
  }
  for (const double overlap : {0.0, 0.2, 0.7})
    EXPECT_EQ(cut_into_tiles({diagonal}, {100, overlap}).lost, 0) << overlap;
  image.labels.push_back(label(0, {0, 0, 900, 700}, {900, 700}));
  EXPECT_EQ(cut_into_tiles({image}, {100, 0.2}).lost, 1);
}

TEST(CutIntoTiles, IsTheGridOfPrediction) {
  const LabelledImage large = picture_with({{10, 10, 60, 60}}), small{{}, "b.jpg", 300, 200};
  const TileOptions options{400, 0.25};
  const TiledImages tiled = cut_into_tiles({large, small}, options);
  const std::vector<Tile> grid = tiles_of(kPicture, options);
  ASSERT_EQ(tiled.tiles.size(), grid.size() + 1);
  for (size_t i = 0; i < grid.size(); ++i) {
    EXPECT_EQ(tiled.places[i].tile, grid[i]);
    EXPECT_EQ(tiled.places[i].whole, 0u);
  }
  EXPECT_EQ(tiled.places.back().whole, 1u);
  EXPECT_EQ(tiled.tiles.back(), small);
  EXPECT_EQ(tiled.whole, (std::vector{large, small}));
  EXPECT_EQ(tiled.empty, static_cast<int64_t>(grid.size()));  // one of the large image has the object
}

TEST(CutIntoTiles, RefusesMoreThanMemoryHolds) {
  const LabelledImage huge{{}, "a.jpg", 20000, 10000};
  EXPECT_SAYS(testing::message_of(
                  [&] {
                    cut_into_tiles({huge}, {2, 0.5});
                  },
                  ErrorKind::kUsage),
              "tiles of 2 px, overlap 0.5: 199970001 of 1 image; at most 10000000 are held");
}

class TiledStore : public ::testing::Test {
 protected:
  TiledStore() {
    folder_.add(70, 50, true);   // without objects
    folder_.add(50, 90, true);   // one
    folder_.add(110, 60, true);  // two
    folder_.add(20, 20);
    folder_.add(130, 130);
  }
  std::shared_ptr<ImageStore> store(ImageCache cache, int image_size = 64,
                                    std::vector<std::string>* named = nullptr) const {
    ImageStoreOptions options{.image_size = image_size, .cache = cache};
    if (named) options.report = [named](const std::string& message) { named->push_back(message); };
    return std::make_shared<ImageStore>(cut_into_tiles(folder_.images, kTiles), options);
  }
  static DetectionLoaderOptions training(int workers) {
    return {.batch = 4,
            .workers = workers,
            .seed = 11,
            .augment = AugmentSettings{.mixup = 0.5, .copy_paste = 0.5},
            .close_mosaic_epoch = 2,
            .epochs = 3};
  }
  static std::vector<uint8_t> bytes_of(DetectionLoader& loader) {
    std::vector<uint8_t> bytes;
    for (const DetectionBatch& batch : testing::all_batches(loader))
      for (const Tensor* tensor : {&batch.images, &batch.targets}) {
        const auto* first = reinterpret_cast<const uint8_t*>(tensor->bytes());
        bytes.insert(bytes.end(), first, first + tensor->byte_size());
      }
    return bytes;
  }

  static constexpr TileOptions kTiles{32, 0.25};
  TemporaryImages folder_;
};

TEST_F(TiledStore, HasThePixelsOfTheTiles) {
  const auto tiles = store(ImageCache::kAll, 32);
  const TiledImages cut = cut_into_tiles(folder_.images, kTiles);
  ASSERT_EQ(tiles->size(), cut.tiles.size());
  EXPECT_TRUE(tiles->is_tiled());
  for (size_t i = 0; i < tiles->size(); ++i) {
    const auto& [whole, tile] = cut.places[i];
    if (tile.size != Size{32, 32}) continue;
    const image::Image image = image::decode_image_file(folder_.path(whole)).image;
    EXPECT_EQ(*tiles->load(i), image::copy_image(image.region(tile.x, tile.y, 32, 32)));
  }
  // The longer side becomes the image size, as of every image.
  EXPECT_EQ(store(ImageCache::kAll, 64)->load(0)->width(), 64);
}

TEST_F(TiledStore, EveryEpochHasTheObjectsAndAsManyEmptyTiles) {
  const auto tiles = store(ImageCache::kRecent);
  const EpochImages epoch = training_images(*tiles);
  ASSERT_GT(epoch.sometimes.size(), epoch.always.size());
  EXPECT_EQ(epoch.drawn, epoch.always.size());
  DetectionLoader loader(tiles, training(2));
  EXPECT_EQ(loader.batches_per_epoch(), (static_cast<int64_t>(epoch.count()) + 3) / 4);
  std::vector<std::set<size_t>> seen(3);
  for (const DetectionBatch& batch : testing::all_batches(loader))
    for (const BatchImage& origin : batch.origin)
      EXPECT_TRUE(seen.at(static_cast<size_t>(batch.epoch)).insert(origin.index).second);
  for (const std::set<size_t>& one : seen) {
    EXPECT_EQ(one.size(), epoch.count());
    for (const size_t i : epoch.always) EXPECT_TRUE(one.contains(i));
  }
  EXPECT_NE(seen[0], seen[1]);
}

TEST_F(TiledStore, BytesDoNotDependOnWorkersCacheOrStart) {
  DetectionLoader alone(store(ImageCache::kRecent), training(0));
  const std::vector<uint8_t> wanted = bytes_of(alone);
  for (const int workers : {1, 3})
    for (const ImageCache cache : {ImageCache::kRecent, ImageCache::kWhenItFits, ImageCache::kAll}) {
      DetectionLoader loader(store(cache), training(workers));
      EXPECT_EQ(bytes_of(loader), wanted);
    }
  DetectionLoader resumed(store(ImageCache::kAll), training(2), 1, 2);
  const std::vector<uint8_t> rest = bytes_of(resumed);
  ASSERT_LT(rest.size(), wanted.size());
  EXPECT_TRUE(std::equal(rest.rbegin(), rest.rend(), wanted.rbegin()));
}

TEST_F(TiledStore, RectanglesAreTheSameInEveryEpoch) {
  DetectionLoaderOptions options = training(2);
  options.rectangular = true;
  options.pad = 0;
  DetectionLoader loader(store(ImageCache::kRecent), options);
  const std::vector<DetectionBatch> batches = testing::all_batches(loader);
  const auto per_epoch = static_cast<size_t>(loader.batches_per_epoch());
  ASSERT_EQ(batches.size(), 3 * per_epoch);
  for (size_t i = 0; i < per_epoch; ++i) {
    EXPECT_EQ(batches[i].images.shape(), batches[i + per_epoch].images.shape());
    for (size_t k = 0; k < batches[i].origin.size(); ++k)
      EXPECT_EQ(batches[i].origin[k].index, batches[i + per_epoch].origin[k].index);
  }
}

TEST_F(TiledStore, NamesABrokenImageOnce) {
  folder_.spoil(2);
  for (const int workers : {0, 3}) {
    std::vector<std::string> named;
    DetectionLoader loader(store(ImageCache::kRecent, 64, &named), training(workers));
    testing::all_batches(loader);
    ASSERT_EQ(named.size(), 1u);
    EXPECT_SAYS(named[0], folder_.path(2).string());
  }
}

TEST_F(TiledStore, LeavesOutTilesOfAnImageThatBecameSmaller) {
  image::write_image(folder_.path(4), image::Image(40, 40).pixels());
  std::vector<std::string> named;
  const auto tiles = store(ImageCache::kRecent, 32, &named);
  EXPECT_EQ(tiles->load(tiles->size() - 1), nullptr);
  ASSERT_EQ(named.size(), 1u);
  EXPECT_SAYS(named[0], "4.png: has become smaller");
}

}  // namespace
}  // namespace marrow::loader
