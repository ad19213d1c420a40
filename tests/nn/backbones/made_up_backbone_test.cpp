// sixth_backbone.cpp is all there is about "pebblenet"; here it goes through everything that the five do.
#include <gtest/gtest.h>

#include <algorithm>

#include "marrow/base/random.h"
#include "marrow/engine/engine.h"
#include "marrow/graph/passes/fold_batch_norm.h"
#include "marrow/graph/reference/executor.h"
#include "marrow/model/checkpoint.h"
#include "marrow/model/import.h"
#include "marrow/model/summary.h"
#include "marrow/model/zoo.h"
#include "marrow/weights/safetensors.h"
#include "nn/backbones/published_file.h"

namespace marrow::nn {
namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 1e-4;

Tensor picture(int size) {
  Tensor image({1, 3, size, size});
  Random random(7, "picture");
  for (float& value : image.values()) value = static_cast<float>(random.uniform(0, 1));
  return image;
}

fs::path temporary(const char* name) {
  return fs::path(::testing::TempDir()) / ("marrow_pebblenet_" + std::string(name) + ".safetensors");
}

void expect_engine_equals_reference(const model::Model& model, const Weights& weights, int size) {
  const Tensor image = picture(size);
  const Tensor expected =
      reference::run_reference(model.graph, weights, image, model.graph.outputs.at(0).name);
  engine::Engine engine(model.graph, weights, image.shape(), {}, {.threads = 1});
  engine.run(image);
  EXPECT_LE(relative_difference(engine.output(0), expected), kTolerance);
  const passes::GraphWithWeights folded = passes::fold_batch_norm({model.graph, weights});
  EXPECT_LE(relative_difference(
                reference::run_reference(folded.graph, folded.weights, image, model.graph.outputs.at(0).name),
                expected),
            kTolerance);
}

void expect_round_trip(const model::Model& model, const Weights& weights, const char* name) {
  const fs::path path = temporary(name);
  model::save_checkpoint(path, model, weights);
  const model::TrainedModel loaded = model::load_trained(path);
  const Tensor image = picture(64);
  const std::string output = model.graph.outputs.at(0).name;
  EXPECT_EQ(relative_difference(reference::run_reference(loaded.model.graph, loaded.weights, image, output),
                                reference::run_reference(model.graph, weights, image, output)),
            0);
  fs::remove(path);
}

TEST(MadeUpBackbone, IsListed) {
  for (const auto& names : {backbone_names(), model::zoo_names()})
    for (const char* name : {"pebblenet_s", "pebblenet_m"})
      EXPECT_EQ(std::ranges::count(names, name), 1) << name;
}

TEST(MadeUpBackbone, IsAClassifier) {
  const model::Model model = model::make_model("pebblenet_s", {}, {.classes = 5});
  EXPECT_EQ(model.task, "classify");
  EXPECT_GT(model::summarize(model, 64, 64).macs, 0);
  const Weights weights = randomize(model.graph, 1);
  expect_engine_equals_reference(model, weights, 64);
  expect_round_trip(model, weights, "classifier");
}

TEST(MadeUpBackbone, IsOneLineOfADetector) {
  const char* yaml = R"(
nc: 3
backbone:
  - [-1, 1, pebblenet, [{width: 8}]]
  - [-1, 1, SPPF, [64, 5]]
head:
  - [-1, 1, nn.Upsample, [None, 2, nearest]]
  - [[-1, 3], 1, Concat, [1]]
  - [-1, 1, C2f, [32]]
  - [[8, 5], 1, Detect, [nc]]
)";
  const model::Model model = model::build_model(model::parse_model_spec(yaml, "pebble.yaml"));
  EXPECT_EQ(model.task, "detect");
  EXPECT_EQ(model.strides, (std::vector<double>{16, 32}));
  const Weights weights = randomize(model.graph, 2);
  expect_engine_equals_reference(model, weights, 64);
  expect_round_trip(model, weights, "detector");
}

TEST(MadeUpBackbone, ReplacesTheBackboneOfAModel) {
  for (const model::Model& model : {model::make_model("yolov8n", "pebblenet_m", {.classes = 2}),
                                    model::make_model("yolov8n-p2-pebblenet_s", {}, {.classes = 2})}) {
    EXPECT_TRUE(model.layers.at(0).backbone);
    expect_engine_equals_reference(model, randomize(model.graph, 3), 64);
  }
}

TEST(MadeUpBackbone, IsBuiltUnitByUnit) {
  const char* yaml = R"(
nc: 3
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 2, PebbleBlock, []]
head:
  - [-1, 1, Classify, [nc]]
)";
  const model::Model model = model::build_model(model::parse_model_spec(yaml, "units.yaml"));
  expect_engine_equals_reference(model, randomize(model.graph, 4), 32);
}

TEST(MadeUpBackbone, IsImportedAsAClassifierAndIntoADetector) {
  const BackboneChoice choice = choose_backbone("pebblenet_m");
  const Weights ours = randomize(build_classifier(choice, 5), 6);
  Weights published;
  for (const auto& [name, tensor] : ours) published.emplace("stone." + name, tensor);
  const fs::path path = temporary("published");
  weights::write_safetensors(path, published, {});

  const model::Import import = model::import_checkpoint(path);
  EXPECT_EQ(import.backbone_share, 1);
  EXPECT_EQ(import.trained.model.classes(), 5);
  const Tensor image = picture(64);
  EXPECT_EQ(relative_difference(
                reference::run_reference(import.trained.model.graph, import.trained.weights, image, "logits"),
                reference::run_reference(build_classifier(choice, 5), ours, image, "logits")),
            0);
  EXPECT_EQ(model::import_checkpoint(path, {.model = "yolov8n-pebblenet_m"}).backbone_share, 1);
  fs::remove(path);
}

}  // namespace
}  // namespace marrow::nn
