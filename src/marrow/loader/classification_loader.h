// Batches for training and validating a classifier; the same promises as detection_loader.h: worker threads,
// in order, and every byte a function of the images, the options and the batch's place.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/data/dataset_folders.h"
#include "marrow/image/resize.h"
#include "marrow/loader/augment/classification.h"
#include "marrow/loader/batch_share.h"
#include "marrow/loader/epoch_order.h"
#include "marrow/loader/image_store.h"
#include "marrow/loader/ordered_work.h"
#include "marrow/loader/sharded_images.h"
#include "marrow/loader/training_images.h"

namespace marrow::loader {

// For an ImageStore with image_size 0: each image has one label, its class.
std::vector<data::LabelledImage> as_labelled(std::span<const data::ClassifiedImage> images);

struct ClassificationLoaderOptions {
  int classes = 1;
  int size = 224;  // of the square that the network sees
  int batch = 16;
  int workers = 0;  // 0: the consumer makes its batches itself, when it asks for them
  int ahead = 3;    // batches in memory, the consumer's among them
  uint64_t seed = 0;

  // Training: shuffled and augmented. Without it: in order, resized and cropped as the network's source says,
  // and images that cannot be read are missing from their batch.
  std::optional<ClassificationAugment> augment;
  int shorter_side = 224;  // validation
  image::ResizeFilter filter = image::ResizeFilter::kAntialiasedBilinear;

  int64_t epochs = 1;  // the row of batches ends before this epoch
  BatchShare share;    // of each batch, that is loaded; not with mixup or cutmix, which mix whole ones
};

struct ClassificationBatch {
  int64_t epoch = 0;
  int64_t number = 0;          // in the epoch
  Tensor images;               // (N, C, size, size), see batch_tensor; red first; N may be 0 in validation
  Tensor targets;              // (N, classes) float32, each row sums to 1
  std::vector<int> class_ids;  // N: of the image itself, whatever was mixed into it
  std::vector<size_t> index;   // N: in the store
};

class ClassificationLoader {
 public:
  // The store has image_size 0. Throws Error{kUsage} for options without meaning and Error{kFile} for a store
  // without images.
  ClassificationLoader(std::shared_ptr<ImageStore> images, ClassificationLoaderOptions options,
                       int64_t first_epoch = 0, int64_t first_batch = 0);
  // Training alone.
  ClassificationLoader(std::shared_ptr<const ShardedImages> shards, ClassificationLoaderOptions options,
                       int64_t first_epoch = 0, int64_t first_batch = 0);
  ~ClassificationLoader();

  int64_t batches_per_epoch() const { return batches_per_epoch_; }
  std::optional<ClassificationBatch> next();  // as DetectionLoader
  double waited_seconds() const { return work_->waited_seconds(); }

 private:
  struct Slot {
    Tensor images;
    std::vector<std::optional<size_t>> index;
    std::vector<int> class_ids;
  };

  ClassificationLoader(const ImageFacts& facts, const ClassificationLoaderOptions& options,
                       int64_t first_epoch, int64_t first_batch);
  void start();

  BatchShare::Places places(int64_t number) const;  // of the share of a batch
  int64_t open(int64_t batch);
  void run(int64_t batch, int64_t item);
  ClassificationBatch assemble(int64_t batch);
  void mix(ClassificationBatch& batch) const;

  const ImageFacts facts_;
  ClassificationLoaderOptions options_;
  std::shared_ptr<ImageStore> images_;        // none of shards
  std::unique_ptr<TrainingImages> training_;  // or none
  int64_t batches_per_epoch_ = 0;
  int64_t next_ = 0;
  std::vector<Slot> slots_;
  std::unique_ptr<OrderedWork> work_;  // last: its threads use the rest
};

}  // namespace marrow::loader
