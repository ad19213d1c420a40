// The images of a split that lies in shards, for training: what is read of them at any time is bounded,
// however many there are.
//
// Any thread may use them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "marrow/data/dataset.h"
#include "marrow/data/shards/shard_files.h"
#include "marrow/loader/batch_share.h"
#include "marrow/loader/shard_order.h"
#include "marrow/loader/training_images.h"

namespace marrow::loader {

inline constexpr uint64_t kDefaultShardLimit = 1'000'000'000;  // bytes

struct ShardedImagesOptions {
  int image_size = 640;  // as ImageStoreOptions has it
  ImageReading reading = {};
  // Bytes of images, encoded and decoded, of all workers together. The order of an epoch follows from it.
  uint64_t limit = kDefaultShardLimit;
  std::function<void(data::LabelledImage&)> settle = {};  // what becomes of the labels that were read
  std::function<void(const std::string& message)> report = {};
};

class ShardedImages {
 public:
  // Throws Error{kFile} for shards without samples.
  ShardedImages(data::Dataset dataset, std::vector<data::ShardFile> shards, ShardedImagesOptions options);

  size_t size() const { return first_.back(); }
  ImageFacts facts() const { return {size(), options_.image_size, dataset_.task, options_.reading}; }
  const data::Dataset& dataset() const { return dataset_; }
  const std::vector<data::ShardFile>& shards() const { return shards_; }
  const ShardedImagesOptions& options() const { return options_; }
  uint64_t sample_bytes() const;  // on average
  // Half of the limit is for encoded images, half for decoded ones.
  uint64_t encoded_limit() const { return options_.limit / 2; }
  uint64_t decoded_limit() const { return options_.limit / 2; }

  // Samples are numbered through all shards.
  size_t index_of(size_t shard, size_t number) const { return first_[shard] + number; }
  size_t shard_of(size_t index) const;
  size_t first_of(size_t shard) const { return first_[shard]; }

  // Gives a message about a sample to options().report, once, and of all no more than kMostNamed.
  static constexpr size_t kMostNamed = 1000;
  void name_once(size_t index, const std::string& message) const;

 private:
  const data::Dataset dataset_;
  const std::vector<data::ShardFile> shards_;
  const ShardedImagesOptions options_;
  std::vector<size_t> first_;  // of each shard, and how many there are in all
  mutable std::mutex mutex_;
  mutable std::set<size_t> named_;
};

struct ShardStreamOptions {
  uint64_t seed = 0;
  int batch = 16;
  int ahead = 3;  // batches that are made at a time
  BatchShare share;
  int64_t first_epoch = 0;
  size_t first_position = 0;  // of that epoch
  int64_t epochs = 1;
};

// Of a loader of batches, whose options these are.
template <class LoaderOptions>
ShardStreamOptions stream_options(const LoaderOptions& loader, int64_t first_epoch, int64_t first_batch) {
  return {.seed = loader.seed,
          .batch = loader.batch,
          .ahead = loader.ahead,
          .share = loader.share,
          .first_epoch = first_epoch,
          .first_position = static_cast<size_t>(first_batch) * static_cast<size_t>(loader.batch),
          .epochs = loader.epochs};
}

// For a person: how many streams, and how large their buffers.
std::string shards_text(const ShardedImages& images, int batch);
// How an epoch of batches of so many images reads them.
ShardPlan plan_of(const ShardedImages& images, int batch, uint64_t seed);

// Of one loader. A thread reads the shards of the share's places ahead, as far as the limit reaches; what it
// has not read when it is wanted is read then.
std::unique_ptr<TrainingImages> open_shard_stream(std::shared_ptr<const ShardedImages> images,
                                                  const ShardStreamOptions& options);

}  // namespace marrow::loader
