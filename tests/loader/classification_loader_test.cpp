#include "marrow/loader/classification_loader.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "loader/all_batches.h"
#include "loader/temporary_images.h"
#include "marrow/base/error.h"

namespace marrow::loader {
namespace {

using testing::all_batches;

std::shared_ptr<ImageStore> classified_store(const testing::TemporaryImages& folder, ImageCache cache) {
  std::vector<data::ClassifiedImage> images;
  for (size_t i = 0; i < folder.images.size(); ++i)
    images.push_back({folder.path(i), static_cast<int>(i % 3)});
  return std::make_shared<ImageStore>(as_labelled(images),
                                      ImageStoreOptions{.image_size = 0, .cache = cache});
}

ClassificationLoaderOptions classification_options(int workers) {
  ClassificationAugment augment;
  augment.mixup = 0.4;
  augment.cutmix = 0.4;
  augment.label_smoothing = 0.1;
  return {
      .classes = 3, .size = 24, .batch = 4, .workers = workers, .seed = 3, .augment = augment, .epochs = 3};
}

bool equal(const ClassificationBatch& a, const ClassificationBatch& b) {
  return a.epoch == b.epoch && a.number == b.number && a.index == b.index && a.class_ids == b.class_ids &&
         std::ranges::equal(a.images.values<uint8_t>(), b.images.values<uint8_t>()) &&
         std::ranges::equal(a.targets.values(), b.targets.values());
}

TEST(ClassificationLoader, BytesDoNotDependOnWorkersCacheOrStart) {
  testing::TemporaryImages folder;
  folder.add_some(10);
  ClassificationLoader alone(classified_store(folder, ImageCache::kRecent), classification_options(0));
  const std::vector<ClassificationBatch> wanted = all_batches(alone);
  ASSERT_EQ(wanted.size(), 9u);
  EXPECT_FALSE(equal(wanted[0], wanted[3]));
  for (const int workers : {1, 2, 5})
    for (const int64_t start : {0, 4}) {
      ClassificationLoader loader(classified_store(folder, ImageCache::kWhenItFits),
                                  classification_options(workers), start / 3, start % 3);
      const std::vector<ClassificationBatch> batches = all_batches(loader);
      ASSERT_EQ(batches.size(), wanted.size() - static_cast<size_t>(start));
      for (size_t i = 0; i < batches.size(); ++i)
        EXPECT_TRUE(equal(batches[i], wanted[i + static_cast<size_t>(start)]));
    }
}

TEST(ClassificationLoader, EveryRowOfTargetsSumsToOne) {
  testing::TemporaryImages folder;
  folder.add_some(7);
  ClassificationLoaderOptions options = classification_options(2);
  options.epochs = 20;
  ClassificationLoader loader(classified_store(folder, ImageCache::kAll), options);
  bool mixed = false;
  for (const ClassificationBatch& batch : all_batches(loader))
    for (size_t i = 0; i < batch.index.size(); ++i) {
      const auto row = batch.targets.values().subspan(i * 3, 3);
      EXPECT_NEAR(row[0] + row[1] + row[2], 1, 1e-6);
      mixed |= *std::ranges::max_element(row) < 0.9f;
    }
  EXPECT_TRUE(mixed);
}

TEST(ClassificationLoader, ValidatesInOrderWithoutBrokenImages) {
  testing::TemporaryImages folder;
  folder.add_some(5);
  folder.spoil(0);
  folder.spoil(4);
  ClassificationLoader loader(classified_store(folder, ImageCache::kAll),
                              {.classes = 3, .size = 16, .batch = 4, .workers = 2, .shorter_side = 20});
  const std::vector<ClassificationBatch> batches = all_batches(loader);
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].index, (std::vector<size_t>{1, 2, 3}));
  EXPECT_EQ(batches[0].class_ids, (std::vector<int>{1, 2, 0}));
  EXPECT_EQ(batches[0].images.shape(), (Shape{3, 3, 16, 16}));
  EXPECT_FLOAT_EQ(batches[0].targets.values()[1], 1);
  EXPECT_EQ(batches[1].images.dim(0), 0);
}

TEST(ClassificationLoader, RefusesAClassThatIsNotThere) {
  testing::TemporaryImages folder;
  folder.add_some(5);
  EXPECT_THROW(ClassificationLoader(classified_store(folder, ImageCache::kAll), {.classes = 2}), Error);
  EXPECT_THROW(ClassificationLoader(classified_store(folder, ImageCache::kAll), {.classes = 3, .batch = 0}),
               Error);
}

}  // namespace
}  // namespace marrow::loader
