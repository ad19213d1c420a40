// Which batches a cache of features gives, and when it computes them.
#include "marrow/train/feature_loader.h"

#include <gtest/gtest.h>

#include <climits>
#include <set>

#include "marrow/base/error.h"
#include "marrow/data/dataset.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/model/zoo.h"
#include "marrow/train/start_model.h"
#include "support/expect_says.h"
#include "support/message_of.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

constexpr int kBatch = 4, kSize = 64;
constexpr int64_t kBatches = 3;  // of ten images

class FeatureLoaderTest : public ::testing::Test {
 protected:
  FeatureLoaderTest()
      : model_(model::make_model((tiny_.folder / "tiny.yaml").string())),
        weights_(randomize(model_.graph, 1)),
        images_(evaluate::open_split(data::read_dataset(tiny_.folder / "data" / "data.yaml"), "train",
                                     {.image_size = kSize})
                    .images) {}

  FrozenPart frozen() const {
    return FrozenPart(model_.graph, weights_, frozen_parts(model_, {"backbone"}), 1);
  }
  std::unique_ptr<FeatureLoader> loader(int variants) const {
    return std::make_unique<FeatureLoader>(images_, frozen(), variants);
  }
  static loader::DetectionLoaderOptions options(int64_t epochs, int64_t close) {
    loader::DetectionLoaderOptions options;
    options.batch = kBatch;
    options.seed = 3;
    options.augment = loader::AugmentSettings();
    options.close_mosaic_epoch = close;
    options.epochs = epochs;
    return options;
  }
  FeatureBatch next(FeatureLoader& loader) {
    return loader.next([this](const loader::DetectionBatch& batch) { shown_.push_back(batch.epoch); });
  }
  // Some bytes that say which sample a batch's image is.
  static std::string sample(const FeatureBatch& batch, int64_t i) {
    const Tensor& map = batch.features.maps.back();
    const size_t bytes = map.byte_size() / static_cast<size_t>(map.dim(0));
    return {reinterpret_cast<const char*>(map.bytes()) + static_cast<size_t>(i) * bytes, bytes};
  }
  std::vector<std::string> epoch_of(FeatureLoader& loader) {
    std::vector<std::string> samples;
    for (int64_t b = 0; b < kBatches; ++b) {
      const FeatureBatch batch = next(loader);
      EXPECT_EQ(batch.number, b);
      for (int64_t i = 0; i < batch.features.images[0]; ++i) samples.push_back(sample(batch, i));
    }
    return samples;
  }
  static std::set<std::string> set_of(const std::vector<std::string>& samples) {
    return {samples.begin(), samples.end()};
  }

  testing::TinyRun tiny_;
  model::Model model_;
  Weights weights_;
  std::shared_ptr<loader::ImageStore> images_;
  std::vector<int64_t> shown_;  // epochs of the batches of images
};

TEST_F(FeatureLoaderTest, TheFirstEpochsAreThoseOfTheLoader) {
  const auto cached = loader(2);
  cached->start(options(3, 1), 3, 0);
  loader::DetectionLoader images(images_, options(3, 1));
  FrozenPart part = frozen();
  for (int64_t b = 0; b < 3 * kBatches; ++b) {
    const FeatureBatch found = next(*cached);
    const loader::DetectionBatch wanted = *images.next();
    EXPECT_EQ(found.epoch, wanted.epoch);
    EXPECT_EQ(found.number, wanted.number);
    EXPECT_EQ(found.features.images, wanted.images.shape());
    ASSERT_EQ(found.targets.shape(), wanted.targets.shape());
    EXPECT_TRUE(std::ranges::equal(found.targets.values(), wanted.targets.values()));
    EXPECT_EQ(found.ignored.shape(), wanted.ignored.shape());
    std::vector<Tensor> maps;
    for (const Tensor& map : found.features.maps) maps.emplace_back(map.shape());
    for (int64_t i = 0; i < wanted.images.dim(0); ++i) part.compute(wanted.images, i, maps, i);
    for (size_t k = 0; k < maps.size(); ++k)
      EXPECT_TRUE(std::ranges::equal(maps[k].values(), found.features.maps[k].values()));
  }
}

TEST_F(FeatureLoaderTest, LaterEpochsTakeTheVariantsInTurnInOrdersOfTheirOwn) {
  const auto cached = loader(2);
  cached->start(options(7, 5), 3, 0);
  std::vector<std::vector<std::string>> epochs;
  for (int e = 0; e < 7; ++e) epochs.push_back(epoch_of(*cached));
  // Two variants with mosaics and, from epoch 5 on, two without.
  EXPECT_EQ(std::set<int64_t>(shown_.begin(), shown_.end()), (std::set<int64_t>{0, 1, 5, 6}));
  EXPECT_EQ(shown_.size(), 4u * kBatches);
  EXPECT_EQ(set_of(epochs[0]).size(), 10u);
  for (const auto& [a, b] : {std::pair{0, 2}, {2, 4}, {1, 3}}) {
    EXPECT_EQ(set_of(epochs[static_cast<size_t>(a)]), set_of(epochs[static_cast<size_t>(b)]));
    EXPECT_NE(epochs[static_cast<size_t>(a)], epochs[static_cast<size_t>(b)]);
  }
  for (const auto& [a, b] : {std::pair{0, 1}, {0, 5}, {5, 6}})
    EXPECT_NE(set_of(epochs[static_cast<size_t>(a)]), set_of(epochs[static_cast<size_t>(b)]));

  // Another one that begins in the middle, and one with another order of the same samples.
  const auto later = loader(2), other = loader(2);
  later->start(options(7, 5), 3, 2 * kBatches);
  EXPECT_EQ(epoch_of(*later), epochs[2]);
  other->start(options(7, 5), 4, 0);
  const std::vector<std::string> reordered = epoch_of(*other);
  EXPECT_NE(reordered, epochs[0]);
  EXPECT_EQ(set_of(reordered), set_of(epochs[0]));
}

TEST_F(FeatureLoaderTest, SaysWhatItKeepsAndRefusesMoreThanFits) {
  EXPECT_SAYS(loader(3)->summary(), "of 10 images (");
  EXPECT_SAYS(loader(3)->summary(), "3 augmented variants");
  EXPECT_SAYS(testing::message_of([&] { loader(INT_MAX); }, ErrorKind::kUsage), "--cache-variants");
}

}  // namespace
}  // namespace marrow::train
