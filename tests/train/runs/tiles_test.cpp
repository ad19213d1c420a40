// Training on tiles of images.
#include <gtest/gtest.h>

#include <algorithm>

#include "marrow/evaluate/engine_predictor.h"
#include "marrow/evaluate/measure_detector.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/evaluate/tile_validation.h"
#include "marrow/model/import.h"
#include "marrow/model/zoo.h"
#include "marrow/outline/raster.h"
#include "marrow/outline/turned_box.h"
#include "marrow/predict/join_tiles.h"
#include "marrow/train/make_task.h"
#include "support/expect_says.h"
#include "support/message_of.h"
#include "support/scene_weights.h"
#include "train/runs/whole_runs.h"
#include "train/tiny_task.h"

namespace marrow::train {
namespace {

using testing::TinyRun;

constexpr TileOptions kTiles{48, 0.25};

TrainOptions tiled(TrainOptions options) {
  options.tile = kTiles.side;
  options.overlap = kTiles.overlap;
  options.imgsz = 0;
  return options;
}

class Tiles : public ::testing::Test {
 protected:
  // The images of 96 px and the network's side.
  std::unique_ptr<Task> task(TrainOptions options) {
    said_.clear();
    const data::Dataset dataset = data::read_dataset(options.data);
    model::Model model = model::make_model(options.model, {}, {.names = {"disc", "square"}});
    const auto say = [this](std::string_view line) { said_ += std::string(line) + "\n"; };
    settle(options, model, dataset, say);
    imgsz_ = options.imgsz;
    return make_task(options, model, dataset, say);
  }
  evaluate::OpenedSplit whole_images(const std::string& split) const {
    return evaluate::open_split(data::read_dataset(tiny_.folder / "data" / "data.yaml"), split,
                                {.image_size = 0, .cache = loader::ImageCache::kRecent});
  }

  const TinyRun tiny_;
  std::string said_;
  int imgsz_ = 0;
};

TEST_F(Tiles, AreTheImagesOfATask) {
  TrainOptions options = tiled(tiny_.options(""));
  const auto whole = task(tiny_.options("")), cut = task(options);
  EXPECT_EQ(imgsz_, 64);  // of tiles of 48
  EXPECT_SAYS(said_, "train: 10 images as ");
  EXPECT_SAYS(said_, " tiles of 48 px, ");
  EXPECT_EQ(said_.find("val: 4 images as"), std::string::npos) << said_;
  EXPECT_GT(cut->images(), 2 * whole->images());
  EXPECT_EQ(cut->batches_per_epoch(), (cut->images() + 3) / 4);
  EXPECT_EQ(cut->data_fingerprint, whole->data_fingerprint);
  const int64_t all = cut->images();
  options.fraction = {0.5};
  EXPECT_LT(task(options)->images(), all);
  EXPECT_SAYS(said_, "train: 5 images as ");
  options = tiled(tiny_.options(""));
  options.classes = {"disc"};
  EXPECT_LT(task(options)->images(), all);
  options.imgsz = 96;
  task(options);
  EXPECT_EQ(imgsz_, 96);
  options.tile = 2;
  EXPECT_SAYS(testing::message_of([&] { task(options); }, ErrorKind::kFormat), "too large for tiles of 2 px");
}

TEST_F(Tiles, GiveTheSameBytesForTheSameSeed) {
  testing::expect_same_bytes_for_the_same_seed(tiny_, tiled(tiny_.options("")));
}

// What validation finds while training is what `marrow val --tile` finds.
TEST_F(Tiles, AreValidatedAsThoseOfPrediction) {
  model::TrainedModel trained;
  trained.model = model::make_model("yolov8n", {}, {.names = {"disc", "square"}});
  trained.weights = testing::scene_weights(trained.model.graph, 2);
  const evaluate::OpenedSplit split = whole_images("val");
  std::vector<loader::DetectionBatch> seen;
  evaluate::DetectorValidationOptions how{
      .names = trained.model.names,
      .confidence = 0.05f,
      .predictions = true,
      .show = [&](const loader::DetectionBatch& batch,
                  std::span<const std::vector<detect::InputDetection>> found,
                  const evaluate::ExtrasOfImage& extras) {
        EXPECT_FALSE(extras);
        EXPECT_EQ(found.size(), batch.origin.size());
        seen.push_back(batch);
      }};
  engine::EngineOptions engine;
  engine.threads = 1;
  predict::Detector detector(trained.model.graph, trained.weights,
                             {.size = {64, 64},
                              .tiles = kTiles,
                              .nms = evaluate::suppression(how, *split.images),
                              .engine = engine});
  const evaluate::DetectorValidation wanted = evaluate::validate_whole_images(
      *split.images, how, [&](size_t, const image::Image& image) { return detector.detect(image); });
  evaluate::EnginePredictor predictor(trained, engine);
  cpu::ThreadPool threads(1);
  const evaluate::DetectorValidation found = evaluate::validate_tiles(
      *split.images, {.tiles = kTiles, .image_size = 64, .stride = 32, .batch = 4}, how,
      [&](const loader::DetectionBatch& batch) { return predictor(batch.images); }, threads);
  ASSERT_GT(wanted.predictions.size(), 100u);
  ASSERT_EQ(found.predictions.size(), wanted.predictions.size());
  for (size_t i = 0; i < found.predictions.size(); ++i) {
    EXPECT_EQ(found.predictions[i].category_id, wanted.predictions[i].category_id);
    EXPECT_NEAR(found.predictions[i].score, wanted.predictions[i].score, 1e-5);
  }
  EXPECT_EQ(found.report.images, 4);
  EXPECT_EQ(found.report.instances, wanted.report.instances);
  EXPECT_EQ(found.report.ultralytics.map50(), wanted.report.ultralytics.map50());
  // Batches of the tiles of an image, with the labels of each.
  ASSERT_GT(seen.size(), 4u);
  int64_t targets = 0;
  for (size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].number, static_cast<int64_t>(i));
    EXPECT_LE(seen[i].images.dim(0), 4);
    EXPECT_EQ(seen[i].images.dim(3), 64);
    targets += seen[i].targets.dim(0);
  }
  EXPECT_GE(targets, split.objects);
}

class TilesOfATask : public ::testing::TestWithParam<marrow::Task> {};

// As AreValidatedAsThoseOfPrediction, with masks or turned boxes: the same numbers of both.
TEST_P(TilesOfATask, AreValidatedAsThoseOfPrediction) {
  const testing::TinyTask tiny(GetParam());
  const std::string head = GetParam() == marrow::Task::kSegment ? "yolov8n-seg" : "yolov8n-obb";
  model::TrainedModel trained;
  trained.model = model::make_model(head, {}, {.names = {"disc", "square"}});
  trained.weights = testing::scene_weights(trained.model.graph, 2);
  data::Dataset dataset = data::read_dataset(tiny.folder / "drawn" / "data.yaml");
  dataset.task = GetParam();
  const evaluate::OpenedSplit split =
      evaluate::open_split(dataset, "val", {.image_size = 0, .cache = loader::ImageCache::kRecent});
  const evaluate::DetectorValidationOptions how{
      .names = trained.model.names,
      .confidence = 0.05f,
      .head = evaluate::validated_head(trained.model.graph, true, {}),
      .predictions = true,
      .show = [&](const loader::DetectionBatch& batch,
                  std::span<const std::vector<detect::InputDetection>> found,
                  const evaluate::ExtrasOfImage& extras) {
        for (size_t i = 0; i < batch.origin.size(); ++i) {
          const detect::DetectionExtras drawn = extras(i, found[i].size());
          EXPECT_EQ(std::max(drawn.masks.size(), drawn.rotated.size()), found[i].size());
        }
      }};
  engine::EngineOptions engine;
  engine.threads = 1;
  predict::Detector detector(trained.model.graph, trained.weights,
                             {.size = {64, 64},
                              .tiles = kTiles,
                              .nms = evaluate::suppression(how, *split.images),
                              .masks = predict::MaskSize::kImage,
                              .engine = engine});
  const evaluate::DetectorValidation wanted = evaluate::validate_whole_images(
      *split.images, how, [&](size_t, const image::Image& image) { return detector.detect(image); });
  evaluate::EnginePredictor predictor(trained, engine);
  cpu::ThreadPool threads(1);
  const evaluate::DetectorValidation found = evaluate::validate_tiles(
      *split.images, {.tiles = kTiles, .image_size = 64, .stride = 32, .batch = 4}, how,
      [&](const loader::DetectionBatch& batch) { return predictor.predict(batch.images); }, threads);
  ASSERT_GT(wanted.predictions.size(), 5u);
  ASSERT_EQ(found.predictions.size(), wanted.predictions.size());
  EXPECT_EQ(found.report.instances, wanted.report.instances);
  EXPECT_NEAR(found.report.ultralytics.map50(), wanted.report.ultralytics.map50(), 1e-6);
  EXPECT_NEAR(found.report.second.map50(), wanted.report.second.map50(), 1e-6);
}

// What is true, found in the tiles' own labels, is all right in the image.
TEST_P(TilesOfATask, TruthIsFoundAsTruth) {
  const testing::TinyTask tiny(GetParam());
  data::Dataset dataset = data::read_dataset(tiny.folder / "drawn" / "data.yaml");
  dataset.task = GetParam();
  const evaluate::OpenedSplit split =
      evaluate::open_split(dataset, "val", {.image_size = 0, .cache = loader::ImageCache::kRecent});
  const model::Model model =
      model::make_model(GetParam() == marrow::Task::kSegment ? "yolov8n-seg" : "yolov8n-obb", {},
                        {.names = {"disc", "square"}});
  const evaluate::DetectorValidationOptions how{
      .names = {"disc", "square"}, .head = evaluate::validated_head(model.graph, true, {}), .show = {}};
  const evaluate::DetectorValidation found =
      evaluate::validate_whole_images(*split.images, how, [&](size_t index, const image::Image& image) {
        const Size picture = {image.width(), image.height()};
        std::vector<predict::ImageFindings> parts;
        const std::vector<Tile> tiles = tiles_of(picture, kTiles);
        for (const Tile& tile : tiles) {
          predict::ImageFindings& part = parts.emplace_back();
          const data::LabelledImage labels =
              loader::labels_of_tile(split.images->labels(index), tile, GetParam()).image;
          for (const loader::Object& object : loader::objects_of(labels, tile.size, GetParam())) {
            const std::span<const Point<ImagePixels>> outline = object.polygon;
            part.detections.push_back({object.box, 0.9f, object.class_id, 0});
            if (GetParam() == marrow::Task::kObb)
              part.extras.rotated.push_back(outline::turned_box(outline));
            else
              part.extras.masks.push_back(trimmed(outline::fill(outline, tile.size)));
          }
        }
        predict::ImageFindings all =
            predict::join_findings(std::move(parts), tiles, picture, how.head.decode.extra,
                                   evaluate::suppression(how, *split.images));
        return predict::DetectionResult{.detections = std::move(all.detections),
                                        .extras = std::move(all.extras)};
      });
  EXPECT_GT(found.report.ultralytics.map50(), 0.9);
  if (GetParam() == marrow::Task::kSegment) {
    EXPECT_GT(found.report.second.map50(), 0.9);
  }
}

TEST_P(TilesOfATask, AreLearnt) {
  const testing::TinyTask tiny(GetParam());
  TrainOptions options = tiled(tiny.options("tiled"));
  options.epochs = 2;
  EXPECT_EQ(run_training(options), RunOutcome::kFinished);
  const model::TrainedModel last = model::load_trained(tiny.weights("tiled", "last"));
  EXPECT_EQ(last.model.tiles, kTiles);
}

INSTANTIATE_TEST_SUITE_P(All, TilesOfATask, ::testing::Values(marrow::Task::kSegment, marrow::Task::kObb),
                         [](const auto& info) { return std::string(task_name(info.param)); });

// A box of which the first tile has most and the second a tenth.
TEST(TileValidation, HandsOverObjectsAndRegionsToIgnore) {
  const testing::TemporaryFolder folder;
  image::write_image(folder / "a.png", image::Image(128, 64).pixels());
  data::LabelledImage image{{}, folder / "a.png", 128, 64};
  image.labels.push_back({0, data::centred({10.0 / 128, 8.0 / 64, 70.0 / 128, 40.0 / 64})});
  loader::ImageStore store({image}, {.image_size = 0});
  cpu::ThreadPool threads(2);
  int calls = 0;
  evaluate::validate_tiles(
      store, {.tiles = {64, 0}, .image_size = 64, .stride = 32, .batch = 16}, {.names = {"a"}},
      [&](const loader::DetectionBatch& batch) {
        ++calls;
        EXPECT_EQ(batch.images.dim(0), 2);
        const std::vector<float> targets(batch.targets.values().begin(), batch.targets.values().end());
        EXPECT_EQ(targets, (std::vector<float>{0, 0, 37.f / 64, 24.f / 64, 54.f / 64, 32.f / 64}));
        const std::vector<float> ignored(batch.ignored.values().begin(), batch.ignored.values().end());
        EXPECT_EQ(ignored, (std::vector<float>{1, 3.f / 64, 24.f / 64, 6.f / 64, 32.f / 64}));
        return Tensor({2, 5, 1});
      },
      threads, {});
  EXPECT_EQ(calls, 1);
}

// By the rules of 8.4, in tiles too.
TEST(Suppression, AllowsAsManyDetectionsAsTheFullestImageHasObjects) {
  data::LabelledImage full{{}, "a.jpg", 1000, 1000};
  full.labels.assign(400, {0, {0.5, 0.5, 0.1, 0.1}});
  const loader::ImageStore store({full}, {});
  const auto most = [&](evaluate::DetectorValidationOptions options) {
    return evaluate::suppression(options, store).max_detections;
  };
  EXPECT_EQ(most({.show = {}}), 400);
  EXPECT_EQ(most({.rules = Rules::k83, .show = {}}), 300);
  EXPECT_EQ(most({.max_detections = 100, .show = {}}), 100);
}

// The row of the best epoch is what predicting in tiles finds with the best model.
TEST_F(Tiles, AreMeasuredAsTheBestModelIsAfterwards) {
  TrainOptions options = tiled(tiny_.options("measured"));
  options.epochs = 30;
  options.lr0 = 0.02;
  options.nbs = 4;
  run_training(options);
  const model::TrainedModel best = model::load_trained(tiny_.weights("measured", "best"));
  EXPECT_EQ(best.model.tiles, kTiles);
  double fitness = 0;
  for (const std::string& line : tiny_.results("measured")) {
    std::vector<std::string> cells;
    std::istringstream text(line);
    for (std::string cell; std::getline(text, cell, ',');) cells.push_back(cell);
    if (line.starts_with("epoch")) {
      EXPECT_EQ(cells.at(8), "metrics/mAP50-95(B)");
      continue;
    }
    fitness = std::max(fitness, std::stod(cells.at(8)));
  }
  const evaluate::DetectionReport report =
      evaluate::measure_detector(best, data::read_dataset(options.data), {.image_size = 64});
  EXPECT_NEAR(report.ultralytics.map50_95(), fitness, 1e-3);
  EXPECT_GT(fitness, 0.005);
}

// A tile as large as every image: the run is that on whole images, but for the order of validation.
TEST_F(Tiles, OfTheWholeImageChangeNothing) {
  TrainOptions options = tiny_.options("whole");
  run_training(options);
  options.name = "tiled";
  options.tile = 96;
  run_training(options);
  const Weights wanted = model::load_trained(tiny_.weights("whole", "last")).weights;
  for (const auto& [name, tensor] : model::load_trained(tiny_.weights("tiled", "last")).weights)
    EXPECT_TRUE(std::equal(tensor.bytes(), tensor.bytes() + tensor.byte_size(), wanted.at(name).bytes()))
        << name;
}

}  // namespace
}  // namespace marrow::train
