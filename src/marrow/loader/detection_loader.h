// Batches for training and validating a detector.
//
// An endless or bounded row of batches, epoch after epoch, made ahead by worker threads and handed over in
// order. Every batch is a function of the images, the options and its place in that row: the number of
// workers, what is cached and where the loader started change no byte of it.
//
// One thread consumes; destroying the loader at any moment is fine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/loader/augment/pipeline.h"
#include "marrow/loader/batch_share.h"
#include "marrow/loader/detection_batch.h"
#include "marrow/loader/epoch_order.h"
#include "marrow/loader/image_store.h"
#include "marrow/loader/ordered_work.h"
#include "marrow/loader/sharded_images.h"
#include "marrow/loader/training_images.h"

namespace marrow::loader {

struct DetectionLoaderOptions {
  int batch = 16;
  int workers = 0;  // 0: the consumer makes its batches itself, when it asks for them
  int ahead = 3;    // batches in memory, the consumer's among them
  uint64_t seed = 0;

  // Rectangular batches, in the order of their aspect ratio. Otherwise squares of the image size.
  bool rectangular = false;
  int stride = 32;   // of the network, for rectangles
  double pad = 0.5;  // 0.5 in validation, 0 in training

  // Training: the images that training_images() says, shuffled (unless rectangular) and augmented. Without
  // it: in order, letterboxed, never enlarged beyond the image size, and images that cannot be read are
  // missing from their batch.
  std::optional<AugmentSettings> augment;
  int64_t close_mosaic_epoch = INT64_MAX;  // from this epoch (from 0) on: AugmentSettings::without_joining
  MaskOptions masks;

  // Mosaic partners from all images and not only from the latest ones (the reference implementation does so
  // with cache=ram).
  bool partners_from_all = false;

  int64_t epochs = 1;  // the row ends before this epoch
  BatchShare share;    // of each batch, that is loaded
};

// The images of an epoch of training: all. Of tiles those with objects, and at most as many without, drawn
// anew in every epoch: most tiles of large images with small objects are empty, and would outweigh the
// objects.
EpochImages training_images(const ImageStore& images);

class DetectionLoader {
 public:
  // Starts with batch `first_batch` of epoch `first_epoch`. Other loaders may use the store at the same time.
  // Throws Error{kUsage} for options without meaning and Error{kFile} for a store without images.
  DetectionLoader(std::shared_ptr<ImageStore> images, DetectionLoaderOptions options, int64_t first_epoch = 0,
                  int64_t first_batch = 0);
  // Training alone, of squares.
  DetectionLoader(std::shared_ptr<const ShardedImages> shards, DetectionLoaderOptions options,
                  int64_t first_epoch = 0, int64_t first_batch = 0);
  ~DetectionLoader();

  int64_t batches_per_epoch() const { return batches_per_epoch_; }

  // The next batch, or nothing after the last epoch. Throws what went wrong while it was made, Error{kFile}
  // when no image at all can be read (training).
  std::optional<DetectionBatch> next();

  // How long the consumer waited in next(), in total.
  double waited_seconds() const { return work_->waited_seconds(); }

 private:
  struct Made {
    bool present = false;
    BatchImage origin;
    std::vector<Object> objects;
    std::vector<Box<ImagePixels>> ignored;
    std::vector<int32_t> masks;
  };
  struct Slot {
    Size size;
    Tensor images;
    std::vector<Made> made;
  };

  DetectionLoader(const ImageFacts& facts, const DetectionLoaderOptions& options, size_t epoch_images,
                  int64_t first_epoch, int64_t first_batch);
  void start();
  BatchShare::Places places(int64_t number) const;  // of the share of a batch
  int64_t open(int64_t batch);
  void run(int64_t batch, int64_t item);
  Sample training_sample(int64_t epoch, size_t position, Size size, Made& made, bool& keep_bgr) const;
  bool validation_sample(size_t index, Size size, Sample& sample, Made& made) const;
  Size batch_size(int64_t number) const;
  DetectionBatch assemble(int64_t batch);

  const ImageFacts facts_;
  DetectionLoaderOptions options_;
  const size_t epoch_images_;
  std::shared_ptr<ImageStore> images_;  // none of shards
  std::vector<Size> rectangles_;
  std::shared_ptr<const EpochOrder> order_;   // validation
  std::unique_ptr<TrainingImages> training_;  // or none
  int64_t batches_per_epoch_ = 0;
  int64_t next_ = 0;
  std::vector<Slot> slots_;
  std::unique_ptr<OrderedWork> work_;  // last: its threads use the rest
};

}  // namespace marrow::loader
