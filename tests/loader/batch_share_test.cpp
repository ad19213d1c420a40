// Workers that each load a share of every batch have together what one has.
#include "marrow/loader/batch_share.h"

#include <gtest/gtest.h>

#include "loader/all_batches.h"
#include "loader/temporary_images.h"
#include "marrow/loader/classification_loader.h"
#include "marrow/loader/detection_loader.h"
#include "support/message_of.h"

namespace marrow::loader {
namespace {

TEST(BatchShare, PartsFollowEachOtherAndDifferByOneAtMost) {
  for (const int64_t workers : {1, 2, 3, 7, 16})
    for (const int64_t images : {0, 1, 5, 16, 33}) {
      int64_t next = 0;
      for (int64_t worker = 0; worker < workers; ++worker) {
        const BatchShare share = {worker, workers};
        EXPECT_EQ(share.begin(images), next);
        next += share.count(images);
        EXPECT_LE(std::abs(share.count(images) * workers - images), workers);
      }
      EXPECT_EQ(next, images);
    }
}

DetectionLoaderOptions whole_batches(bool training) {
  DetectionLoaderOptions options = {.batch = 4, .seed = 3, .epochs = training ? 2 : 1};
  if (training) {
    options.augment = AugmentSettings();
    options.augment->mosaic = 0.7;
    options.augment->mixup = 0.5;
  }
  return options;
}

// The shares of a batch, one after another, are its bytes; rows name the images anew.
TEST(BatchShare, DetectionBatchesAreThoseOfOneWorker) {
  testing::TemporaryImages folder;
  folder.add_some(10);
  const auto store = std::make_shared<ImageStore>(folder.images, ImageStoreOptions{.image_size = 64});
  for (const bool training : {true, false})
    for (const int64_t workers : {2, 3, 5}) {
      DetectionLoader whole(store, whole_batches(training));
      std::vector<std::unique_ptr<DetectionLoader>> shares;
      for (int64_t worker = 0; worker < workers; ++worker) {
        DetectionLoaderOptions options = whole_batches(training);
        options.share = {worker, workers};
        shares.push_back(std::make_unique<DetectionLoader>(store, options));
      }
      while (const std::optional<DetectionBatch> batch = whole.next()) {
        const std::byte* pixels = batch->images.bytes();
        const float* row = batch->targets.values().data();
        float first = 0;
        for (const auto& share : shares) {
          const DetectionBatch part = *share->next();
          EXPECT_EQ(part.number, batch->number);
          EXPECT_TRUE(std::equal(part.images.bytes(), part.images.bytes() + part.images.byte_size(), pixels));
          pixels += part.images.byte_size();
          for (size_t i = 0; i < part.targets.values().size(); ++i, ++row)
            ASSERT_EQ(part.targets.values()[i] + (i % 6 == 0 ? first : 0), *row);
          first += static_cast<float>(part.images.dim(0));
        }
        EXPECT_EQ(pixels, batch->images.bytes() + batch->images.byte_size());
      }
      for (const auto& share : shares) EXPECT_FALSE(share->next());
    }
}

TEST(BatchShare, AClassifiersMixingOfWholeBatchesIsRefused) {
  testing::TemporaryImages folder;
  folder.add_some(10);
  std::vector<data::LabelledImage> images = folder.images;
  for (data::LabelledImage& image : images) image.labels = {{0, 0.5, 0.5, 1, 1}};
  const auto store = std::make_shared<ImageStore>(images, ImageStoreOptions{.image_size = 0});
  ClassificationLoaderOptions options;
  options.augment = ClassificationAugment();
  options.share = {0, 2};
  EXPECT_NO_THROW(ClassificationLoader(store, options));
  options.augment->mixup = 0.5;
  EXPECT_NE(testing::message_of([&] { ClassificationLoader(store, options); }).find("mixup and cutmix"),
            std::string::npos);
}

}  // namespace
}  // namespace marrow::loader
