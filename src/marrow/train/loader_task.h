// Training on the batches of a loader, whatever is in them: which batch is next, and where a
// batch stands in the run.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "marrow/cpu/thread_pool.h"
#include "marrow/distributed/communicator.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/loader/batch_share.h"
#include "marrow/loader/detection_loader.h"
#include "marrow/train/recipe/train_options.h"
#include "marrow/train/task.h"

namespace marrow::train {

// Loader: DetectionLoader or ClassificationLoader.
template <class Loader, class LoaderOptions>
class LoaderTask : public Task {
 public:
  int64_t images() const override { return images_; }
  int64_t batches_per_epoch() const override { return (images() + options_.batch - 1) / options_.batch; }
  double waited_seconds() const override { return waited_ + (loader_ ? loader_->waited_seconds() : 0); }

  void start(const Place& place) override {
    if (loader_) waited_ += loader_->waited_seconds();
    loader_.reset();  // its threads end before others begin
    seed_ = place.seed;
    // Behind the last batch of an epoch stands the first of the next.
    const int64_t batches = batches_per_epoch();
    const int64_t epoch = place.epoch + place.batch / batches, batch = place.batch % batches;
    loader_ = train_.shards != nullptr
                  ? std::make_unique<Loader>(train_.shards, complete_options(place), epoch, batch)
                  : std::make_unique<Loader>(train_.images, complete_options(place), epoch, batch);
  }

 protected:
  // `communicator`: with other workers; outlives this.
  LoaderTask(const TrainOptions& options, std::vector<std::string> names, evaluate::OpenedSplit train,
             evaluate::OpenedSplit val, distributed::Communicator* communicator)
      : options_(options),
        communicator_(communicator),
        share_(communicator == nullptr ? loader::BatchShare()
                                       : loader::BatchShare{communicator->rank(), communicator->size()}),
        names_(std::move(names)),
        train_(std::move(train)),
        val_(std::move(val)),
        workers_(std::min(options.workers, cpu::thread_count(options.threads))),
        images_(static_cast<int64_t>(evaluate::images_of_epoch(train_))) {}

  // What is this task's own; the rest follows from the place.
  virtual LoaderOptions loader_options(const Place& place) const = 0;

  LoaderOptions complete_options(const Place& place) const {
    LoaderOptions loader = loader_options(place);
    loader.batch = options_.batch;
    loader.workers = workers_;
    loader.seed = place.seed;
    loader.epochs = place.epochs;
    loader.share = share_;
    return loader;
  }

  // Nothing is kept for a backward pass, so that more images fit.
  int validation_batch() const { return 2 * options_.batch; }

  // Of the largest batch of validation, with images of this size, and of those that its loader holds.
  int64_t bytes_of_validation(TrainingExecutor& executor, Size size, std::span<const Value> outputs) const {
    constexpr int kHeld = 3;
    const ImageReading& reading = val_.images->reading();
    const Shape images = {std::min<int64_t>(validation_batch(), static_cast<int64_t>(val_.images->size())),
                          reading.samples.channels, size.height, size.width};
    return executor.evaluation_bytes(images, outputs) +
           kHeld * element_count(images) * (reading.samples.bits / 8);
  }

  template <class LoaderBatch>
  TrainingPlace place_of(const LoaderBatch& batch) const {
    return {seed_, batch.epoch, share_.places(images_, options_.batch, batch.number).first};
  }
  // Images of a batch of training, of all workers.
  int64_t whole_batch(int64_t number) const {
    return loader::BatchShare().places(images_, options_.batch, number).count;
  }

  const TrainOptions options_;
  distributed::Communicator* const communicator_;  // none: alone
  const loader::BatchShare share_;
  const std::vector<std::string> names_;
  const evaluate::OpenedSplit train_, val_;
  const int workers_;     // no more than threads that compute
  const int64_t images_;  // of an epoch
  std::unique_ptr<Loader> loader_;
  uint64_t seed_ = 0;

 private:
  double waited_ = 0;  // for loaders that are gone
};

}  // namespace marrow::train
