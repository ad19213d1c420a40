// Samples of shards as bytes, read ahead of those who want them, from each shard's first to its last.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "marrow/loader/open_shards.h"
#include "marrow/loader/shard_order.h"

namespace marrow::loader {

struct RawSample {
  std::string image, label;
  uint64_t bytes() const { return image.size() + label.size(); }
};

// One sample. Throws Error naming shard, member and byte where it cannot be read, or is not what the index
// says.
RawSample read_sample(const ShardedImages& images, const OpenShard& shard, size_t number);

class ShardReadAhead {
 public:
  struct Options {
    std::vector<bool> streams;     // those that are read
    uint64_t bytes_of_stream = 0;  // held of each, at most
    int64_t first_epoch = 0, epochs = 1;
    std::vector<uint64_t> first_read;  // of each stream: how many samples of the first epoch are passed over
  };
  // Images, plan and shards outlive it.
  ShardReadAhead(const ShardedImages& images, const ShardPlan& plan, OpenShards& shards, Options options);
  ~ShardReadAhead();
  ShardReadAhead(const ShardReadAhead&) = delete;
  ShardReadAhead& operator=(const ShardReadAhead&) = delete;

  // Any thread. The order has come to a sample; `wanted`: somebody here will find() it and then be done().
  void visited(int64_t epoch, const ShardEpoch::Place& place, bool wanted);
  std::shared_ptr<const RawSample> find(int64_t epoch, size_t index) const;  // null: it is not here
  void done(int64_t epoch, size_t index);

  uint64_t bytes_held() const;

 private:
  struct Cursor {
    int64_t epoch = 0;
    std::vector<size_t> shards;
    size_t shard = 0, number = 0;                       // what is read next
    uint64_t read = 0;                                  // how much of the epoch was read
    uint64_t bytes = 0;                                 // held
    std::map<int64_t, std::set<uint64_t>> drawn_early;  // what was visited before it was read
  };
  struct Held {
    std::shared_ptr<const RawSample> sample;
    size_t stream = 0;
    bool visited = false;
  };
  struct Run;

  // What an index in an epoch is called while this epoch or the next is read.
  static uint64_t key(int64_t epoch, size_t index) {
    return uint64_t{index} * 2 + static_cast<uint64_t>(epoch & 1);
  }
  void loop();
  bool next_stream(size_t& stream) const;
  void pass_drawn(Cursor& cursor);
  Run read_run(const Cursor& cursor);
  void keep(size_t stream, Run run);
  void erase(std::unordered_map<uint64_t, Held>::iterator held);
  void skip(Cursor& cursor, uint64_t samples);

  const ShardedImages& images_;
  const ShardPlan& plan_;
  OpenShards& shards_;
  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::vector<Cursor> cursors_;  // by stream; the thread changes all but bytes and drawn_early
  std::unordered_map<uint64_t, Held> held_;
  int64_t epoch_;  // the latest that was visited
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace marrow::loader
