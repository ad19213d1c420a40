// Batches for training what follows a frozen part. What that part makes of an image is computed once for each
// of so many variants of the image and kept in memory.
//
// Variant k of the images is what loader::DetectionLoader makes of them for epoch k, or, from the epoch on
// that closes the mosaics, for the k-th from there. Epochs take the variants in turn. The first of them have
// the loader's order, too: a run of no more epochs than variants has the batches of a run without features.
// Later ones have orders of their own. Every batch is a function of images, options and its place.
//
// One thread.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "marrow/loader/detection_loader.h"
#include "marrow/train/frozen_part.h"
#include "marrow/train/step/training_executor.h"

namespace marrow::train {

struct FeatureBatch {
  int64_t epoch = 0, number = 0;  // as of loader::DetectionBatch
  Features features;
  Tensor targets, ignored;
};

class FeatureLoader {
 public:
  // `variants`: of an image. Throws Error{kUsage} when their features take more than half of the memory that
  // is available now.
  FeatureLoader(std::shared_ptr<loader::ImageStore> images, FrozenPart frozen, int variants);

  // What is kept, and what it takes: for a person to read.
  std::string summary() const;

  // Batch `first` of the run comes next. `options` are those of a loader for training; their seed decides the
  // variants and is the same every time. `order_seed`: of the orders of epochs.
  void start(loader::DetectionLoaderOptions options, uint64_t order_seed, int64_t first);

  // The next batch. `show` gets every batch of images before its features are computed.
  FeatureBatch next(const std::function<void(const loader::DetectionBatch&)>& show);

  double waited_seconds() const { return waited_; }  // for features to be computed, in total

 private:
  // Rows of a batch, by image, without the number of the image.
  template <size_t kColumns>
  using Rows = std::vector<std::vector<std::array<float, kColumns>>>;
  struct Variant {
    std::vector<Tensor> maps;  // (images, C, H, W)
    Rows<5> targets;
    Rows<4> ignored;
  };

  double bytes() const;
  int64_t variant_of(int64_t epoch);
  const Variant& made(int64_t epoch, const std::function<void(const loader::DetectionBatch&)>& show);
  std::vector<size_t> order_of(int64_t epoch, bool first_time) const;

  std::shared_ptr<loader::ImageStore> images_;
  FrozenPart frozen_;
  const int64_t variants_;
  const size_t count_;  // images of an epoch
  loader::DetectionLoaderOptions options_;
  uint64_t order_seed_ = 0;
  int64_t next_ = 0;
  int64_t phase_ = -1;  // first epoch of those that share the variants; -1: before mosaics are closed
  std::map<int64_t, Variant> made_;  // by the loader's epoch
  double waited_ = 0;
};

}  // namespace marrow::train
