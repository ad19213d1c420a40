// The images that an epoch of training visits, wherever they lie: in which order, and which of them a mosaic
// may be made of. Functions of the options, the seed and the place in the order alone, so that the number of
// workers, what is cached and a resume change nothing.
//
// Any thread may use one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "marrow/base/random.h"
#include "marrow/loader/epoch_order.h"
#include "marrow/loader/image_store.h"

namespace marrow::loader {

class TrainingImages {
 public:
  virtual ~TrainingImages() = default;

  virtual size_t at(int64_t epoch, size_t position) = 0;
  // Another image for the one at a position, or itself.
  virtual size_t partner(int64_t epoch, size_t position, Random& random) = 0;

  // That image, or the next one that can be read. Throws Error{kFile} when none can.
  virtual FoundImage load(int64_t epoch, size_t index) = 0;
};

// What a loader is to know of its images before it loads any.
struct ImageFacts {
  size_t count = 0;
  int image_size = 0;
  Task task = Task::kDetect;
  ImageReading reading = {};
};

// All images of a split at hand. Partners are of the latest `window` images; 0: of all.
class StoredTrainingImages : public TrainingImages {
 public:
  StoredTrainingImages(std::shared_ptr<ImageStore> images, std::shared_ptr<const EpochOrder> order,
                       size_t window)
      : images_(std::move(images)), order_(std::move(order)), window_(window) {}

  size_t at(int64_t epoch, size_t position) override { return order_->at(epoch, position); }
  size_t partner(int64_t epoch, size_t position, Random& random) override {
    return window_ == 0 ? static_cast<size_t>(random.below(images_->size()))
                        : order_->recent(epoch, position, window_, random);
  }
  FoundImage load(int64_t, size_t index) override { return images_->load_readable(index); }

 private:
  std::shared_ptr<ImageStore> images_;
  std::shared_ptr<const EpochOrder> order_;
  size_t window_;
};

}  // namespace marrow::loader
