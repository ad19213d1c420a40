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
#include "marrow/geometry/letterbox.h"
#include "marrow/loader/augment/pipeline.h"
#include "marrow/loader/epoch_order.h"
#include "marrow/loader/image_store.h"
#include "marrow/loader/ordered_work.h"

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
  Task task = Task::kDetect;
  bool overlap_mask = true;  // kSegment: what the masks of a batch are
  int mask_ratio = 4;

  // Mosaic partners from all images and not only from the latest ones (the reference implementation does so
  // with cache=ram).
  bool partners_from_all = false;

  int64_t epochs = 1;  // the row ends before this epoch
};

// Where an image lies in its part of the batch (validation); what it takes to move boxes back.
struct BatchImage {
  size_t index = 0;  // in the store; in training the next readable image may have taken its place
  Size original;
  double ratio_height = 1, ratio_width = 1;  // loaded / original
  double left = 0, top = 0;                  // padding

  // 8.3 takes the height's factor for both sides.
  RatioPad ratio_pad(Rules rules = kDefaultRules) const {
    return {rules == Rules::k84 ? ratio_width : ratio_height, ratio_height, left, top};
  }
};

struct DetectionBatch {
  int64_t epoch = 0;
  int64_t number = 0;  // in the epoch
  Tensor images;       // (N, C, H, W), see batch_tensor; red first; N may be 0 in validation
  // (M, 6) float32: image in the batch, class, cx, cy, w, h as parts of H and W; for kObb (M, 7): the centre,
  // w / W, h / H and angle (radians) of the turned box, whatever its angle. Images in rising order.
  Tensor targets;
  // kSegment, int32, of H / mask_ratio x W / mask_ratio pixels. Overlapping: (N, h, w), 0 background, i the
  // image's i-th row of targets from 1, the smaller of two where both are. Otherwise (M, h, w) of 0 and 1.
  Tensor masks;
  Tensor keypoints;                // kPose: (M, K, 3) float32: x / W, y / H, visibility
  Tensor ignored;                  // (R, 5) float32, regions to ignore: the same without a class
  std::vector<BatchImage> origin;  // N
};

// Objects and regions to ignore as the rows of a batch.
class BatchRows {
 public:
  // Those of the batch's next image, in pixels of the input.
  void add(std::span<const Object> objects, std::span<const Box<ImagePixels>> ignored, Size input);
  void move_into(DetectionBatch& batch) &&;

 private:
  int64_t images_ = 0;
  std::vector<float> targets_, ignored_;
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
  };
  struct Slot {
    Size size;
    Tensor images;
    std::vector<Made> made;
  };

  int64_t open(int64_t batch);
  void run(int64_t batch, int64_t item);
  Sample training_sample(int64_t epoch, size_t position, Size size, Made& made, bool& keep_bgr) const;
  bool validation_sample(size_t index, Size size, Sample& sample, Made& made) const;
  Size batch_size(int64_t number) const;
  DetectionBatch assemble(int64_t batch);

  std::shared_ptr<ImageStore> images_;
  DetectionLoaderOptions options_;
  std::vector<Size> rectangles_;
  std::unique_ptr<EpochOrder> order_;
  size_t window_ = 0;  // of mosaic partners
  int64_t batches_per_epoch_ = 0;
  int64_t next_ = 0;
  std::vector<Slot> slots_;
  std::unique_ptr<OrderedWork> work_;  // last: its threads use the rest
};

}  // namespace marrow::loader
