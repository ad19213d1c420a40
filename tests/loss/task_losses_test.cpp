// The gradients of the losses of masks, points and turned boxes against finite differences in double, for an
// assignment that stands.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "marrow/base/error.h"
#include "marrow/loss/pose_loss.h"
#include "marrow/loss/segment_loss.h"
#include "marrow/loss/turned_loss.h"
#include "support/head_maps.h"

namespace marrow::loss {
namespace {

using testing::HeadMaps;
using testing::MapList;
using testing::MapSize;
using testing::rows_of;

constexpr int kTaskClasses = 3, kTaskBins = 6;
const std::vector<MapSize> kTaskSizes = {{6, 7}, {3, 4}};
const std::vector<int> kTaskStrides = {8, 16};

struct TaskScene {
  explicit TaskScene(int64_t extra_channels)
      : head(2, kTaskClasses, kTaskBins, kTaskSizes), gradients(2, kTaskClasses, kTaskBins, kTaskSizes) {
    fill_with_noise(head, 5);
    for (const MapSize& size : kTaskSizes) {
      extras.maps.emplace_back(2, extra_channels, size, 1);
      extra_gradients.maps.emplace_back(2, extra_channels, size, 1);
    }
    fill(extras, 6);
    head_views = head.views();
    gradient_views = gradients.mutable_views();
    extra_views = extras.views();
    extra_gradient_views = extra_gradients.mutable_views();
  }
  static void fill(MapList<double>& list, uint64_t seed) {
    Random random(seed, "extras");
    for (const testing::Map<double>& map : list.maps) map.for_each([&](double& x) { x = random.normal(); });
  }
  DetectionLossInput<double> input(const Tensor& targets) const {
    return {.maps = head_views, .targets = targets, .gradients = gradient_views, .loss_scale = 1.5};
  }

  HeadMaps<double> head, gradients;
  MapList<double> extras, extra_gradients;
  std::vector<LevelMaps<const double>> head_views;
  std::vector<LevelMaps<double>> gradient_views;
  std::vector<MapView<const double>> extra_views;
  std::vector<MapView<double>> extra_gradient_views;
};

template <class Terms>
double total(const Terms& terms) {
  return 1.5 * std::accumulate(terms.begin(), terms.end(), 0.0);
}

// `value`: the scaled loss at the maps as they are. The gradients were written before.
void expect_slopes(const testing::Map<double>& map, const testing::Map<double>& gradient,
                   const std::function<double()>& value, const std::string& what) {
  constexpr double kStep = 1e-6;
  std::vector<double> found;
  gradient.for_each([&](double slope) { found.push_back(slope); });
  size_t place = 0;
  map.for_each([&](double& x) {
    const double before = x;
    x = before + kStep;
    const double above = value();
    x = before - kStep;
    const double below = value();
    x = before;
    const double slope = found[place++];
    EXPECT_NEAR((above - below) / (2 * kStep), slope, 1e-6 + 1e-5 * std::abs(slope)) << what << " " << place;
  });
}

const Tensor kBoxes = rows_of(6, {0, 2, .5, .5, .6, .4,  //
                                  1, 0, .3, .6, .4, .4,  //
                                  0, 1, .55, .5, .3, .7});

Tensor noise_masks(const Shape& shape, int limit, DType dtype) {
  Tensor masks(shape, dtype);
  Random random(9, "masks");
  for (int64_t i = 0; i < masks.size(); ++i) {
    const auto number = static_cast<int>(random.uniform() * limit);
    if (dtype == DType::kUInt8)
      masks.values<uint8_t>()[static_cast<size_t>(i)] = static_cast<uint8_t>(number);
    else
      masks.values<int32_t>()[static_cast<size_t>(i)] = number;
  }
  return masks;
}

void check_segment(const Tensor& masks, bool overlapping) {
  const TaskScene scene(4);
  MapList<double> prototypes, prototype_gradients;
  prototypes.maps.emplace_back(2, 4, MapSize{12, 14}, 1);
  prototype_gradients.maps.emplace_back(2, 4, MapSize{12, 14}, 1);
  TaskScene::fill(prototypes, 7);
  SegmentLossInput<double> input = {.detection = scene.input(kBoxes),
                                    .coefficients = scene.extra_views,
                                    .prototypes = prototypes.views()[0],
                                    .masks = masks,
                                    .overlapping = overlapping,
                                    .coefficient_gradients = scene.extra_gradient_views,
                                    .prototype_gradient = prototype_gradients.mutable_views()[0]};
  const SegmentLoss loss(kTaskClasses, kTaskBins, kTaskStrides);
  const DetectionAssignment assignment = loss.assign(input);
  ASSERT_GT(assignment.foreground(), 3);
  loss.terms(input, assignment);
  input.detection.gradients = {};
  input.coefficient_gradients = {};
  input.prototype_gradient = {};
  const auto value = [&] { return total(loss.terms(input, assignment)); };
  for (size_t l = 0; l < kTaskSizes.size(); ++l)
    expect_slopes(scene.extras.maps[l], scene.extra_gradients.maps[l], value, "coefficients");
  expect_slopes(prototypes.maps[0], prototype_gradients.maps[0], value, "prototypes");
}

TEST(SegmentLoss, GradientsAreSlopes) {
  check_segment(noise_masks({2, 12, 14}, 3, DType::kUInt8), true);
}
TEST(SegmentLoss, GradientsAreSlopesThroughAResizing) {
  check_segment(noise_masks({2, 24, 28}, 3, DType::kInt32), true);
  check_segment(noise_masks({3, 7, 9}, 2, DType::kUInt8), false);
}

// Such an object is looked for all the same where small sides are made longer, and picks by place alone.
TEST(SegmentLoss, IsFiniteWhereABoxHasNoArea) {
  const TaskScene scene(4);
  MapList<double> prototypes, prototype_gradients;
  prototypes.maps.emplace_back(2, 4, MapSize{12, 14}, 1);
  prototype_gradients.maps.emplace_back(2, 4, MapSize{12, 14}, 1);
  TaskScene::fill(prototypes, 7);
  const SegmentLoss loss(kTaskClasses, kTaskBins, kTaskStrides, {.rules = Rules::k84});
  int64_t foreground = 0;
  for (const float y : {.1f, .3f, .5f, .7f}) {
    const Tensor targets = rows_of(6, {0, 2, .1f, y, 0, .4f});
    const SegmentLossInput<double> input = {.detection = scene.input(targets),
                                            .coefficients = scene.extra_views,
                                            .prototypes = prototypes.views()[0],
                                            .masks = noise_masks({2, 12, 14}, 2, DType::kUInt8),
                                            .coefficient_gradients = scene.extra_gradient_views,
                                            .prototype_gradient = prototype_gradients.mutable_views()[0]};
    const DetectionAssignment assignment = loss.assign(input);
    foreground += assignment.foreground();
    for (const double term : loss.terms(input, assignment)) EXPECT_TRUE(std::isfinite(term));
  }
  EXPECT_GT(foreground, 0);
}

void check_pose(int numbers) {
  const TaskScene scene(int64_t{3} * numbers);
  const Tensor keypoints =
      rows_of(9, {.5,   .5, 2, .6f, .4f, 1, .2f, .2f, 0, .3f, .6f, 0, .3f, .5, 0, .25, .6f, 0,  //
                  .55f, .5, 1, .5,  .7f, 2, .6f, .3f, 2})
          .reshape({3, 3, 3});
  PoseLossInput<double> input = {.detection = scene.input(kBoxes),
                                 .points = scene.extra_views,
                                 .keypoints = keypoints,
                                 .point_gradients = scene.extra_gradient_views};
  const PoseLoss loss(kTaskClasses, kTaskBins, kTaskStrides,
                      {.points = 3, .numbers = numbers, .sigmas = {.1, .3, .5}});
  const DetectionAssignment assignment = loss.assign(input);
  ASSERT_GT(assignment.foreground(), 3);
  const PoseTerms terms = loss.terms(input, assignment);
  EXPECT_GT(terms[1], 0);
  EXPECT_EQ(terms[2] > 0, numbers == 3);
  input.detection.gradients = {};
  input.point_gradients = {};
  for (size_t l = 0; l < kTaskSizes.size(); ++l)
    expect_slopes(
        scene.extras.maps[l], scene.extra_gradients.maps[l],
        [&] { return total(loss.terms(input, assignment)); }, "points");
}

TEST(PoseLoss, GradientsAreSlopes) {
  check_pose(3);
  check_pose(2);
}

TEST(PoseLoss, SigmasFitThePoints) {
  EXPECT_EQ(keypoint_sigmas(17, 3).at(16), .089);
  EXPECT_EQ(keypoint_sigmas(17, 2).at(16), 1.0 / 17);
  EXPECT_THROW(PoseLoss(1, kTaskBins, kTaskStrides, {.points = 3, .sigmas = {1, 2}}), Error);
}

TEST(TurnedLoss, GradientsAreSlopes) {
  const Tensor targets = rows_of(7, {0, 2, .5,  .5, .6,   .4, .3f,   //
                                     1, 0, .3,  .6, .4,   .4, -.2f,  //
                                     0, 1, .55, .5, .3,   .7, 1.9f,  //
                                     1, 1, .5,  .5, .01f, .5, .1f});
  const TaskScene scene(1);
  TurnedLossInput<double> input = {.detection = scene.input(targets),
                                   .angles = scene.extra_views,
                                   .angle_gradients = scene.extra_gradient_views};
  const TurnedLoss loss(kTaskClasses, kTaskBins, kTaskStrides, {.angle_gain = 2});
  const DetectionAssignment assignment = loss.assign(input);
  EXPECT_EQ(assignment.objects.size(), 3);  // one is too narrow
  ASSERT_GT(assignment.foreground(), 3);
  loss.terms(input, assignment);
  input.detection.gradients = {};
  input.angle_gradients = {};
  const auto value = [&] { return total(loss.terms(input, assignment)); };
  for (size_t l = 0; l < kTaskSizes.size(); ++l) {
    expect_slopes(scene.extras.maps[l], scene.extra_gradients.maps[l], value, "angles");
    expect_slopes(scene.head.levels()[l].sides, scene.gradients.levels()[l].sides, value, "sides");
    expect_slopes(scene.head.levels()[l].classes, scene.gradients.levels()[l].classes, value, "classes");
  }
}

TEST(SegmentLoss, RefusesMasksThatDoNotFit) {
  const TaskScene scene(4);
  MapList<double> prototypes;
  prototypes.maps.emplace_back(2, 4, MapSize{12, 14}, 1);
  SegmentLossInput<double> input = {.detection = scene.input(kBoxes),
                                    .coefficients = scene.extra_views,
                                    .prototypes = prototypes.views()[0],
                                    .masks = Tensor({3, 12, 14}, DType::kUInt8)};
  input.detection.gradients = {};
  const SegmentLoss loss(kTaskClasses, kTaskBins, kTaskStrides);
  EXPECT_THROW(loss(input), Error);
  input.overlapping = false;
  input.masks = Tensor({2, 12, 14}, DType::kUInt8);
  EXPECT_THROW(loss(input), Error);
}

}  // namespace
}  // namespace marrow::loss
