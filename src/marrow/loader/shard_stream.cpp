// The samples of shards in the order of training, decoded.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/data/shards/shard_labels.h"
#include "marrow/data/task_labels.h"
#include "marrow/image/decode.h"
#include "marrow/loader/shard_read_ahead.h"
#include "marrow/loader/sharded_images.h"

namespace marrow::loader {
namespace {

constexpr size_t kOtherOpenShards = 8;  // besides one a stream

class ShardStream : public TrainingImages {
 public:
  ShardStream(std::shared_ptr<const ShardedImages> images, const ShardStreamOptions& options)
      : images_(std::move(images)),
        options_(options),
        count_(images_->size()),
        plan_(plan_of(*images_, options.batch, options.seed)),
        // Places behind the oldest one that is worked on.
        kept_(static_cast<size_t>(options.batch) * static_cast<size_t>(options.ahead + 2)),
        decoded_limit_(images_->decoded_limit() / static_cast<uint64_t>(options.share.workers)),
        open_(*images_, plan_.streams + kOtherOpenShards) {
    ShardReadAhead::Options ahead;
    ahead.streams = streams_of_share();
    const auto streams = static_cast<uint64_t>(std::ranges::count(ahead.streams, true));
    ahead.bytes_of_stream = images_->encoded_limit() / static_cast<uint64_t>(options.share.workers) /
                            std::max<uint64_t>(streams, 1);
    ahead.first_epoch = options_.first_epoch;
    ahead.epochs = options_.epochs;
    ShardEpoch& first = epoch_of(options_.first_epoch);
    if (options_.first_position > 0) first.advance(options_.first_position - 1);
    for (size_t i = 0; i < plan_.streams; ++i) ahead.first_read.push_back(first.read_of(i));
    read_ahead_ = std::make_unique<ShardReadAhead>(*images_, plan_, open_, std::move(ahead));
  }

  size_t at(int64_t epoch, size_t position) override {
    const std::lock_guard lock(order_mutex_);
    const ShardEpoch::Sample& sample = advanced(epoch, position).at(position).sample;
    return images_->index_of(sample.shard, sample.number);
  }

  size_t partner(int64_t epoch, size_t position, Random& random) override {
    const std::lock_guard lock(order_mutex_);
    const ShardEpoch::Sample sample = advanced(epoch, position).partner(position, random);
    return images_->index_of(sample.shard, sample.number);
  }

  // Instead of one that cannot be read: the next of its shard.
  FoundImage load(int64_t epoch, size_t index) override {
    const size_t shard = images_->shard_of(index), first = images_->first_of(shard);
    const size_t count = images_->first_of(shard + 1) - first;
    for (size_t step = 0; step < count; ++step) {
      const size_t candidate = first + (index - first + step) % count;
      const std::optional<Decoded> found = load_one(epoch, shard, candidate);
      if (!found) continue;
      const auto& [image, labels] = *found;
      const Size size = size_of(*image);
      const Task task = images_->dataset().task;
      return {candidate,
              {labels->width, labels->height},
              {image, objects_of(*labels, size, task), regions_of(*labels, size), task}};
    }
    throw Error(ErrorKind::kFile, fmt::format("{}: none of its {} images can be read",
                                              data::shown(images_->shards()[shard].tar), count));
  }

 private:
  struct Decoded {
    std::shared_ptr<const image::Image> image;
    std::shared_ptr<const data::LabelledImage> labels;
  };

  // The streams that the places of a whole batch draw from.
  std::vector<bool> streams_of_share() const {
    std::vector<bool> streams(plan_.streams);
    const auto [first, count] =
        options_.share.places(static_cast<int64_t>(plan_.batch), static_cast<int64_t>(plan_.batch), 0);
    for (int64_t place = first; place < first + count; ++place)
      streams[static_cast<size_t>(place) * plan_.streams / plan_.batch] = true;
    return streams;
  }

  bool is_of_share(size_t position) const {
    const auto [first, count] = options_.share.places(static_cast<int64_t>(count_), options_.batch,
                                                      static_cast<int64_t>(position / plan_.batch));
    const auto place = static_cast<int64_t>(position);
    return place >= first && place < first + count;
  }

  ShardEpoch& epoch_of(int64_t epoch) {
    std::unique_ptr<ShardEpoch>& found = epochs_[epoch];
    if (found == nullptr) found = std::make_unique<ShardEpoch>(plan_, epoch, kept_);
    ShardEpoch& result = *found;
    // Batches in the making, of which each may be an epoch, want theirs; and the one before and after.
    if (epochs_.size() > static_cast<size_t>(options_.ahead) + 2) epochs_.erase(epochs_.begin());
    return result;
  }

  const ShardEpoch& advanced(int64_t epoch, size_t position) {
    ShardEpoch& order = epoch_of(epoch);
    order.advance(position, [&](size_t visited, const ShardEpoch::Place& place) {
      read_ahead_->visited(epoch, place, is_of_share(visited));
    });
    return order;
  }

  std::optional<Decoded> load_one(int64_t epoch, size_t shard, size_t index) {
    {
      const std::lock_guard lock(decoded_mutex_);
      if (const auto found = decoded_.find(index); found != decoded_.end()) {
        read_ahead_->done(epoch, index);
        return found->second;
      }
    }
    std::shared_ptr<const RawSample> raw = read_ahead_->find(epoch, index);
    std::optional<Decoded> decoded = decode(shard, index, std::move(raw));
    read_ahead_->done(epoch, index);
    if (decoded) keep(index, *decoded);
    return decoded;
  }

  std::optional<Decoded> decode(size_t shard, size_t index, std::shared_ptr<const RawSample> raw) {
    const std::filesystem::path& tar = images_->shards()[shard].tar;
    image::DecodedImage picture;
    auto labels = std::make_shared<data::LabelledImage>();
    try {
      const std::shared_ptr<const OpenShard> open = open_.get(shard);
      const size_t number = index - images_->first_of(shard);
      const data::ShardSample& sample = open->index->samples.at(number);
      const std::string name = data::sample_name(tar, sample);
      if (raw == nullptr) raw = std::make_shared<const RawSample>(read_sample(*images_, *open, number));
      data::ParsedLabels parsed = data::parse_shard_labels(images_->dataset(), sample, raw->label, name);
      for (const data::Problem& problem : parsed.problems)
        if (problem.severity != data::Problem::Severity::kNote)
          images_->name_once(index, problem.text() + (parsed.usable ? "" : "; the image is left out"));
      if (!parsed.usable) return std::nullopt;
      picture = image::decode_image(std::as_bytes(std::span(raw->image)), name,
                                    {.fit = {}, .reading = images_->options().reading});
      if (!picture.warning.empty()) images_->name_once(index, picture.warning);
      static_cast<data::ImageLabels&>(*labels) = std::move(parsed);
      labels->path = tar / std::filesystem::path(sample.name).relative_path();
      labels->width = sample.width;
      labels->height = sample.height;
    } catch (const Error& error) {
      images_->name_once(index, std::string(error.what()) + "; the image is left out");
      return std::nullopt;
    }
    data::require_outlines(images_->dataset(), std::span(labels.get(), 1));
    if (images_->options().settle) images_->options().settle(*labels);
    return Decoded{resized(std::move(picture.image), images_->options().image_size), std::move(labels)};
  }

  static uint64_t bytes_of(const Decoded& decoded) {
    uint64_t points = 0;
    for (const data::Polygon& polygon : decoded.labels->polygons) points += polygon.size();
    return decoded.image->byte_size() + points * sizeof(data::Polygon::value_type) +
           decoded.labels->labels.size() * sizeof(data::Label);
  }

  void keep(size_t index, const Decoded& decoded) {
    const std::lock_guard lock(decoded_mutex_);
    const uint64_t bytes = bytes_of(decoded);
    if (bytes > decoded_limit_ || !decoded_.emplace(index, decoded).second) return;
    oldest_first_.push_back(index);
    decoded_bytes_ += bytes;
    while (decoded_bytes_ > decoded_limit_) {
      const auto oldest = decoded_.find(oldest_first_.front());
      decoded_bytes_ -= bytes_of(oldest->second);
      decoded_.erase(oldest);
      oldest_first_.pop_front();
    }
  }

  const std::shared_ptr<const ShardedImages> images_;
  const ShardStreamOptions options_;
  const size_t count_;
  const ShardPlan plan_;
  const size_t kept_;
  const uint64_t decoded_limit_;
  OpenShards open_;

  std::mutex order_mutex_;
  std::map<int64_t, std::unique_ptr<ShardEpoch>> epochs_;

  std::mutex decoded_mutex_;
  std::unordered_map<size_t, Decoded> decoded_;
  std::deque<size_t> oldest_first_;
  uint64_t decoded_bytes_ = 0;

  std::unique_ptr<ShardReadAhead> read_ahead_;  // last: its thread uses the rest
};

}  // namespace

std::unique_ptr<TrainingImages> open_shard_stream(std::shared_ptr<const ShardedImages> images,
                                                  const ShardStreamOptions& options) {
  return std::make_unique<ShardStream>(std::move(images), options);
}

}  // namespace marrow::loader
