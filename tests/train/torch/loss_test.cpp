// The losses against plain implementations of their definitions.
#include "marrow/train/torch/loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/model/zoo.h"
#include "marrow/train/torch/anchors.h"
#include "marrow/train/torch/executor.h"
#include "marrow/train/torch/iou.h"

namespace marrow::train {
namespace {

torch::Tensor double_noise(const std::vector<int64_t>& shape, uint64_t seed) {
  Random random(seed, "noise");
  torch::Tensor tensor = torch::empty(shape, torch::kFloat64);
  std::generate_n(tensor.data_ptr<double>(), tensor.numel(), [&] { return random.normal(); });
  return tensor;
}

// Compares the gradient of sum(function(x)) with central differences, in float64.
void expect_gradient(const std::function<torch::Tensor(const torch::Tensor&)>& function, torch::Tensor x) {
  constexpr double kStep = 1e-6;
  x.requires_grad_(true);
  function(x).sum().backward();
  const torch::Tensor gradient = x.grad().contiguous();
  const torch::NoGradGuard no_grad;
  auto* values = x.data_ptr<double>();
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double before = values[i];
    values[i] = before + kStep;
    const double above = function(x).sum().item<double>();
    values[i] = before - kStep;
    const double below = function(x).sum().item<double>();
    values[i] = before;
    const double wanted = (above - below) / (2 * kStep);
    EXPECT_NEAR(gradient.data_ptr<double>()[i], wanted, 1e-7 + 1e-5 * std::abs(wanted)) << i;
  }
}

torch::Tensor random_boxes(int64_t count, uint64_t seed) {
  Random random(seed, "boxes");
  torch::Tensor boxes = torch::empty({count, 4}, torch::kFloat64);
  for (int64_t i = 0; i < count; ++i) {
    auto* box = boxes.data_ptr<double>() + 4 * i;
    box[0] = random.uniform(0, 20);
    box[1] = random.uniform(0, 20);
    box[2] = box[0] + random.uniform(1, 15);
    box[3] = box[1] + random.uniform(1, 15);
  }
  return boxes;
}

TEST(BoxIou, GradientsMatchFiniteDifferences) {
  const torch::Tensor other = random_boxes(12, 2);
  for (const IouKind kind : {IouKind::kIou, IouKind::kGiou, IouKind::kDiou})
    expect_gradient([&](const torch::Tensor& x) { return box_iou(x, other, kind); }, random_boxes(12, 1));
}

TEST(BoxIou, IsOneForEqualBoxesAndFallsWithDistance) {
  const auto iou = [](std::vector<double> a, std::vector<double> b, IouKind kind) {
    return box_iou(torch::tensor(a), torch::tensor(b), kind).item<double>();
  };
  for (const IouKind kind : {IouKind::kIou, IouKind::kGiou, IouKind::kDiou, IouKind::kCiou})
    EXPECT_NEAR(iou({1, 2, 5, 9}, {1, 2, 5, 9}, kind), 1, 1e-6);
  EXPECT_EQ(iou({0, 0, 2, 2}, {4, 0, 6, 2}, IouKind::kIou), 0);
  EXPECT_NEAR(iou({0, 0, 2, 2}, {4, 0, 6, 2}, IouKind::kGiou), -4.0 / 12, 1e-6);
  EXPECT_NEAR(iou({0, 0, 2, 2}, {4, 0, 6, 2}, IouKind::kDiou), -16.0 / 40, 1e-6);
  EXPECT_NEAR(iou({0, 0, 2, 2}, {4, 0, 6, 2}, IouKind::kCiou), -16.0 / 40, 1e-6);  // same shape
}

TEST(BoxIou, AlphaIsAConstantForTheGradient) {
  // d(-alpha v)/dw = -alpha dv/dw, and nothing from d alpha.
  torch::Tensor a = torch::tensor({0.0, 0.0, 8.0, 2.0}, torch::kFloat64).requires_grad_(true);
  const torch::Tensor b = torch::tensor({0.0, 0.0, 3.0, 3.0}, torch::kFloat64);
  (box_iou(a, b, IouKind::kCiou) - box_iou(a, b, IouKind::kDiou)).backward();
  const double turn = std::atan(1.0) - std::atan(4.0), scale = 4 / (M_PI * M_PI);
  const double v = scale * turn * turn, iou = 6.0 / 19, alpha = v / (v - iou + 1);
  const double dv = scale * 2 * turn * -(1 / (1 + 16.0)) * (1 / 2.0);  // d atan(w / h)/dw at 8 / 2
  EXPECT_NEAR(a.grad()[2].item<double>(), -alpha * dv, 1e-6);
}

TEST(DistributionFocalLoss, GradientMatchesFiniteDifferences) {
  const torch::Tensor distances = torch::rand({5, 4}, torch::kFloat64) * 7;
  expect_gradient([&](const torch::Tensor& x) { return distribution_focal_loss(x, distances); },
                  double_noise({5, 4, 8}, 3));
}

TEST(DistributionFocalLoss, SharesTheWeightBetweenNeighbours) {
  // Logits that put all on bin 2: cost 0 at 2, and 100 times the share of bin 3 beyond.
  torch::Tensor logits = torch::zeros({1, 4, 6}, torch::kFloat64);
  logits.select(2, 2).fill_(100);
  const auto loss = [&](double distance) {
    return distribution_focal_loss(logits, torch::full({1, 4}, distance, torch::kFloat64)).item<double>();
  };
  EXPECT_NEAR(loss(2), 0, 1e-9);
  EXPECT_NEAR(loss(2.25), 25, 1e-9);
  EXPECT_NEAR(loss(-3), 100, 1e-9);  // clamped to 0
  EXPECT_NEAR(loss(4.99), 100, 1e-9);
  EXPECT_NEAR(loss(50), 100, 1e-9);  // clamped to 4.99, so that bin 5 is the last read
}

// The assigner as its definition reads, one object and anchor at a time.
struct PlainAssigner {
  torch::Tensor logits, boxes, anchors;  // (N, C, A), (N, A, 4), (A, 2)
  PaddedObjects objects;
  AssignerOptions options;

  // weights (N, A) and object (N, A)
  std::pair<torch::Tensor, torch::Tensor> run() const {
    const int64_t n = boxes.size(0), m = objects.boxes.size(1), a = anchors.size(0);
    torch::Tensor weights = torch::zeros({n, a}), object = torch::zeros({n, a}, torch::kInt64);
    for (int64_t image = 0; image < n; ++image) {
      std::vector<std::vector<double>> overlap(m, std::vector<double>(a)), align = overlap;
      std::vector<std::vector<bool>> picked(m, std::vector<bool>(a));
      for (int64_t o = 0; o < m; ++o) {
        if (!objects.valid[image][o].item<bool>()) continue;
        const torch::Tensor box = objects.boxes[image][o];
        std::vector<int64_t> order;
        for (int64_t i = 0; i < a; ++i) {
          const float x = anchors[i][0].item<float>(), y = anchors[i][1].item<float>();
          const auto* side = box.data_ptr<float>();
          if (!(x > side[0] && y > side[1] && x < side[2] && y < side[3])) continue;
          overlap[o][i] = std::max(0.0, box_iou(box, boxes[image][i], IouKind::kCiou).item<double>());
          const double logit = logits[image][objects.labels[image][o].item<int64_t>()][i].item<double>();
          align[o][i] =
              std::pow(1 / (1 + std::exp(-logit)), options.alpha) * std::pow(overlap[o][i], options.beta);
          if (align[o][i] > 0) order.push_back(i);
        }
        std::ranges::sort(order, [&](int64_t i, int64_t j) { return align[o][i] > align[o][j]; });
        order.resize(std::min<size_t>(order.size(), static_cast<size_t>(options.top_k)));
        for (const int64_t i : order) picked[o][i] = true;
      }
      std::vector<int64_t> owner(a, -1);
      for (int64_t i = 0; i < a; ++i) {
        int64_t wanting = 0, largest = 0;
        for (int64_t o = 0; o < m; ++o) {
          if (picked[o][i]) owner[i] = o, ++wanting;
          if (overlap[o][i] > overlap[largest][i]) largest = o;
        }
        if (wanting > 1) owner[i] = largest;
      }
      for (int64_t o = 0; o < m; ++o) {
        double best_align = 0, best_overlap = 0;
        for (int64_t i = 0; i < a; ++i)
          if (owner[i] == o) {
            best_align = std::max(best_align, align[o][i]);
            best_overlap = std::max(best_overlap, overlap[o][i]);
          }
        for (int64_t i = 0; i < a; ++i)
          if (owner[i] == o) {
            weights[image][i] = align[o][i] * best_overlap / (best_align + 1e-9);
            object[image][i] = o;
          }
      }
    }
    return {weights, object};
  }
};

TEST(Assigner, MatchesItsDefinitionInCrowds) {
  constexpr int64_t kImages = 3, kClasses = 4, kObjects = 14, kSide = 12;
  for (const uint64_t seed : {1, 2, 3}) {
    Random random(seed, "crowd");
    PlainAssigner plain;
    plain.options.top_k = seed == 3 ? 4 : 10;
    plain.logits = double_noise({kImages, kClasses, kSide * kSide}, seed).to(torch::kFloat32);
    plain.anchors = make_anchors(std::vector{torch::zeros({1, 1, kSide, kSide})}, std::vector{8}).centres * 8;
    plain.objects = {torch::zeros({kImages, kObjects}, torch::kInt64), torch::zeros({kImages, kObjects, 4}),
                     torch::zeros({kImages, kObjects}, torch::kBool)};
    for (int64_t image = 0; image < kImages; ++image)
      for (int64_t o = 0; o < kObjects - 5 * image; ++o) {
        const float x = static_cast<float>(random.uniform(0, 60)),
                    y = static_cast<float>(random.uniform(0, 60));
        const std::vector<float> box = {x, y, x + static_cast<float>(random.uniform(8, 50)),
                                        y + static_cast<float>(random.uniform(8, 50))};
        plain.objects.boxes[image][o] = torch::tensor(box);
        plain.objects.labels[image][o] = static_cast<int64_t>(random.below(kClasses));
        plain.objects.valid[image][o] = true;
      }
    const torch::Tensor spread =
        double_noise({kImages, kSide * kSide, 4}, seed + 9).to(torch::kFloat32).abs() * 12 + 4;
    plain.boxes = distances_to_boxes(plain.anchors, spread);
    const auto [weights, object] = plain.run();
    const Assignment found = assign(plain.logits, plain.boxes, plain.anchors, plain.objects, plain.options);
    ASSERT_GT((weights > 0).sum().item<int64_t>(), 50);
    EXPECT_TRUE(torch::allclose(found.weights, weights, 1e-4, 1e-6));
    EXPECT_TRUE(torch::equal(found.foreground, found.weights > 0));
    const torch::Tensor clear = weights > 1e-6;
    EXPECT_TRUE(torch::equal(found.object.masked_select(clear), object.masked_select(clear)));
  }
}

constexpr int kClasses = 3, kBins = 16;

DetectionTargets targets_of(const std::vector<int64_t>& image, const std::vector<int64_t>& classes,
                            const std::vector<float>& boxes) {
  return {torch::tensor(image, torch::kInt64), torch::tensor(classes, torch::kInt64),
          torch::tensor(boxes).view({-1, 4})};
}

std::vector<torch::Tensor> random_maps(uint64_t seed) {
  std::vector<torch::Tensor> maps;
  for (const int64_t side : {12, 6, 3})
    maps.push_back(double_noise({2, 4 * kBins + kClasses, side, side + 2}, seed + side)
                       .to(torch::kFloat32)
                       .requires_grad_(true));
  return maps;
}

const DetectionTargets& some_targets() {
  static const DetectionTargets targets = targets_of(
      {0, 1, 0, 1}, {2, 0, 1, 1}, {.5, .5, .6, .4, .3, .6, .2, .2, .55, .5, .3, .7, .3, .6, .25, .3});
  return targets;
}

TEST(DetectionLoss, WithoutTargetsTrainsTheBackgroundAlone) {
  const DetectionLoss loss(kClasses, kBins, {8, 16, 32}, {.class_gain = 0.25});
  const auto maps = random_maps(1);
  const DetectionLossResult result =
      loss(maps, {torch::zeros({0}, torch::kInt64), torch::zeros({0}, torch::kInt64), torch::zeros({0, 4})});
  result.loss.sum().backward();
  double wanted = 0;
  for (const torch::Tensor& map : maps) {
    const torch::Tensor logits = map.detach().narrow(1, 4 * kBins, kClasses).to(torch::kFloat64);
    wanted += logits.exp().log1p().sum().item<double>();
    EXPECT_EQ(map.grad().narrow(1, 0, 4 * kBins).abs().max().item<float>(), 0);
    EXPECT_TRUE(torch::allclose(map.grad().narrow(1, 4 * kBins, kClasses),
                                logits.sigmoid().to(torch::kFloat32) * 0.25 * 2, 1e-5, 1e-7));
  }
  EXPECT_NEAR(result.items[1].item<double>(), 0.25 * wanted, 1e-5 * wanted);
  EXPECT_EQ(result.items[0].item<float>(), 0);
  EXPECT_EQ(result.items[2].item<float>(), 0);
  EXPECT_TRUE(torch::equal(result.loss.detach(), result.items * 2));
}

TEST(DetectionLoss, FollowsItsTermsFromTheAssignment) {
  const DetectionLossOptions options{.box_gain = 2, .class_gain = 3, .dfl_gain = 5, .assigner = {.top_k = 7}};
  const DetectionLoss loss(kClasses, kBins, {8, 16, 32}, options);
  const auto maps = random_maps(2);
  const DetectionLossResult result = loss(maps, some_targets());
  ASSERT_GT(result.assignment.foreground.sum().item<int64_t>(), 5);

  const Anchors grid = make_anchors(maps, std::vector{8, 16, 32});
  const torch::Tensor raw =
      join_levels(maps).detach().to(torch::kFloat64).transpose(1, 2);  // (N, A, channels)
  const torch::Tensor logits = raw.narrow(2, 4 * kBins, kClasses);
  torch::Tensor wanted_scores = torch::zeros_like(logits);
  const double total = std::max(1.0, result.assignment.weights.sum().item<double>());
  double box = 0, dfl = 0;
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t a = 0; a < raw.size(1); ++a) {
      const double weight = result.assignment.weights[n][a].item<double>();
      if (weight == 0) continue;
      const int64_t object = result.assignment.object[n][a].item<int64_t>();
      wanted_scores[n][a][result.objects.labels[n][object].item<int64_t>()] = weight;
      const torch::Tensor target = (result.objects.boxes[n][object] / grid.strides[a]).to(torch::kFloat64);
      const torch::Tensor centre = grid.centres[a].to(torch::kFloat64);
      const torch::Tensor distribution = raw[n][a].narrow(0, 0, 4 * kBins).view({4, kBins});
      const torch::Tensor distance = (distribution.softmax(1) * torch::arange(kBins)).sum(1);
      box +=
          weight * (1 - box_iou(distances_to_boxes(centre, distance), target, IouKind::kCiou).item<double>());
      const torch::Tensor sides = boxes_to_distances(centre, target);
      for (int64_t side = 0; side < 4; ++side) {
        const double t = std::clamp(sides[side].item<double>(), 0.0, kBins - 1.01);
        const auto left = static_cast<int64_t>(t);
        const torch::Tensor logp = distribution[side].log_softmax(0);
        dfl -= weight / 4 *
               (logp[left].item<double>() * (left + 1 - t) + logp[left + 1].item<double>() * (t - left));
      }
    }
  const double cls =
      torch::binary_cross_entropy_with_logits(logits, wanted_scores, {}, {}, at::Reduction::Sum)
          .item<double>();
  EXPECT_NEAR(result.items[0].item<double>(), 2 * box / total, 1e-5 * 2 * box / total);
  EXPECT_NEAR(result.items[1].item<double>(), 3 * cls / total, 1e-5 * 3 * cls / total);
  EXPECT_NEAR(result.items[2].item<double>(), 5 * dfl / total, 1e-5 * 5 * dfl / total);
}

TEST(DetectionLoss, DoesNotDependOnTheOrderOfImagesInTheRows) {
  const DetectionLoss loss(kClasses, kBins, {8, 16, 32});
  const auto maps = random_maps(3);
  const DetectionTargets& rows = some_targets();
  const torch::Tensor order = torch::tensor({1, 3, 0, 2}, torch::kInt64);
  const DetectionTargets moved{rows.image.index({order}), rows.classes.index({order}),
                               rows.boxes.index({order})};
  EXPECT_TRUE(torch::equal(loss(maps, rows).items, loss(maps, moved).items));
}

// Over both images; the first overlaps objects.
const torch::Tensor& some_regions() {
  static const torch::Tensor regions = torch::tensor({{0.0f, .5f, .5f, .5f, .4f},
                                                      {1.0f, .78f, .2f, .4f, .4f},
                                                      {1.0f, .75f, .15f, .2f, .3f},
                                                      {1.0f, .1f, .9f, .01f, .01f}});
  return regions;
}

DetectionTargets with_regions(const torch::Tensor& regions) {
  DetectionTargets targets = some_targets();
  targets.ignored = regions;
  return targets;
}

// Strictly inside, in pixels of the 112 x 96 input of random_maps().
bool in_some_region(int64_t image, double x, double y) {
  for (int64_t r = 0; r < some_regions().size(0); ++r) {
    const torch::Tensor region = some_regions()[r];
    const auto value = [&](int64_t i) { return region[i].item<double>(); };
    if (value(0) == static_cast<double>(image) && std::abs(x - value(1) * 112) < value(3) * 112 / 2 &&
        std::abs(y - value(2) * 96) < value(4) * 96 / 2)
      return true;
  }
  return false;
}

TEST(DetectionLoss, RegionsToIgnoreTakeTheBackgroundInsideOutOfTheClassTerm) {
  for (const Rules rules : {Rules::k83, Rules::k84})
    for (const std::vector<double>& weights : {std::vector<double>{}, {0.5, 1, 2}}) {
      const DetectionLoss loss(kClasses, kBins, {8, 16, 32},
                               {.class_gain = 3, .class_weights = weights, .rules = rules});
      const auto maps = random_maps(2), plain_maps = random_maps(2);
      const DetectionLossResult result = loss(maps, with_regions(some_regions()));
      const DetectionLossResult plain = loss(plain_maps, some_targets());
      EXPECT_TRUE(torch::equal(result.assignment.weights, plain.assignment.weights));
      EXPECT_TRUE(torch::equal(result.items[0], plain.items[0]));
      EXPECT_TRUE(torch::equal(result.items[2], plain.items[2]));
      result.loss.sum().backward();
      plain.loss.sum().backward();

      const Anchors grid = make_anchors(maps, std::vector{8, 16, 32});
      const torch::Tensor centres = grid.centres * grid.strides;
      std::vector<torch::Tensor> gradients, plain_gradients;
      for (size_t level = 0; level < maps.size(); ++level) {
        gradients.push_back(maps[level].grad());
        plain_gradients.push_back(plain_maps[level].grad());
      }
      const torch::Tensor found = join_levels(gradients), wanted = join_levels(plain_gradients),
                          raw = join_levels(maps).detach().to(torch::kFloat64);
      const double total = std::max(1.0, result.assignment.weights.sum().item<double>());
      double left_out = 0;
      int ignored = 0, positives_inside = 0;
      for (int64_t n = 0; n < 2; ++n)
        for (int64_t a = 0; a < centres.size(0); ++a) {
          const bool inside = in_some_region(n, centres[a][0].item<double>(), centres[a][1].item<double>());
          const bool foreground = result.assignment.foreground[n][a].item<bool>();
          positives_inside += inside && foreground;
          if (!inside || foreground) {
            ASSERT_TRUE(torch::equal(found[n].select(1, a), wanted[n].select(1, a))) << n << " " << a;
            continue;
          }
          ++ignored;
          ASSERT_EQ(found[n].select(1, a).abs().max().item<float>(), 0) << n << " " << a;
          for (int64_t c = 0; c < kClasses; ++c)
            left_out += std::log1p(std::exp(raw[n][4 * kBins + c][a].item<double>())) *
                        (weights.empty() ? 1 : weights[static_cast<size_t>(c)]);
        }
      EXPECT_GT(ignored, 20);
      EXPECT_GT(positives_inside, 3);
      const double cls = plain.items[1].item<double>() - 3 * left_out / total;
      EXPECT_NEAR(result.items[1].item<double>(), cls, 1e-5 * plain.items[1].item<double>());
    }
}

TEST(DetectionLoss, WithoutRegionsNoByteDiffers) {
  const DetectionLoss loss(kClasses, kBins, {8, 16, 32});
  const auto maps = random_maps(5);
  const torch::Tensor wanted = loss(maps, some_targets()).items;
  EXPECT_TRUE(torch::equal(loss(maps, with_regions(torch::zeros({0, 5}))).items, wanted));
  // Nor where one lies between the anchors.
  EXPECT_TRUE(
      torch::equal(loss(maps, with_regions(torch::tensor({{1.0f, .1f, .9f, .001f, .001f}}))).items, wanted));
}

TEST(DetectionLoss, AnAnchorOnTheBorderOfARegionIsOutside) {
  const DetectionLoss loss(kClasses, kBins, {8, 16, 32});
  const auto gradient = [&](float width) {
    const auto maps = random_maps(6);
    DetectionTargets none = targets_of({}, {}, {});
    // From the left edge of the input to the first anchor's centre, 4 pixels, and beyond.
    none.ignored = torch::tensor({{0.0f, width / 2 / 112, .5f, width / 112, 1.0f}});
    loss(maps, none).loss.sum().backward();
    return maps[0].grad()[0].narrow(0, 4 * kBins, kClasses).select(2, 0).abs();
  };
  EXPECT_GT(gradient(4).min().item<float>(), 0);
  EXPECT_EQ(gradient(4.01f).max().item<float>(), 0);
}

TEST(DetectionLoss, BothBranchesIgnoreAlike) {
  const DualDetectionLoss dual(kClasses, kBins, {8, 16, 32});
  const auto many = random_maps(7), one = random_maps(8);
  const DetectionTargets targets = with_regions(some_regions());
  const DetectionLossResult result = dual(many, one, targets, 0.25);
  result.loss.sum().backward();
  const DetectionLoss first(kClasses, kBins, {8, 16, 32}, {.assigner = {.top_k = 10}});
  const DetectionLoss second(kClasses, kBins, {8, 16, 32}, {.assigner = {.top_k = 7, .top_k_after = 1}});
  EXPECT_TRUE(torch::equal(result.items, second(one, targets).items));
  EXPECT_TRUE(
      torch::allclose(result.loss, first(many, targets).loss * 0.25 + second(one, targets).loss * 0.75));
  for (const auto& [maps, loss] : {std::pair{&many, &first}, {&one, &second}}) {
    const Assignment assignment = (*loss)(*maps, targets).assignment;
    std::vector<torch::Tensor> gradients;
    for (const torch::Tensor& map : *maps) gradients.push_back(map.grad());
    const torch::Tensor found = join_levels(gradients).narrow(1, 4 * kBins, kClasses).abs().sum(1);  // (N, A)
    const Anchors grid = make_anchors(*maps, std::vector{8, 16, 32});
    const torch::Tensor centres = grid.centres * grid.strides;
    for (int64_t n = 0; n < 2; ++n)
      for (int64_t a = 0; a < centres.size(0); ++a) {
        const bool ignored = in_some_region(n, centres[a][0].item<double>(), centres[a][1].item<double>()) &&
                             !assignment.foreground[n][a].item<bool>();
        ASSERT_EQ(found[n][a].item<float>() == 0, ignored) << n << " " << a;
      }
  }
}

TEST(DetectionLoss, RefusesTargetsAndMapsThatDoNotFit) {
  const DetectionLoss loss(kClasses, kBins, {8, 16, 32});
  auto maps = random_maps(4);
  EXPECT_THROW(loss(maps, targets_of({2}, {0}, {.5, .5, .1, .1})), Error);
  EXPECT_THROW(loss(maps, targets_of({0}, {3}, {.5, .5, .1, .1})), Error);
  EXPECT_THROW(loss(maps, targets_of({0}, {0, 1}, {.5, .5, .1, .1})), Error);
  EXPECT_THROW(loss(maps, with_regions(torch::tensor({{2.0f, .5f, .5f, .1f, .1f}}))), Error);
  maps.pop_back();
  EXPECT_THROW(loss(maps, some_targets()), Error);
}

TEST(DetectionLoss, RepeatsToTheByteThroughAWholeNetwork) {
  set_torch_threads();
  const model::Model model = model::make_model("yolov8n", "starnet_s1", {.classes = kClasses});
  const Weights weights = initialize(model.graph, 1);
  const DetectionLoss loss(model.graph);
  const torch::Tensor images = double_noise({2, 3, 96, 64}, 5).to(torch::kFloat32);
  std::vector<Weights> runs;
  for (int run = 0; run < 2; ++run) {
    TorchExecutor executor(model.graph, weights);
    const auto maps = executor.train(images, loss::detection_maps(model.graph), {.seed = 1});
    loss(maps, some_targets()).loss.sum().backward();
    Weights gradients = executor.weights();
    for (const Parameter& parameter : model.graph.parameters)
      if (parameter.trainable())
        gradients["grad." + parameter.name] = from_torch(executor.parameter(parameter.name).grad());
    runs.push_back(std::move(gradients));
  }
  for (const auto& [name, tensor] : runs[0])
    EXPECT_TRUE(std::equal(tensor.bytes(), tensor.bytes() + tensor.byte_size(), runs[1].at(name).bytes()))
        << name;
}

TEST(SoftCrossEntropy, IsTheMeanOfTheNegativeLogLikelihood) {
  const torch::Tensor logits = torch::tensor({{1.0, 2.0, 4.0}, {0.5, -1.0, 0.0}}, torch::kFloat64);
  const torch::Tensor targets = torch::tensor({{0.1, 0.2, 0.7}, {1.0, 0.0, 0.0}}, torch::kFloat64);
  const auto log_sum = [](double a, double b, double c) {
    return std::log(std::exp(a) + std::exp(b) + std::exp(c));
  };
  const double first = log_sum(1, 2, 4) - (0.1 * 1 + 0.2 * 2 + 0.7 * 4);
  const double second = log_sum(0.5, -1, 0) - 0.5;
  const torch::Tensor input = logits.clone().requires_grad_(true);
  const torch::Tensor loss = soft_cross_entropy(input, targets);
  EXPECT_NEAR(loss.item<double>(), (first + second) / 2, 1e-12);
  loss.backward();
  EXPECT_TRUE(torch::allclose(input.grad(), (logits.softmax(1) - targets) / 2));
  // Half precision would lose the small terms.
  EXPECT_EQ(soft_cross_entropy(logits.to(torch::kBFloat16), targets.to(torch::kFloat32)).scalar_type(),
            torch::kFloat32);
}

}  // namespace
}  // namespace marrow::train
