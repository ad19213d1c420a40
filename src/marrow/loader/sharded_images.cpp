#include "marrow/loader/sharded_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"

namespace marrow::loader {

ShardedImages::ShardedImages(data::Dataset dataset, std::vector<data::ShardFile> shards,
                             ShardedImagesOptions options)
    : dataset_(std::move(dataset)), shards_(std::move(shards)), options_(std::move(options)) {
  first_.push_back(0);
  for (const data::ShardFile& shard : shards_) first_.push_back(first_.back() + shard.summary.samples);
  if (size() == 0)
    throw Error(ErrorKind::kFile, fmt::format("{}: its shards have no image", data::shown(dataset_.file)));
}

uint64_t ShardedImages::sample_bytes() const {
  uint64_t bytes = 0;
  for (const data::ShardFile& shard : shards_) bytes += shard.summary.bytes;
  return bytes / size();
}

size_t ShardedImages::shard_of(size_t index) const {
  return static_cast<size_t>(std::ranges::upper_bound(first_, index) - first_.begin()) - 1;
}

void ShardedImages::name_once(size_t index, const std::string& message) const {
  const std::lock_guard lock(mutex_);
  if (!options_.report || named_.size() > kMostNamed || !named_.insert(index).second) return;
  options_.report(message);
  if (named_.size() > kMostNamed) options_.report("further images that cannot be read are not named");
}

ShardPlan plan_of(const ShardedImages& images, int batch, uint64_t seed) {
  constexpr double kOfBuffer = 0.75;  // of the encoded bytes; the rest is read ahead of it
  std::vector<uint64_t> samples;
  for (const data::ShardFile& shard : images.shards()) samples.push_back(shard.summary.samples);
  const auto bytes = static_cast<uint64_t>(kOfBuffer * static_cast<double>(images.encoded_limit()));
  return plan_shards(std::move(samples), seed, static_cast<size_t>(batch), bytes, images.sample_bytes());
}

std::string shards_text(const ShardedImages& images, int batch) {
  const ShardPlan plan = plan_of(images, batch, 0);
  return fmt::format("shards are read in {}, each shuffled in a buffer of {}, within {:.0f} MB (cache_limit)",
                     counted(static_cast<int64_t>(plan.streams), "stream"),
                     counted(static_cast<int64_t>(plan.buffer), "image"),
                     static_cast<double>(images.options().limit) / 1e6);
}

}  // namespace marrow::loader
