// The loss without LibTorch (loss/detection_loss.h) against the one with it, on random predictions.
#include <gtest/gtest.h>

#include <cmath>

#include "marrow/base/random.h"
#include "marrow/loss/cross_entropy.h"
#include "marrow/loss/detection_loss.h"
#include "marrow/train/torch/loss.h"
#include "support/head_maps.h"

namespace marrow {
namespace {

using testing::HeadMaps;

template <class T>
HeadMaps<T> blocked(const std::vector<torch::Tensor>& maps, int classes, int64_t lanes) {
  std::vector<Tensor> tensors;
  for (const torch::Tensor& map : maps) tensors.push_back(train::from_torch(map));
  return testing::head_maps_of<T>(tensors, classes, lanes);
}

Tensor rows_of(const train::DetectionTargets& targets) {
  return train::from_torch(
      torch::cat({targets.image.reshape({-1, 1}).to(torch::kFloat32),
                  targets.classes.reshape({-1, 1}).to(torch::kFloat32), targets.boxes.reshape({-1, 4})},
                 1));
}

void expect_terms(const loss::DetectionTerms& found, const torch::Tensor& wanted, double relative) {
  for (size_t i = 0; i < found.size(); ++i) {
    const auto value = wanted[static_cast<int64_t>(i)].item<double>();
    EXPECT_NEAR(found[i], value, relative * std::abs(value)) << i;
  }
}

std::vector<torch::Tensor> random_maps(int64_t images, int classes, int reg_max,
                                       const std::vector<testing::MapSize>& sizes, uint64_t seed) {
  HeadMaps<float> maps(images, classes, reg_max, sizes);
  fill_with_noise(maps, seed);
  std::vector<torch::Tensor> tensors;
  for (const testing::Level<float>& level : maps.levels()) tensors.push_back(train::to_torch(joined(level)));
  return tensors;
}

// The last image is empty.
train::DetectionTargets random_targets(int64_t images, int objects, int classes, uint64_t seed) {
  Random random(seed, "targets");
  std::vector<int64_t> image, label;
  std::vector<float> boxes;
  for (int64_t i = 0; i + 1 < images; ++i)
    for (int object = 0; object < objects; ++object) {
      image.push_back(i);
      label.push_back(static_cast<int64_t>(random.below(static_cast<uint64_t>(classes))));
      for (int k = 0; k < 2; ++k) boxes.push_back(static_cast<float>(random.uniform(0, 1)));
      for (int k = 0; k < 2; ++k) boxes.push_back(static_cast<float>(random.uniform(0.02, 0.5)));
    }
  return {torch::tensor(image, torch::kInt64), torch::tensor(label, torch::kInt64),
          torch::tensor(boxes).view({-1, 4})};
}

struct RandomCase {
  const char* name;
  int classes, reg_max;
  std::vector<testing::MapSize> sizes;
  train::DetectionLossOptions options;
  bool regions;
};

TEST(parity_plain_loss, RandomPredictionsGiveWhatLibTorchGives) {
  const std::vector<testing::MapSize> pyramid = {{20, 24}, {10, 12}, {5, 6}};
  const std::vector<RandomCase> cases = {
      {"16 bins", 20, 16, pyramid, {}, false},
      {"distances", 3, 1, pyramid, {.rules = Rules::k84}, false},
      {"class weights and regions", 4, 8, pyramid, {.class_weights = {0.5, 1, 2, 1}}, true},
      {"one anchor an object", 1, 16, pyramid, {.assigner = {.top_k = 7, .top_k_after = 1}}, false},
  };
  for (const RandomCase& test : cases)
    for (const uint64_t seed : {1, 2, 3}) {
      SCOPED_TRACE(::testing::Message() << test.name << " " << seed);
      std::vector<torch::Tensor> maps = random_maps(3, test.classes, test.reg_max, test.sizes, seed);
      train::DetectionTargets targets = random_targets(3, 7, test.classes, seed);
      if (test.regions)
        targets.ignored = torch::tensor({{0.0f, .5f, .5f, .5f, .4f}, {2.0f, .2f, .3f, .4f, .4f}});
      for (torch::Tensor& map : maps) map.requires_grad_(true);
      const train::DetectionLossResult wanted =
          train::DetectionLoss(test.classes, test.reg_max, {8, 16, 32}, test.options)(maps, targets);
      wanted.loss.sum().backward();

      const auto run = [&]<class T>(T) {
        const HeadMaps<T> copy = blocked<T>(maps, test.classes, 8),
                          gradients = blocked<T>(maps, test.classes, 8);
        const auto views = copy.views();
        const auto gradient_views = gradients.mutable_views();
        const loss::DetectionTerms terms = loss::DetectionLoss(test.classes, test.reg_max, {8, 16, 32},
                                                               test.options)(loss::DetectionLossInput<T>{
            .maps = views,
            .targets = rows_of(targets),
            .ignored = targets.ignored.defined() ? train::from_torch(targets.ignored) : Tensor(),
            .gradients = gradient_views});
        std::vector<torch::Tensor> flat;
        for (const testing::Level<T>& level : gradients.levels())
          flat.push_back(train::to_torch(joined(level)).flatten().to(torch::kFloat64));
        return std::pair{terms, torch::cat(flat)};
      };
      const auto [terms, gradients] = run(float());
      std::vector<torch::Tensor> flat;
      for (const torch::Tensor& map : maps) flat.push_back(map.grad().flatten().to(torch::kFloat64));
      const torch::Tensor wanted_gradients = torch::cat(flat);
      expect_terms(terms, wanted.loss.detach(), 1e-6);
      EXPECT_LT((gradients - wanted_gradients).norm().item<double>(),
                1e-6 * wanted_gradients.norm().item<double>());
    }
}

// Of boxes that fit no object yet, as in a fresh head: many anchors have no alignment.
TEST(parity_plain_loss, CrowdsAreAssignedAsByLibTorch) {
  const std::vector<std::vector<testing::MapSize>> pyramids = {{{40, 40}, {20, 20}, {10, 10}},
                                                               {{16, 20}, {8, 10}, {4, 5}}};
  for (const std::vector<testing::MapSize>& pyramid : pyramids)
    for (const uint64_t seed : {1, 2, 3, 4}) {
      SCOPED_TRACE(::testing::Message() << pyramid[0].height << " " << seed);
      const HeadMaps<float> maps(4, 5, 16, pyramid);
      Random random(seed, "maps");
      maps.for_each([&](float& value) { value = static_cast<float>(random.normal()); });
      std::vector<torch::Tensor> tensors;
      for (const testing::Level<float>& level : maps.levels())
        tensors.push_back(train::to_torch(joined(level)));
      const train::DetectionTargets targets = random_targets(4, 40, 5, seed);
      const train::DetectionLossOptions options = {
          .rules = seed % 2 == 0 ? Rules::k84 : Rules::k83,
          .assigner = {.top_k = seed < 3 ? 10 : 7, .top_k_after = seed == 4 ? 1 : 0}};
      const train::Assignment wanted =
          train::DetectionLoss(5, 16, {8, 16, 32}, options)(tensors, targets).assignment;
      const auto views = maps.views();
      const loss::DetectionAssignment found =
          loss::DetectionLoss(5, 16, {8, 16, 32}, options)
              .assign(loss::DetectionLossInput<float>{.maps = views, .targets = rows_of(targets)});
      torch::Tensor owners = torch::full_like(wanted.object, -1), weights = torch::zeros_like(wanted.weights);
      for (size_t image = 0; image < found.images.size(); ++image)
        for (const loss::AssignedAnchor& assigned : found.images[image].foreground) {
          const auto i = static_cast<int64_t>(image);
          owners[i][assigned.anchor] = assigned.object - found.objects.first[image];
          weights[i][assigned.anchor] = assigned.weight;
        }
      EXPECT_GT((owners >= 0).sum().item<int64_t>(), 50);
      EXPECT_TRUE(
          torch::equal(owners, torch::where(wanted.foreground, wanted.object, torch::full_like(owners, -1))));
      EXPECT_TRUE(torch::allclose(weights, wanted.weights, 1e-5, 1e-6));
    }
}

TEST(parity_plain_loss, SoftCrossEntropyGivesWhatLibTorchGives) {
  const torch::Tensor logits = (torch::randn({5, 11}) * 3).requires_grad_(true);
  const torch::Tensor targets = torch::rand({5, 11}).softmax(1);
  const torch::Tensor wanted = train::soft_cross_entropy(logits, targets);
  wanted.backward();
  torch::Tensor gradient = torch::empty({5, 11});
  const loss::MapView<float> to{gradient.data_ptr<float>(), 5, 11, 1, 1, 1, 11};
  const loss::MapView<const float> from{logits.data_ptr<float>(), 5, 11, 1, 1, 1, 11};
  EXPECT_NEAR(loss::soft_cross_entropy(from, train::from_torch(targets), &to), wanted.item<double>(),
              1e-6 * wanted.item<double>());
  EXPECT_TRUE(torch::allclose(gradient, logits.grad(), 1e-5, 1e-7));
}

}  // namespace
}  // namespace marrow
