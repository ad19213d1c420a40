#include "marrow/loader/shard_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "marrow/base/random_key.h"
#include "marrow/loader/epoch_order.h"

namespace marrow::loader {
namespace {

constexpr size_t kPlacesOfStream = 4, kMostStreams = 128;
constexpr size_t kPartnerBatches = 8, kMostPartners = 1000;  // as mosaic_window()
constexpr size_t kMostComing = 32;  // partners of the first places that are still to come

}  // namespace

uint64_t ShardPlan::count() const {
  return std::accumulate(samples.begin(), samples.end(), uint64_t{0});
}

ShardPlan plan_shards(std::vector<uint64_t> samples, uint64_t seed, size_t batch, uint64_t buffer_bytes,
                      uint64_t sample_bytes) {
  ShardPlan plan;
  plan.seed = seed;
  plan.batch = batch;
  const auto filled = static_cast<size_t>(std::ranges::count_if(samples, [](uint64_t n) { return n > 0; }));
  plan.streams = std::clamp<size_t>(batch / kPlacesOfStream, 1, std::clamp<size_t>(filled, 1, kMostStreams));
  plan.samples = std::move(samples);
  const uint64_t buffered = buffer_bytes / plan.streams / std::max<uint64_t>(sample_bytes, 1);
  plan.buffer = static_cast<size_t>(std::clamp<uint64_t>(buffered, 1, plan.count()));
  plan.partners = std::clamp<size_t>(kPartnerBatches * batch / plan.streams, 1, kMostPartners);
  return plan;
}

std::vector<std::vector<size_t>> deal_shards(const ShardPlan& plan, int64_t epoch) {
  std::vector<std::vector<size_t>> streams(plan.streams);
  std::vector<uint64_t> samples(plan.streams);
  for (const size_t shard : shuffled_order(plan.samples.size(), plan.seed, epoch)) {
    if (plan.samples[shard] == 0) continue;
    const auto fewest = static_cast<size_t>(std::ranges::min_element(samples) - samples.begin());
    streams[fewest].push_back(shard);
    samples[fewest] += plan.samples[shard];
  }
  return streams;
}

ShardEpoch::ShardEpoch(const ShardPlan& plan, int64_t epoch, size_t kept)
    : plan_(plan), epoch_(epoch), count_(plan.count()), kept_(kept), streams_(plan.streams) {
  std::vector<std::vector<size_t>> dealt = deal_shards(plan, epoch);
  for (size_t i = 0; i < streams_.size(); ++i) {
    streams_[i].shards = std::move(dealt[i]);
    for (const size_t shard : streams_[i].shards) streams_[i].left += plan.samples[shard];
  }
}

bool ShardEpoch::read_next(Stream& stream) {
  if (stream.shard == stream.shards.size()) return false;
  const size_t shard = stream.shards[stream.shard];
  stream.buffer.push_back({{shard, stream.number}, stream.read++});
  if (++stream.number == plan_.samples[shard]) {
    ++stream.shard;
    stream.number = 0;
  }
  return true;
}

size_t ShardEpoch::stream_of(size_t position) const {
  const size_t place = position % plan_.batch, before = position - place;
  const size_t preferred = place * streams_.size() / std::min(plan_.batch, count_ - before);
  if (streams_[preferred].left > 0) return preferred;
  return static_cast<size_t>(std::ranges::max_element(streams_, {}, &Stream::left) - streams_.begin());
}

void ShardEpoch::advance(size_t position, const Visit& visit) {
  while (forgotten_ + places_.size() <= position) {
    const size_t next = forgotten_ + places_.size();
    const size_t number = stream_of(next);
    Stream& stream = streams_[number];
    while (stream.buffer.size() < plan_.buffer && read_next(stream)) {
    }
    Random random = RandomKey{plan_.seed, epoch_, static_cast<int64_t>(next)}.at("shuffle buffer");
    const size_t drawn = random.below(stream.buffer.size());
    const Buffered taken = std::exchange(stream.buffer[drawn], stream.buffer.back());
    stream.buffer.pop_back();
    read_next(stream);
    --stream.left;
    stream.latest.push_back(taken.sample);
    Place place{taken.sample, number, taken.read, stream.visited++, {}};
    const size_t most = std::min(plan_.partners, kMostComing);
    const size_t coming = most - std::min<size_t>(most, stream.visited);
    for (size_t i = 0; i < std::min(coming, stream.buffer.size()); ++i)
      place.coming.push_back(stream.buffer[i].sample);
    if (stream.latest.size() > kept_ + plan_.partners) stream.latest.pop_front();
    places_.push_back(std::move(place));
    if (visit) visit(next, places_.back());
    if (places_.size() > kept_) {
      places_.pop_front();
      ++forgotten_;
    }
  }
}

ShardEpoch::Sample ShardEpoch::partner(size_t position, Random& random) const {
  const Place& place = at(position);
  const Stream& stream = streams_[place.stream];
  const uint64_t latest = std::min<uint64_t>(place.visited + 1, plan_.partners);
  const uint64_t drawn = random.below(latest + place.coming.size());
  if (drawn >= latest) return place.coming[drawn - latest];
  // From the end of what was visited since.
  const uint64_t since = stream.visited - 1 - place.visited;
  return stream.latest[stream.latest.size() - 1 - since - drawn];
}

}  // namespace marrow::loader
