#include "marrow/loss/detection_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "marrow/base/error.h"
#include "support/head_maps.h"

namespace marrow::loss {
namespace {

using testing::fill_with_noise;
using testing::HeadMaps;
using testing::rows_of;

constexpr int kClasses = 5;

struct Case {
  std::string name;
  std::vector<testing::MapSize> sizes;
  int reg_max = 16;
  Tensor targets;
  DetectionLossOptions options = {};
  Tensor ignored = {};
  std::vector<int> strides = {8, 16, 32};
};

// Two images each.
const std::vector<Case>& cases() {
  const std::vector<testing::MapSize> pyramid = {{6, 7}, {3, 4}, {2, 2}}, pixels = {{1, 1}, {1, 1}, {1, 1}};
  const Tensor crowd = rows_of(6, {0, 2, .5,  .5, .6, .4,  //
                                   1, 0, .3,  .6, .4, .4,  //
                                   0, 1, .55, .5, .3, .7,  //
                                   0, 1, .52, .5, .3, .6,  //
                                   1, 4, .3,  .6, .5, .6});
  const Tensor first_only = rows_of(6, {0, 3, .5, .5, .9, .9, 0, 0, .2, .2, .1, .2});
  const Tensor outside = rows_of(6, {0, 3, 1.4f, .5, .2, .2, 1, 2, 1, 1, .5, .5, 1, 0, 0, 0, 0, 0});
  const Tensor tiny = rows_of(6, {0, 3, .43f, .5, .1f, .1f, 1, 2, .6, .4, .05f, .2});
  const Tensor regions = rows_of(5, {0, .5, .5, .5, .4, 1, .78f, .2, .4, .4});
  const std::vector<double> weights = {0.5, 1, 2, 0.25, 1.25};
  static const std::vector<Case> cases = {
      {"crowd", pyramid, 16, crowd},
      {"no objects", pyramid, 16, Tensor({0, 6})},
      {"one image empty", pyramid, 16, first_only},
      {"objects outside", pyramid, 16, outside},
      {"one pixel", pixels, 16, first_only},
      {"two bins", pyramid, 2, crowd},
      {"distances", pyramid, 1, crowd},
      {"distances of one pixel", pixels, 1, first_only},
      {"class weights", pyramid, 7, crowd, {.class_weights = weights}},
      {"regions", pyramid, 16, crowd, {.box_gain = 2, .class_gain = 3, .dfl_gain = 5}, regions},
      {"regions and class weights", pyramid, 16, crowd, {.class_weights = weights}, regions},
      {"rules of 8.4", pyramid, 16, tiny, {.rules = Rules::k84}},
      {"one anchor an object", pyramid, 4, crowd, {.assigner = {.top_k = 7, .top_k_after = 1}}},
      {"one level", {{5, 3}}, 16, crowd, {}, {}, {16}},
  };
  return cases;
}

DetectionLoss loss_of(const Case& test) {
  return {kClasses, test.reg_max, test.strides, test.options};
}

template <class T>
HeadMaps<T> maps_of(const Case& test, int64_t lanes = 1) {
  return {2, kClasses, test.reg_max, test.sizes, lanes};
}

template <class T>
HeadMaps<T> noise_of(const Case& test, int64_t lanes = 1) {
  HeadMaps<T> maps = maps_of<T>(test, lanes);
  fill_with_noise(maps, 3);
  return maps;
}

// What one call gives.
template <class T>
struct Result {
  DetectionTerms terms;
  std::vector<T> gradients;
};

template <class T>
Result<T> run(const Case& test, const HeadMaps<T>& maps, const HeadMaps<T>& gradients, double loss_scale = 1,
              cpu::ThreadPool* pool = nullptr) {
  const auto views = maps.views();
  const auto gradient_views = gradients.mutable_views();
  const DetectionTerms terms = loss_of(test)(DetectionLossInput<T>{.maps = views,
                                                                   .targets = test.targets,
                                                                   .ignored = test.ignored,
                                                                   .gradients = gradient_views,
                                                                   .loss_scale = loss_scale,
                                                                   .pool = pool});
  return {terms, gradients.values()};
}

// The loss as its definition reads, anchor by anchor, for an assignment that stands.
class Definition {
 public:
  Definition(const Case& test, const HeadMaps<double>& maps, const DetectionAssignment& assignment)
      : test_(test), maps_(maps), assignment_(assignment) {}

  // Numbers of anchors: image by image, level by level.
  struct Place {
    int64_t image = 0;
    size_t level = 0;
    int64_t cell = 0;
  };
  std::vector<Place> places() const {
    std::vector<Place> places;
    for (int64_t image = 0; image < 2; ++image)
      for (size_t level = 0; level < test_.sizes.size(); ++level)
        for (int64_t cell = 0; cell < test_.sizes[level].height * test_.sizes[level].width; ++cell)
          places.push_back({image, level, cell});
    return places;
  }

  // What one anchor adds. `alpha` of its complete IoU's aspect term; below 0: what it is.
  DetectionTerms terms_of(const Place& place, double alpha = -1) const {
    const AssignedAnchor* const assigned = assigned_to(place);
    const testing::Map<double>& classes = maps_.levels()[place.level].classes;
    DetectionTerms terms = {};
    const bool ignored = assigned == nullptr && in_a_region(place);
    const int64_t label =
        assigned == nullptr ? -1 : assignment_.objects.labels[static_cast<size_t>(assigned->object)];
    for (int64_t c = 0; c < kClasses && !ignored; ++c) {
      const double p = 1 / (1 + std::exp(-classes.at(place.image, c, place.cell)));
      const double t = c == label ? assigned->weight : 0;
      const std::vector<double>& weights = test_.options.class_weights;
      terms[1] -= (weights.empty() ? 1 : weights[static_cast<size_t>(c)]) *
                  (t * std::log(p) + (1 - t) * std::log(1 - p));
    }
    if (assigned != nullptr) {
      const std::array<double, 4> found = distances(place);
      const MeasuredBox target = target_of(place, *assigned), box = box_of(place, found);
      const double turn = box.angle - target.angle, aspect = 4 / (M_PI * M_PI) * turn * turn;
      const double change = alpha < 0 ? 0 : (alpha - alpha_of(place)) * aspect;
      terms[0] = assigned->weight * (1 - complete_iou(box, target) + change);
      terms[2] = assigned->weight * third(place, found, target);
    }
    const std::array<double, 3> gains = {test_.options.box_gain, test_.options.class_gain,
                                         test_.options.dfl_gain};
    for (size_t i = 0; i < 3; ++i) terms[i] *= gains[i] * 2 / assignment_.total();
    return terms;
  }

  // aspect / (aspect - IoU + 1), as complete_iou() has it; 0 on the background.
  double alpha_of(const Place& place) const {
    const AssignedAnchor* const assigned = assigned_to(place);
    if (assigned == nullptr) return 0;
    const MeasuredBox a = box_of(place, distances(place)), b = target_of(place, *assigned);
    const double shared = std::max(std::min(a.x2, b.x2) - std::max(a.x1, b.x1), 0.0) *
                          std::max(std::min(a.y2, b.y2) - std::max(a.y1, b.y1), 0.0);
    const double iou = shared / (a.width * a.height + b.width * b.height - shared + 1e-7);
    const double aspect = 4 / (M_PI * M_PI) * (a.angle - b.angle) * (a.angle - b.angle);
    return aspect / (aspect - iou + (1 + 1e-7));
  }

 private:
  const AssignedAnchor* assigned_to(const Place& place) const {
    int64_t anchor = place.cell;
    for (size_t level = 0; level < place.level; ++level)
      anchor += test_.sizes[level].height * test_.sizes[level].width;
    for (const AssignedAnchor& assigned : assignment_.images[static_cast<size_t>(place.image)].foreground)
      if (assigned.anchor == anchor) return &assigned;
    return nullptr;
  }
  double stride(const Place& place) const { return test_.strides[place.level]; }
  double x(const Place& place) const {
    return static_cast<double>(place.cell % test_.sizes[place.level].width) + 0.5;
  }
  double y(const Place& place) const {
    return static_cast<double>(place.cell / test_.sizes[place.level].width) + 0.5;
  }
  double width() const { return static_cast<double>(test_.sizes[0].width) * test_.strides[0]; }
  double height() const { return static_cast<double>(test_.sizes[0].height) * test_.strides[0]; }

  bool in_a_region(const Place& place) const {
    if (!test_.ignored.defined()) return false;
    for (int64_t r = 0; r < test_.ignored.dim(0); ++r) {
      const float* region = test_.ignored.values().data() + 5 * r;
      if (region[0] == static_cast<float>(place.image) &&
          std::abs(x(place) * stride(place) - region[1] * width()) < region[3] * width() / 2 &&
          std::abs(y(place) * stride(place) - region[2] * height()) < region[4] * height() / 2)
        return true;
    }
    return false;
  }
  double logit(const Place& place, size_t side, int bin) const {
    return maps_.levels()[place.level].sides.at(place.image, static_cast<int64_t>(side) * test_.reg_max + bin,
                                                place.cell);
  }
  double log_total(const Place& place, size_t side) const {
    double total = 0;
    for (int bin = 0; bin < test_.reg_max; ++bin) total += std::exp(logit(place, side, bin));
    return std::log(total);
  }
  std::array<double, 4> distances(const Place& place) const {
    std::array<double, 4> found = {};
    for (size_t side = 0; side < 4; ++side)
      for (int bin = 0; bin < test_.reg_max; ++bin)
        found[side] += test_.reg_max == 1 ? logit(place, side, 0)
                                          : bin * std::exp(logit(place, side, bin) - log_total(place, side));
    return found;
  }
  MeasuredBox box_of(const Place& place, const std::array<double, 4>& d) const {
    return {x(place) - d[0], y(place) - d[1], x(place) + d[2], y(place) + d[3]};
  }
  MeasuredBox target_of(const Place& place, const AssignedAnchor& assigned) const {
    const BoxXyxy& box = assignment_.objects.boxes[static_cast<size_t>(assigned.object)];
    return {box[0] / stride(place), box[1] / stride(place), box[2] / stride(place), box[3] / stride(place)};
  }
  double third(const Place& place, const std::array<double, 4>& found, const MeasuredBox& target) const {
    const std::array<double, 4> wanted = {x(place) - target.x1, y(place) - target.y1, target.x2 - x(place),
                                          target.y2 - y(place)};
    double sum = 0;
    for (size_t side = 0; side < 4; ++side) {
      if (test_.reg_max == 1) {
        sum += std::abs(found[side] - wanted[side]) * stride(place) / (side % 2 == 0 ? width() : height());
        continue;
      }
      const double t = std::clamp(wanted[side], 0.0, test_.reg_max - 1.01);
      const int left = static_cast<int>(t);
      sum += log_total(place, side) - (left + 1 - t) * logit(place, side, left) -
             (t - left) * logit(place, side, left + 1);
    }
    return sum / 4;
  }

  const Case& test_;
  const HeadMaps<double>& maps_;
  const DetectionAssignment& assignment_;
};

double sum_of(const DetectionTerms& terms) {
  return terms[0] + terms[1] + terms[2];
}

TEST(DetectionLoss, MatchesItsDefinitionAndItsGradientFiniteDifferences) {
  for (const Case& test : cases()) {
    SCOPED_TRACE(test.name);
    const HeadMaps<double> maps = noise_of<double>(test), gradients = maps_of<double>(test);
    const double loss_scale = 4;
    const DetectionTerms found = run(test, maps, gradients, loss_scale).terms;
    const auto views = maps.views();
    const DetectionAssignment assignment =
        loss_of(test).assign(DetectionLossInput<double>{.maps = views, .targets = test.targets});
    const Definition definition(test, maps, assignment);
    DetectionTerms wanted = {};
    for (const Definition::Place& place : definition.places()) {
      const DetectionTerms terms = definition.terms_of(place);
      for (size_t i = 0; i < 3; ++i) wanted[i] += terms[i];

      const double alpha = definition.alpha_of(place);
      const testing::Level<double>& level = maps.levels()[place.level];
      const testing::Level<double>& gradient = gradients.levels()[place.level];
      for (const auto& [map, its_gradient] :
           {std::pair{&level.sides, &gradient.sides}, {&level.classes, &gradient.classes}})
        for (int64_t c = 0; c < map->view.channels; ++c) {
          double& value = map->at(place.image, c, place.cell);
          const double before = value;
          const auto moved = [&](double by) {
            value = before + by;
            const double sum = sum_of(definition.terms_of(place, alpha));
            value = before;
            return sum;
          };
          const double slope = loss_scale * (moved(1e-5) - moved(-1e-5)) / 2e-5;
          ASSERT_NEAR(its_gradient->at(place.image, c, place.cell), slope, 1e-7 + 1e-6 * std::abs(slope))
              << "image " << place.image << ", level " << place.level << ", cell " << place.cell
              << ", channel " << c << (map == &level.sides ? " of the sides" : " of the classes");
        }
    }
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(found[i], wanted[i], 1e-11 * (1 + std::abs(wanted[i]))) << i;
  }
}

// So that the cases are what they are called.
TEST(DetectionLoss, TheCasesHaveForegroundWhereTheyShould) {
  for (const Case& test : cases()) {
    SCOPED_TRACE(test.name);
    const HeadMaps<double> maps = noise_of<double>(test);
    const auto views = maps.views();
    const DetectionAssignment assignment =
        loss_of(test).assign(DetectionLossInput<double>{.maps = views, .targets = test.targets});
    const bool none = test.name == "no objects" || test.name == "objects outside";
    EXPECT_EQ(assignment.images[0].foreground.empty(), none);
    EXPECT_GE(assignment.total(), 1);
    if (test.name == "crowd") {
      EXPECT_GT(assignment.images[0].foreground.size(), 10u);
      EXPECT_FALSE(assignment.images[1].foreground.empty());
      EXPECT_GT(assignment.total(), 3);
    }
  }
}

// Each has its own rounding: the float maps are those in double, rounded.
TEST(DetectionLoss, InFloatIsAsInDouble) {
  for (const Case& test : cases()) {
    SCOPED_TRACE(test.name);
    const HeadMaps<float> maps = noise_of<float>(test), gradients = maps_of<float>(test);
    const HeadMaps<double> wide = maps_of<double>(test), wide_gradients = maps_of<double>(test);
    const std::vector<float> values = maps.values();
    size_t next = 0;
    wide.for_each([&](double& value) { value = values[next++]; });
    const Result<float> found = run(test, maps, gradients);
    const Result<double> wanted = run(test, wide, wide_gradients);
    for (size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(found.terms[i], wanted.terms[i], 1e-6 * std::abs(wanted.terms[i])) << i;
    double off = 0, norm = 0;
    for (size_t i = 0; i < found.gradients.size(); ++i) {
      off += std::pow(found.gradients[i] - wanted.gradients[i], 2);
      norm += std::pow(wanted.gradients[i], 2);
    }
    EXPECT_LT(std::sqrt(off), 1e-6 * std::sqrt(norm));
  }
}

template <class T>
void expect_same_numbers_in_blocks(int64_t lanes) {
  for (const Case& test : cases()) {
    SCOPED_TRACE(test.name + " in blocks of " + std::to_string(lanes));
    const HeadMaps<T> flat = noise_of<T>(test), flat_gradients = maps_of<T>(test);
    const HeadMaps<T> blocked = noise_of<T>(test, lanes), gradients = maps_of<T>(test, lanes);
    ASSERT_EQ(flat.values(), blocked.values());
    const Result<T> wanted = run(test, flat, flat_gradients), found = run(test, blocked, gradients);
    for (size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(found.terms[i], wanted.terms[i], 1e-6 * std::abs(wanted.terms[i])) << i;
    EXPECT_EQ(found.gradients, wanted.gradients);
    // Spare lanes still hold what they held.
    for (const testing::Level<T>& level : gradients.levels())
      for (const testing::Map<T>* map : {&level.sides, &level.classes})
        EXPECT_EQ(std::ranges::count_if(map->numbers, [](T v) { return std::isnan(v); }),
                  std::ssize(map->numbers) - map->view.images * map->view.channels * map->view.pixels());
  }
}

TEST(DetectionLoss, GradientsDoNotDependOnTheLayout) {
  for (const int64_t lanes : {4, 8, 16, 100}) expect_same_numbers_in_blocks<float>(lanes);
  expect_same_numbers_in_blocks<double>(8);
}

// Sides and logits in one buffer, as a head's concatenation has them.
TEST(DetectionLoss, TakesBothPartsOfOneBuffer) {
  const Case& test = cases()[0];
  const HeadMaps<float> parts = noise_of<float>(test, 8), part_gradients = maps_of<float>(test, 8);
  const Result<float> wanted = run(test, parts, part_gradients);
  std::vector<testing::Map<float>> joined, gradients;
  std::vector<LevelMaps<const float>> views;
  std::vector<LevelMaps<float>> gradient_views;
  for (const testing::MapSize& size : test.sizes) {
    joined.emplace_back(2, 64 + kClasses, size, 8);
    gradients.emplace_back(2, 64 + kClasses, size, 8);
    const MapView<float>& map = joined.back().view;
    const MapView<float>& gradient = gradients.back().view;
    const testing::Level<float>& level = parts.levels()[joined.size() - 1];
    for (int64_t image = 0; image < 2; ++image)
      for (int64_t c = 0; c < 64 + kClasses; ++c)
        for (int64_t pixel = 0; pixel < map.pixels(); ++pixel)
          joined.back().at(image, c, pixel) =
              c < 64 ? level.sides.at(image, c, pixel) : level.classes.at(image, c - 64, pixel);
    const auto part = [&](auto data, const MapView<float>& of, int64_t channels) {
      using Number = std::remove_pointer_t<decltype(data)>;
      return MapView<Number>{data, 2, channels, of.height, of.width, of.lanes, of.image_step};
    };
    const float *const sides = map.channel(0, 0), *const classes = map.channel(0, 64);
    views.push_back({part(sides, map, 64), part(classes, map, kClasses)});
    gradient_views.push_back(
        {part(gradient.channel(0, 0), gradient, 64), part(gradient.channel(0, 64), gradient, kClasses)});
  }
  const DetectionTerms found = loss_of(test)(
      DetectionLossInput<float>{.maps = views, .targets = test.targets, .gradients = gradient_views});
  EXPECT_EQ(found, wanted.terms);
  size_t next = 0;
  for (const testing::Map<float>& gradient : gradients) {
    std::vector<float> sides, classes;
    for (int64_t image = 0; image < 2; ++image)
      for (int64_t c = 0; c < 64 + kClasses; ++c)
        for (int64_t pixel = 0; pixel < gradient.view.pixels(); ++pixel)
          (c < 64 ? sides : classes).push_back(gradient.at(image, c, pixel));
    for (const std::vector<float>& part : {sides, classes})
      for (const float value : part) ASSERT_EQ(value, wanted.gradients[next++]);
  }
}

TEST(DetectionLoss, EveryNumberOfThreadsGivesTheSameBytes) {
  for (const int64_t lanes : {1, 8})
    for (const Case& test : cases()) {
      SCOPED_TRACE(test.name);
      const HeadMaps<float> maps = noise_of<float>(test, lanes), alone = maps_of<float>(test, lanes);
      const Result<float> wanted = run(test, maps, alone);
      for (const int threads : {1, 2, 3, 7}) {
        cpu::ThreadPool pool(threads);
        const HeadMaps<float> gradients = maps_of<float>(test, lanes);
        const Result<float> found = run(test, maps, gradients, 1, &pool);
        EXPECT_EQ(found.terms, wanted.terms) << threads;
        EXPECT_EQ(found.gradients, wanted.gradients) << threads;
      }
    }
}

TEST(DetectionLoss, WithoutGradientsGivesTheSameTerms) {
  for (const Case& test : cases()) {
    SCOPED_TRACE(test.name);
    const HeadMaps<float> maps = noise_of<float>(test, 8), gradients = maps_of<float>(test, 8);
    const auto views = maps.views();
    EXPECT_EQ(loss_of(test)(
                  DetectionLossInput<float>{.maps = views, .targets = test.targets, .ignored = test.ignored}),
              run(test, maps, gradients).terms);
  }
}

TEST(DetectionLoss, DoesNotDependOnTheOrderOfImagesInTheRows) {
  Case test = cases()[0];
  const HeadMaps<float> maps = noise_of<float>(test), gradients = maps_of<float>(test);
  const Result<float> wanted = run(test, maps, gradients);
  const std::span<const float> rows = test.targets.values();
  std::vector<float> moved;
  for (const std::ptrdiff_t row : {1, 0, 4, 2, 3})
    moved.insert(moved.end(), &rows[6 * row], &rows[6 * row] + 6);
  test.targets = rows_of(6, moved);
  const Result<float> found = run(test, maps, gradients);
  EXPECT_EQ(found.terms, wanted.terms);
  EXPECT_EQ(found.gradients, wanted.gradients);
}

TEST(DetectionLoss, ARegionWithoutAnchorsChangesNoByte) {
  Case test = cases()[0];
  const HeadMaps<float> maps = noise_of<float>(test, 8), gradients = maps_of<float>(test, 8);
  const Result<float> wanted = run(test, maps, gradients);
  for (const Tensor& regions : {Tensor({0, 5}), rows_of(5, {1, .1f, .9f, .001f, .001f})}) {
    test.ignored = regions;
    const Result<float> found = run(test, maps, gradients);
    EXPECT_EQ(found.terms, wanted.terms);
    EXPECT_EQ(found.gradients, wanted.gradients);
  }
}

TEST(DetectionLoss, IsNotANumberWhereALogitIsNot) {
  for (const Case& test : cases())
    for (const float bad : {NAN, std::numeric_limits<float>::infinity()}) {
      SCOPED_TRACE(test.name);
      const HeadMaps<float> maps = noise_of<float>(test, 8), gradients = maps_of<float>(test, 8);
      const double before = run(test, maps, gradients).terms[1];
      ASSERT_TRUE(std::isfinite(before));
      maps.levels().back().classes.at(1, 3, 0) = bad;
      EXPECT_FALSE(std::isfinite(run(test, maps, gradients).terms[1]));
      // And all of them.
      maps.for_each([&](float& value) { value = bad; });
      const Result<float> all = run(test, maps, gradients);
      EXPECT_FALSE(std::isfinite(sum_of(all.terms)));
    }
  // A box near an object.
  const Case& test = cases()[0];
  const HeadMaps<float> maps = noise_of<float>(test), gradients = maps_of<float>(test);
  maps.levels()[0].sides.at(0, 5, 3 * 7 + 3) = NAN;
  for (const double term : run(test, maps, gradients).terms) EXPECT_TRUE(std::isnan(term));
}

TEST(DetectionLoss, TakesLargeNumbers) {
  for (const float large : {-1e30f, 1e30f}) {
    const Case& test = cases()[0];
    const HeadMaps<float> maps = noise_of<float>(test), gradients = maps_of<float>(test);
    int next = 0;
    for (const testing::Level<float>& level : maps.levels())
      level.sides.for_each([&](float& value) { value = next++ % 3 == 0 ? large : 0; });
    const Result<float> found = run(test, maps, gradients);
    EXPECT_TRUE(std::isfinite(sum_of(found.terms)));
    for (const float value : found.gradients) ASSERT_TRUE(std::isfinite(value));
  }
}

TEST(DetectionLoss, RefusesWhatDoesNotFit) {
  const Case& test = cases()[0];
  const HeadMaps<float> maps = noise_of<float>(test), gradients = maps_of<float>(test);
  const auto views = maps.views();
  const auto gradient_views = gradients.mutable_views();
  const DetectionLossInput<float> good = {
      .maps = views, .targets = test.targets, .gradients = gradient_views};
  const DetectionLoss loss = loss_of(test);
  EXPECT_NO_THROW(loss(good));
  const auto expect_error = [&](const DetectionLossInput<float>& input, const DetectionLoss& by) {
    try {
      by(input);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kShape) << error.what();
    }
  };
  const auto with = [&](const auto& change) {
    DetectionLossInput<float> input = good;
    change(input);
    return input;
  };
  expect_error(with([](auto& in) { in.targets = rows_of(6, {2, 0, .5, .5, .1f, .1f}); }), loss);
  expect_error(with([](auto& in) { in.targets = rows_of(6, {0, kClasses, .5, .5, .1f, .1f}); }), loss);
  expect_error(with([](auto& in) { in.targets = Tensor({4, 5}); }), loss);
  expect_error(with([](auto& in) { in.ignored = rows_of(5, {2, .5, .5, .1f, .1f}); }), loss);
  expect_error(with([](auto& in) { in.maps = in.maps.first(2); }), loss);
  expect_error(with([](auto& in) { in.gradients = in.gradients.first(2); }), loss);
  expect_error(good, DetectionLoss(kClasses + 1, test.reg_max, test.strides));
  expect_error(good, DetectionLoss(kClasses, test.reg_max - 1, test.strides));
  const HeadMaps<float> in_blocks = maps_of<float>(test, 8);
  const auto block_views = in_blocks.mutable_views();
  expect_error(with([&](auto& in) { in.gradients = block_views; }), loss);
  auto mixed = views;
  std::swap(mixed[0].classes, mixed[1].classes);
  expect_error(with([&](auto& in) { in.maps = mixed; }), loss);
  EXPECT_THROW(DetectionLoss(3, 16, {8}, {.class_weights = {1, 2}}), Error);
}

TEST(DetectionLoss, TakesNoImages) {
  const HeadMaps<float> maps(0, kClasses, 16, {{2, 2}});
  const auto views = maps.views();
  EXPECT_EQ(
      DetectionLoss(kClasses, 16, {8})(DetectionLossInput<float>{.maps = views, .targets = Tensor({0, 6})}),
      DetectionTerms{});
}

TEST(DetectionLoss, NamesItsThirdTerm) {
  EXPECT_EQ(DetectionLoss(2, 16, {8}).third_name(), "dfl_loss");
  EXPECT_EQ(DetectionLoss(2, 1, {8}).third_name(), "l1_loss");
}

TEST(DualDetectionLoss, WeighsItsTwoBranches) {
  const Case& test = cases()[9];  // with regions
  const HeadMaps<float> first = noise_of<float>(test, 8), second = maps_of<float>(test, 8);
  fill_with_noise(second, 8);
  const HeadMaps<float> first_gradients = maps_of<float>(test, 8), second_gradients = maps_of<float>(test, 8);
  const auto input = [&](const auto& views, const auto& gradients) {
    return DetectionLossInput<float>{
        .maps = views, .targets = test.targets, .ignored = test.ignored, .gradients = gradients};
  };
  const auto many = first.views(), one = second.views();
  const auto to_many = first_gradients.mutable_views(), to_one = second_gradients.mutable_views();
  const DualDetectionLoss::Terms found = DualDetectionLoss(kClasses, 16, test.strides, test.options)(
      input(many, to_many), input(one, to_one), 0.25);

  Case of_many = test, of_one = test;
  of_many.options.assigner = {.top_k = 10};
  of_one.options.assigner = {.top_k = 7, .top_k_after = 1};
  const HeadMaps<float> gradients = maps_of<float>(test, 8);
  const Result<float> wanted_many = run(of_many, first, gradients, 0.25);
  EXPECT_EQ(first_gradients.values(), wanted_many.gradients);
  const Result<float> wanted_one = run(of_one, second, gradients, 0.75);
  EXPECT_EQ(second_gradients.values(), wanted_one.gradients);
  EXPECT_EQ(found.shown, wanted_one.terms);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_DOUBLE_EQ(found.loss[i], 0.25 * wanted_many.terms[i] + 0.75 * wanted_one.terms[i]);
}

}  // namespace
}  // namespace marrow::loss
