// In which order an epoch visits the samples of shards, of which each is read from its first to its last.
//
// An epoch shuffles the shards and deals them to streams, each to the one that has the fewest samples yet. A
// stream reads its shards one after another into a shuffle buffer, from which the next sample is drawn. Place
// p of a batch of n draws from stream p * streams / n, so that neighbouring places, a worker's, need few of
// the streams; where that one has no more, from the one that has most left. Every sample is visited once an
// epoch. All of that is a function of the plan and the epoch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "marrow/base/random.h"

namespace marrow::loader {

struct ShardPlan {
  std::vector<uint64_t> samples;  // of each shard; in all at least one
  uint64_t seed = 0;
  size_t batch = 1;
  size_t streams = 1;
  size_t buffer = 1;    // samples of a stream's shuffle buffer
  size_t partners = 1;  // of a stream's latest samples, for mosaics

  uint64_t count() const;
};

// A stream has at least four places of a batch, so that mosaics have a choice, and as many partners as these
// places had in eight batches. A stream's buffer has as many samples of `sample_bytes`, on average, as its
// part of `buffer_bytes` holds.
ShardPlan plan_shards(std::vector<uint64_t> samples, uint64_t seed, size_t batch, uint64_t buffer_bytes,
                      uint64_t sample_bytes);

// The shards of each stream, in the order in which an epoch reads them.
std::vector<std::vector<size_t>> deal_shards(const ShardPlan& plan, int64_t epoch);

// One thread at a time.
class ShardEpoch {
 public:
  struct Sample {
    size_t shard = 0, number = 0;  // in the shard
  };
  struct Place {
    Sample sample;
    size_t stream = 0;
    uint64_t read = 0;           // how many samples the stream had read before this one
    uint64_t visited = 0;        // and how many were visited
    std::vector<Sample> coming;  // of the first ones: partners that are still in the buffer
  };

  // Positions more than `kept` before the latest are forgotten. The plan outlives this.
  ShardEpoch(const ShardPlan& plan, int64_t epoch, size_t kept);

  // Sees to it that the places up to `position` are known; tells of each, in order.
  using Visit = std::function<void(size_t position, const Place& place)>;
  void advance(size_t position, const Visit& visit = {});
  const Place& at(size_t position) const { return places_[position - forgotten_]; }  // is known
  Sample partner(size_t position, Random& random) const;

  // How many samples a stream has read so far.
  uint64_t read_of(size_t stream) const { return streams_[stream].read; }

 private:
  struct Buffered {
    Sample sample;
    uint64_t read = 0;
  };
  struct Stream {
    std::vector<size_t> shards;
    size_t shard = 0, number = 0;  // what is read next
    uint64_t read = 0, visited = 0, left = 0;
    std::vector<Buffered> buffer;
    std::deque<Sample> latest;  // that were visited
  };

  bool read_next(Stream& stream);
  size_t stream_of(size_t position) const;

  const ShardPlan& plan_;
  const int64_t epoch_;
  const size_t count_, kept_;
  std::vector<Stream> streams_;
  std::deque<Place> places_;
  size_t forgotten_ = 0;
};

}  // namespace marrow::loader
