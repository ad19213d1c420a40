// Shards that are open: a few at a time.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

#include "marrow/base/random_access_file.h"
#include "marrow/loader/sharded_images.h"

namespace marrow::loader {

struct OpenShard {
  RandomAccessFile file;
  std::shared_ptr<const data::ShardIndex> index;
};

class OpenShards {
 public:
  OpenShards(const ShardedImages& images, size_t most) : images_(images), most_(most) {}
  // Throws Error where the shard or its index has changed, or cannot be read.
  std::shared_ptr<const OpenShard> get(size_t shard);

 private:
  const ShardedImages& images_;
  const size_t most_;
  std::mutex mutex_;
  std::list<std::pair<size_t, std::shared_ptr<const OpenShard>>> open_;  // the latest first
};

}  // namespace marrow::loader
