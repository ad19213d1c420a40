#include "marrow/loss/assigner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <vector>

#include "support/head_maps.h"

namespace marrow::loss {
namespace {

// One image of one level, 8 pixels a cell.
struct Scene {
  testing::Map<float> logits;
  std::vector<AnchorLevel> levels;
  std::vector<MeasuredBox> boxes;
  Objects objects;
  AssignerOptions options;

  Scene(testing::MapSize size, int64_t classes)
      : logits(1, classes, size, 1),
        levels({{size.height, size.width, 8, 0}}),
        boxes(static_cast<size_t>(size.height * size.width)),
        objects({{0, 0}, {}, {}}) {
    logits.for_each([](float& logit) { logit = 0; });
    for (size_t anchor = 0; anchor < boxes.size(); ++anchor) predict(anchor, 8);
  }

  double x(size_t anchor) const { return (static_cast<double>(anchor % levels[0].width) + 0.5) * 8; }
  double y(size_t anchor) const { return (static_cast<double>(anchor / levels[0].width) + 0.5) * 8; }
  // A square about the anchor.
  void predict(size_t anchor, double half) {
    boxes[anchor] = {x(anchor) - half, y(anchor) - half, x(anchor) + half, y(anchor) + half};
  }
  void add(const BoxXyxy& box, int64_t label = 0) {
    ++objects.first[1];
    objects.labels.push_back(label);
    objects.boxes.push_back(box);
  }
  ImageAssignment run() const {
    const MapView<const float> view{logits.view.data,  1, logits.view.channels,  logits.view.height,
                                    logits.view.width, 1, logits.view.image_step};
    return assign<float>(levels, std::span(&view, 1), 0,
                         UprightShapes(objects, 0, boxes, options.smallest_side), objects, options);
  }
  std::map<int64_t, int64_t> owners() const {
    std::map<int64_t, int64_t> owners;
    for (const AssignedAnchor& assigned : run().foreground) owners[assigned.anchor] = assigned.object;
    return owners;
  }
  using Owners = std::map<int64_t, int64_t>;
};

TEST(Assigner, WeighsAnAnchorByItsShareOfTheBestAlignment) {
  Scene scene({1, 4}, 2);
  scene.add({0, 0, 16, 8}, 1);  // the first two anchors
  scene.boxes[0] = {0, 0, 16, 8};
  scene.boxes[1] = {0, 0, 8, 8};
  scene.logits.at(0, 1, 0) = -2;
  scene.logits.at(0, 1, 1) = 3;
  const double overlap = complete_iou({0, 0, 16, 8}, {0, 0, 8, 8});
  const double first = std::sqrt(1 / (1 + std::exp(2)));
  const double second = std::sqrt(1 / (1 + std::exp(-3))) * std::pow(overlap, 6);
  const ImageAssignment found = scene.run();
  ASSERT_EQ(found.foreground.size(), 2u);
  EXPECT_EQ(found.foreground[0].anchor, 0);
  EXPECT_NEAR(found.foreground[0].weight, 1, 1e-6);
  EXPECT_NEAR(found.foreground[1].weight, second / first, 1e-6);
  EXPECT_NEAR(found.total, 1 + second / first, 1e-6);
}

TEST(Assigner, OfEqualAlignmentsTakesTheFirstAnchor) {
  Scene scene({8, 8}, 1);
  scene.add({0, 0, 64, 64});
  scene.options.top_k = 1;
  for (MeasuredBox& box : scene.boxes) box = {1, 1, 60, 60};
  EXPECT_EQ(scene.owners(), (Scene::Owners{{0, 0}}));
  scene.boxes[9] = scene.boxes[11] = {0, 0, 62, 62};
  EXPECT_EQ(scene.owners(), (Scene::Owners{{9, 0}}));
}

// Object 0 aligns with one anchor of the two that it may pick; the other is the first of all anchors, which
// object 1 wants. Object 2 overlaps that one most and had picked two others.
TEST(Assigner, AnAnchorPickedWithoutAlignmentIsContested) {
  Scene scene({8, 16}, 1);
  scene.options.top_k = 2;
  for (MeasuredBox& box : scene.boxes) box = {500, 500, 600, 600};
  scene.add({0, 0, 128, 8});
  scene.boxes[5] = {0, 0, 128, 8};
  scene.add({0, 0, 16, 8});
  scene.boxes[0] = {0, 0, 8, 20};
  EXPECT_EQ(scene.owners(), (Scene::Owners{{0, 1}, {5, 0}}));
  scene.add({0, 0, 8, 24});
  scene.boxes[16] = scene.boxes[32] = {0, 0, 8, 24};
  EXPECT_EQ(scene.owners(), (Scene::Owners{{0, 2}, {5, 0}, {16, 2}, {32, 2}}));
  // Not where object 0 has no room for it.
  scene.boxes[6] = {0, 0, 127, 8};
  EXPECT_EQ(scene.owners(), (Scene::Owners{{0, 1}, {5, 0}, {6, 0}, {16, 2}, {32, 2}}));
}

TEST(Assigner, OfEqualObjectsTakesTheFirst) {
  Scene scene({2, 2}, 1);
  scene.add({0, 0, 16, 16});
  scene.add({0, 0, 16, 16});
  EXPECT_EQ(scene.owners(), (Scene::Owners{{0, 0}, {1, 0}, {2, 0}, {3, 0}}));
}

TEST(Assigner, GivesAContestedAnchorToTheLargestOverlapEvenUnpicked) {
  Scene scene({1, 3}, 3);
  scene.options.top_k = 1;
  scene.options.alpha = 6;  // the class decides what is picked
  scene.add({0, 0, 24, 8}, 0);
  scene.add({0, 0, 24, 7}, 1);
  scene.add({8, 0, 16, 8}, 2);
  // Objects 0 and 1 want the middle anchor for its class, while object 2, which fits it best, is left with
  // another by its class.
  scene.add({8, 0, 24, 8}, 2);
  for (size_t anchor = 0; anchor < 3; ++anchor) scene.boxes[anchor] = {9, 0, 24, 8};
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t anchor = 0; anchor < 3; ++anchor) scene.logits.at(0, c, anchor) = -4;
  scene.logits.at(0, 0, 1) = scene.logits.at(0, 1, 1) = 4;
  scene.logits.at(0, 2, 2) = 4;
  // Object 2's own anchor is the middle one, which leaves it to object 3, the larger overlap.
  EXPECT_EQ(scene.owners(), (Scene::Owners{{1, 3}, {2, 3}}));
}

TEST(Assigner, KeepsSoManyOfAnObjectsAnchorsAfterwards) {
  Scene scene({1, 4}, 1);
  scene.add({0, 0, 32, 8});
  for (size_t anchor = 0; anchor < 4; ++anchor)
    scene.boxes[anchor] = {0, 0, std::array{18.0, 16.0, 20.0, 17.0}[anchor], 8};
  EXPECT_EQ(scene.owners().size(), 4u);
  scene.options.top_k_after = 1;
  EXPECT_EQ(scene.owners(), (Scene::Owners{{2, 0}}));
  scene.options.top_k_after = 2;
  EXPECT_EQ(scene.owners(), (Scene::Owners{{0, 0}, {2, 0}}));
}

TEST(Assigner, LooksForSmallObjectsInALargerBox) {
  Scene scene({3, 3}, 1);
  scene.add({9, 9, 11, 11});  // between the anchors, which predict boxes about it
  for (size_t anchor = 0; anchor < 9; ++anchor) scene.boxes[anchor] = {8, 8, 12, 12};
  EXPECT_TRUE(scene.owners().empty());
  scene.options.smallest_side = 16;
  EXPECT_EQ(scene.owners(), (Scene::Owners{{0, 0}, {1, 0}, {3, 0}, {4, 0}}));
}

TEST(Assigner, AnAnchorWithoutOverlapIsBackground) {
  Scene scene({2, 2}, 1);
  scene.add({0, 0, 16, 16});
  for (size_t anchor = 0; anchor < 4; ++anchor) scene.boxes[anchor] = {100, 100, 120, 120};
  scene.boxes[3] = {16, 0, 32, 16};  // touches
  EXPECT_TRUE(scene.owners().empty());
  EXPECT_EQ(scene.run().total, 0);
}

TEST(Assigner, TotalIsNotANumberWhereAPredictionInsideIsNot) {
  Scene scene({2, 2}, 1);
  scene.add({0, 0, 8, 8});
  scene.boxes[1].x1 = NAN;  // outside
  EXPECT_FALSE(std::isnan(scene.run().total));
  scene.boxes[0] = {NAN, 0, 4, 4};
  EXPECT_TRUE(std::isnan(scene.run().total));
  scene.predict(0, 4);
  EXPECT_FALSE(std::isnan(scene.run().total));
  scene.logits.at(0, 0, 0) = NAN;
  EXPECT_TRUE(std::isnan(scene.run().total));
}

// The definition as it reads, over every object and anchor.
std::vector<AssignedAnchor> plain_assignment(const Scene& scene) {
  const size_t objects = scene.objects.labels.size(), anchors = scene.boxes.size();
  std::vector<std::vector<double>> overlap(objects, std::vector<double>(anchors)), align = overlap;
  std::vector<std::vector<size_t>> pickers(anchors);
  for (size_t o = 0; o < objects; ++o) {
    const BoxXyxy& box = scene.objects.boxes[o];
    std::vector<size_t> order;
    for (size_t a = 0; a < anchors; ++a) {
      if (scene.x(a) <= box[0] || scene.y(a) <= box[1] || scene.x(a) >= box[2] || scene.y(a) >= box[3])
        continue;
      overlap[o][a] = std::max(complete_iou({box[0], box[1], box[2], box[3]}, scene.boxes[a]), 0.0);
      const double logit = scene.logits.at(0, scene.objects.labels[o], static_cast<int64_t>(a));
      align[o][a] = std::sqrt(1 / (1 + std::exp(-logit))) * std::pow(overlap[o][a], 6);
      if (align[o][a] > 0) order.push_back(a);
    }
    std::ranges::sort(order, [&](size_t a, size_t b) { return align[o][a] > align[o][b]; });
    order.resize(std::min<size_t>(order.size(), static_cast<size_t>(scene.options.top_k)));
    for (const size_t a : order) pickers[a].push_back(o);
  }
  std::vector<AssignedAnchor> assigned;
  std::vector<double> best_align(objects), best_overlap(objects);
  for (size_t a = 0; a < anchors; ++a) {
    if (pickers[a].empty()) continue;
    size_t owner = pickers[a][0];
    if (pickers[a].size() > 1)
      for (size_t o = 0; o < objects; ++o)
        if (overlap[o][a] > overlap[owner][a]) owner = o;
    best_align[owner] = std::max(best_align[owner], align[owner][a]);
    best_overlap[owner] = std::max(best_overlap[owner], overlap[owner][a]);
    assigned.push_back({static_cast<int64_t>(a), static_cast<int64_t>(owner), 0});
  }
  for (AssignedAnchor& one : assigned) {
    const auto o = static_cast<size_t>(one.object);
    one.weight = static_cast<float>(align[o][static_cast<size_t>(one.anchor)] * best_overlap[o] /
                                    (best_align[o] + 1e-9));
  }
  return assigned;
}

TEST(Assigner, MatchesItsDefinitionInCrowds) {
  for (const uint64_t seed : {1, 2, 3}) {
    Random random(seed, "crowd");
    Scene scene({12, 12}, 4);
    scene.options.top_k = seed == 3 ? 4 : 10;
    scene.logits.for_each([&](float& logit) { logit = static_cast<float>(random.normal()); });
    for (size_t a = 0; a < scene.boxes.size(); ++a) {
      const auto side = [&] { return 4 + 12 * std::abs(random.normal()); };
      scene.boxes[a] = {scene.x(a) - side(), scene.y(a) - side(), scene.x(a) + side(), scene.y(a) + side()};
    }
    for (int o = 0; o < 14; ++o) {
      const auto x = static_cast<float>(random.uniform(0, 60)), y = static_cast<float>(random.uniform(0, 60));
      scene.add({x, y, x + static_cast<float>(random.uniform(8, 50)),
                 y + static_cast<float>(random.uniform(8, 50))},
                static_cast<int64_t>(random.below(4)));
    }
    const std::vector<AssignedAnchor> found = scene.run().foreground, wanted = plain_assignment(scene);
    ASSERT_GT(wanted.size(), 30u);
    ASSERT_EQ(found.size(), wanted.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].anchor, wanted[i].anchor);
      EXPECT_EQ(found[i].object, wanted[i].object);
      EXPECT_NEAR(found[i].weight, wanted[i].weight, 1e-6 * wanted[i].weight);
    }
  }
}

}  // namespace
}  // namespace marrow::loss
