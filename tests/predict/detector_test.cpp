#include "marrow/predict/detector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>

#include "marrow/base/error.h"
#include "marrow/graph/builder.h"
#include "marrow/graph/passes/pass.h"
#include "marrow/graph/reference/executor.h"
#include "marrow/image/network_input.h"
#include "marrow/image/scene.h"
#include "marrow/model/zoo.h"
#include "support/scene_weights.h"

namespace marrow::predict {
namespace {

// Random, but tame: its statistics are those of a drawn scene, and its last layers are small enough that
// scores do not saturate, where rounding would choose among equals.
const passes::GraphWithWeights& network() {
  static const passes::GraphWithWeights made = [] {
    passes::GraphWithWeights n{model::make_model("yolov8n", {}, {.classes = 3}).graph, {}};
    n.weights = testing::scene_weights(n.graph, 2);
    constexpr float kShrink = 0.1f;
    for (auto& [name, tensor] : n.weights) {
      if (!name.starts_with("model.22.cv") || !name.ends_with(".2.weight")) continue;
      for (float& value : tensor.values()) value *= kShrink;
    }
    return n;
  }();
  return made;
}

DetectorOptions options(Size size, bool rect) {
  DetectorOptions o;
  o.size = size;
  o.rect = rect;
  o.engine.threads = 2;
  o.nms.confidence = 0.3f;
  o.nms.iou = 0.5f;
  o.nms.max_detections = 50;
  return o;
}

// The chain of functions that the detector stands for, with the reference executor in place of the engine.
std::vector<detect::Detection> by_hand(const image::Image& image, const Letterbox& geometry,
                                       const detect::NmsOptions& nms) {
  const Size picture = {image.width(), image.height()};
  Tensor input({1, 3, geometry.out.height, geometry.out.width});
  image::fill_network_input(image::letterbox(image, geometry).pixels(), input_format(network().graph),
                            input.values().data());
  const Tensor prediction = reference::run_reference(network().graph, network().weights, input, "output0");
  std::vector<detect::Detection> found;
  for (const detect::InputDetection& one :
       detect::non_max_suppression(prediction.values().data(), 3, prediction.dim(2), nms))
    found.push_back(
        detect::with_box(one, to_image(one.box, assumed_ratio_pad(geometry.out, picture), picture)));
  return found;
}

void expect_near(const std::vector<detect::Detection>& found, const std::vector<detect::Detection>& expected,
                 double pixel) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].class_id, expected[i].class_id);
    EXPECT_NEAR(found[i].confidence, expected[i].confidence, 1e-3);
    for (size_t side = 0; side < 4; ++side)
      EXPECT_NEAR(found[i].box.corners()[side], expected[i].box.corners()[side], 0.05 * pixel);
  }
}

TEST(Detector, SeesAsManySideBySideAsShareItsThreads) {
  for (const auto& [threads, most] : {std::pair<int, size_t>{1, 1}, {2, 2}, {4, 4}, {5, 1}, {6, 3}, {8, 4}}) {
    DetectorOptions wanted = options({96, 96}, true);
    wanted.engine.threads = threads;
    EXPECT_EQ(Detector(network().graph, network().weights, wanted).most_at_once(), most) << threads;
  }
}

TEST(Detector, SeesSeveralImagesAsItSeesEachAndInOrder) {
  DetectorOptions wanted = options({96, 96}, true);
  wanted.engine.threads = 3;
  Detector detector(network().graph, network().weights, wanted);
  EXPECT_EQ(detector.most_at_once(), 3u);
  std::vector<image::Image> images;
  for (uint64_t seed = 1; seed <= 9; ++seed) images.push_back(image::draw_scene(150, 90, seed));
  images.push_back(image::draw_scene(90, 150, 10));  // of another size
  for (uint64_t seed = 11; seed <= 15; ++seed) images.push_back(image::draw_scene(120, 90, seed));
  for (const size_t count : {0, 1, 2, 4, 9, 10, 15}) {
    size_t given = 0;
    std::vector<DetectionResult> found;
    // Nobody has an image any longer than until it was taken.
    std::vector<std::unique_ptr<image::Image>> held(count);
    detector.detect_each(
        [&]() -> const image::Image* {
          if (given == count) return nullptr;
          held[given] = std::make_unique<image::Image>(image::copy_image(images[given].pixels()));
          return held[given++].get();
        },
        [&](DetectionResult result) {
          held[found.size()].reset();
          found.push_back(std::move(result));
        });
    ASSERT_EQ(found.size(), count);
    for (size_t i = 0; i < count; ++i) {
      const DetectionResult alone = detector.detect(images[i]);
      EXPECT_GT(alone.detections.size(), 3u) << "the comparison would say nothing";
      EXPECT_EQ(found[i].network, alone.network);
      expect_near(found[i].detections, alone.detections, 0);
    }
  }
}

TEST(Detector, HandsOnWhatImagesAndTheirTakersThrow) {
  DetectorOptions wanted = options({96, 96}, true);
  wanted.engine.threads = 2;
  Detector detector(network().graph, network().weights, wanted);
  const image::Image image = image::draw_scene(150, 90, 1);
  size_t given = 0, taken = 0;
  const auto throw_at = [](size_t number, size_t wrong) {
    if (number == wrong) throw std::runtime_error("at " + std::to_string(wrong));
  };
  for (const size_t wrong : {1, 2, 3, 7}) {
    given = taken = 0;
    EXPECT_THROW(detector.detect_each(
                     [&] {
                       throw_at(++given, wrong);
                       return &image;
                     },
                     [&](DetectionResult) { ++taken; }),
                 std::runtime_error);
    EXPECT_LT(taken, wrong);
    given = taken = 0;
    EXPECT_THROW(
        detector.detect_each([&] { return &image; }, [&](DetectionResult) { throw_at(++taken, wrong); }),
        std::runtime_error);
    EXPECT_EQ(taken, wrong) << "nothing is taken after what failed";
  }
}

TEST(Detector, EqualsTheChainDoneByHand) {
  const image::Image image = image::draw_scene(150, 90, 1);
  for (const bool rect : {true, false}) {
    SCOPED_TRACE(rect ? "rectangular" : "square");
    Detector detector(network().graph, network().weights, options({96, 96}, rect));
    const DetectionResult result = detector.detect(image);
    EXPECT_EQ(result.network, (rect ? Size{96, 64} : Size{96, 96}));
    EXPECT_EQ(detector.network_size({150, 90}), result.network);
    LetterboxOptions how;
    how.minimum_rectangle = rect;
    const Letterbox geometry = letterbox_geometry({150, 90}, {96, 96}, how);
    const auto expected = by_hand(image, geometry, options({96, 96}, rect).nms);
    ASSERT_GT(expected.size(), 3u) << "the comparison would say nothing";
    ASSERT_LT(expected.size(), 50u);
    expect_near(result.detections, expected, 150.0 / 96);
  }
}

TEST(Detector, RoundsItsSizeUpToTheStride) {
  Detector detector(network().graph, network().weights, options({33, 65}, false));
  EXPECT_EQ(detector.network_size({1000, 10}), (Size{64, 96}));
  EXPECT_EQ(detector.largest_stride(), 32);
  EXPECT_EQ(detector.classes(), 3);
}

// Boxes always lie in the image, whatever its shape.
TEST(Detector, TakesImagesOfAnySize) {
  const std::vector<Size> sizes = {{1, 1}, {2, 3}, {4000, 20}, {20, 4000}, {1, 3000}, {6000, 5000}};
  for (const bool rect : {true, false}) {
    DetectorOptions o = options({64, 64}, rect);
    o.nms.confidence = 0;
    Detector detector(network().graph, network().weights, o);
    size_t found = 0;
    for (const Size size : sizes) {
      SCOPED_TRACE(::testing::Message() << size.width << " x " << size.height);
      const DetectionResult result = detector.detect(image::Image(size.width, size.height, 200));
      EXPECT_GE(std::min(result.network.width, result.network.height), 32);
      EXPECT_EQ(std::max(result.network.width, result.network.height), 64);
      found += result.detections.size();
      for (const detect::Detection& detection : result.detections)
        for (size_t side = 0; side < 4; ++side) {
          EXPECT_GE(detection.box.corners()[side], 0);
          EXPECT_LE(detection.box.corners()[side],
                    static_cast<float>(side % 2 == 0 ? size.width : size.height));
        }
    }
    EXPECT_GT(found, 0u);
  }
}

// More sizes than it keeps engines for, twice over: the answers stay the same.
TEST(Detector, AnswersTheSameAcrossSizes) {
  Detector detector(network().graph, network().weights, options({128, 128}, true));
  std::vector<image::Image> images;
  for (const Size size : {Size{128, 128}, {128, 90}, {128, 60}, {128, 30}, {90, 128}, {60, 128}, {30, 128}})
    images.push_back(image::draw_scene(size.width, size.height, 3));
  std::vector<std::vector<detect::Detection>> first;
  for (const image::Image& image : images) first.push_back(detector.detect(image).detections);
  for (const auto& detections : first) EXPECT_FALSE(detections.empty());
  for (size_t round = 0; round < 2; ++round)
    for (size_t i = images.size(); i-- > 0;) {
      const auto again = detector.detect(images[i]).detections;
      ASSERT_EQ(again.size(), first[i].size());
      for (size_t k = 0; k < again.size(); ++k) EXPECT_EQ(again[k].box, first[i][k].box);
    }
}

TEST(Detector, SurvivesWeightsThatAreNoNumbers) {
  Weights weights = network().weights;
  Tensor broken = weights.at("model.22.cv2.0.2.bias").clone();
  std::ranges::fill(broken.values(), std::numeric_limits<float>::quiet_NaN());
  weights["model.22.cv2.0.2.bias"] = broken;
  weights["model.22.cv3.1.2.bias"] =
      Tensor::from({3}, std::vector<float>(3, std::numeric_limits<float>::infinity()));
  Detector detector(network().graph, weights, options({64, 64}, true));
  const auto detections = detector.detect(image::draw_scene(64, 64, 1)).detections;
  EXPECT_FALSE(detections.empty());
  for (const detect::Detection& detection : detections)
    for (const float side : detection.box.corners()) EXPECT_TRUE(std::isfinite(side));
}

TEST(Detector, RefusesWhatItCannotRun) {
  const model::Model classifier = model::make_model("yolov8n-cls");
  EXPECT_THROW(Detector(classifier.graph, initialize(classifier.graph, 0), {}), Error);
  EXPECT_THROW(Detector(network().graph, {}, {}), Error);
  Detector detector(network().graph, network().weights, options({64, 64}, true));
  EXPECT_THROW(detector.detect(image::Image()), Error);
}

// A file may say anything of its graph; masks are sums over as many prototypes as there are coefficients.
Graph segmenting(int coefficients, int prototypes, bool pooled) {
  GraphBuilder g;
  const Value x = g.conv(g.input(3), "trunk", {.out = 8, .stride = 32});
  const std::vector<Value> maps = {g.conv(x, "boxes", {.out = 4 + 2})};
  const std::vector<Value> extras = {g.conv(x, "coefficients", {.out = coefficients})};
  g.output(kDecodedOutput, g.detect_decode(maps, "bins", 2, 1, DetectExtra::kCoefficients, extras));
  const Value made = g.conv(x, "prototypes", {.out = prototypes});
  g.output(kPrototypesOutput, pooled ? g.global_average_pool(made) : made);
  return std::move(g).build();
}

TEST(Detector, RefusesPrototypesThatAreNotOneACoefficient) {
  EXPECT_EQ(detection_outputs(segmenting(4, 4, false), true).size(), 2);
  EXPECT_THROW(detection_outputs(segmenting(4, 5, false), true), Error);
  EXPECT_THROW(detection_outputs(segmenting(4, 3, false), true), Error);
  EXPECT_THROW(detection_outputs(segmenting(4, 4, true), true), Error);
}

}  // namespace
}  // namespace marrow::predict
