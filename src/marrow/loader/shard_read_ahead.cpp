#include "marrow/loader/shard_read_ahead.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <new>
#include <system_error>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/data/shards/shard_labels.h"

namespace marrow::loader {
namespace {

constexpr uint64_t kLargestRun = 1 << 20;  // bytes read at a time
constexpr uint64_t kGap = 16 << 10;        // between members of a sample: headers, and what is not read

// The bytes of the tar that hold a sample, with the image's header.
struct Extent {
  uint64_t begin = 0, end = 0;
};

Extent extent_of(const data::ShardSample& sample, const data::ShardPart& label) {
  Extent extent{sample.image.offset - data::kTarBlock, sample.image.offset + sample.image.bytes};
  if (label.is_there()) {
    extent.begin = std::min(extent.begin, label.offset);
    extent.end = std::max(extent.end, label.offset + label.bytes);
  }
  return extent;
}

[[noreturn]] void refuse(const data::ShardSample& sample, const OpenShard& shard) {
  throw Error(
      ErrorKind::kFormat,
      fmt::format("{}: at byte {} there is no header of a tar; the shard is another than its index was "
                  "made of",
                  data::sample_name(shard.file.path(), sample), sample.image.offset - data::kTarBlock));
}

}  // namespace

RawSample read_sample(const ShardedImages& images, const OpenShard& shard, size_t number) {
  const data::ShardSample& sample = shard.index->samples.at(number);
  const data::ShardPart& label = data::label_part(images.dataset(), sample);
  std::array<std::byte, data::kTarBlock> header;
  shard.file.read(sample.image.offset - data::kTarBlock, header);
  if (!data::is_tar_header(header)) refuse(sample, shard);
  RawSample raw{std::string(sample.image.bytes, '\0'), std::string(label.bytes, '\0')};
  if (!raw.image.empty()) shard.file.read(sample.image.offset, std::as_writable_bytes(std::span(raw.image)));
  if (!raw.label.empty()) shard.file.read(label.offset, std::as_writable_bytes(std::span(raw.label)));
  return raw;
}

struct ShardReadAhead::Run {
  std::vector<std::shared_ptr<const RawSample>> samples;  // null: not held
};

ShardReadAhead::ShardReadAhead(const ShardedImages& images, const ShardPlan& plan, OpenShards& shards,
                               Options options)
    : images_(images),
      plan_(plan),
      shards_(shards),
      options_(std::move(options)),
      cursors_(plan.streams),
      epoch_(options_.first_epoch) {
  std::vector<std::vector<size_t>> dealt = deal_shards(plan_, options_.first_epoch);
  for (size_t i = 0; i < cursors_.size(); ++i) {
    cursors_[i].epoch = options_.first_epoch;
    cursors_[i].shards = std::move(dealt[i]);
    skip(cursors_[i], options_.first_read[i]);
  }
  try {
    thread_ = std::thread([this] {
      try {
        loop();
      } catch (const std::bad_alloc&) {  // samples are then read when they are wanted
      }
    });
  } catch (const std::system_error&) {
    // No more threads to be had: every sample is read when it is wanted.
  }
}

ShardReadAhead::~ShardReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  room_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// Behind the last shard of an epoch stands the first of the next.
void ShardReadAhead::skip(Cursor& cursor, uint64_t samples) {
  cursor.read += samples;
  while (samples > 0) {
    const uint64_t left = plan_.samples[cursor.shards[cursor.shard]] - cursor.number;
    const uint64_t step = std::min(left, samples);
    cursor.number += step;
    samples -= step;
    if (step != left) continue;
    ++cursor.shard;
    cursor.number = 0;
  }
}

// The one of which least is held.
bool ShardReadAhead::next_stream(size_t& stream) const {
  bool found = false;
  for (size_t i = 0; i < cursors_.size(); ++i) {
    const Cursor& cursor = cursors_[i];
    if (!options_.streams[i] || cursor.bytes >= options_.bytes_of_stream) continue;
    const bool is_at_end = cursor.shard == cursor.shards.size();
    const int64_t epoch = cursor.epoch + is_at_end;
    if (epoch >= options_.epochs || epoch > epoch_ + 1) continue;
    if (found && cursors_[stream].bytes <= cursor.bytes) continue;
    stream = i;
    found = true;
  }
  return found;
}

void ShardReadAhead::loop() {
  for (;;) {
    size_t stream = 0;
    {
      std::unique_lock lock(mutex_);
      room_.wait(lock, [&] { return stopping_ || next_stream(stream); });
      if (stopping_) return;
      pass_drawn(cursors_[stream]);
    }
    Cursor& cursor = cursors_[stream];
    if (cursor.shard == cursor.shards.size()) {
      std::vector<size_t> shards = deal_shards(plan_, cursor.epoch + 1)[stream];
      const std::lock_guard lock(mutex_);
      cursor.drawn_early.erase(cursor.epoch);
      cursor.shards = std::move(shards);
      cursor.shard = cursor.number = cursor.read = 0;
      ++cursor.epoch;
      continue;
    }
    keep(stream, read_run(cursor));
  }
}

// Passes over what was drawn before it was read.
void ShardReadAhead::pass_drawn(Cursor& cursor) {
  std::set<uint64_t>& early = cursor.drawn_early[cursor.epoch];
  while (cursor.shard < cursor.shards.size() && early.erase(cursor.read) > 0) skip(cursor, 1);
}

// Neighbours, in one piece where they lie together. What cannot be read is left to those who want it.
ShardReadAhead::Run ShardReadAhead::read_run(const Cursor& cursor) {
  Run run;
  try {
    const std::shared_ptr<const OpenShard> shard = shards_.get(cursor.shards[cursor.shard]);
    const std::vector<data::ShardSample>& samples = shard->index->samples;
    const auto label_of = [&](size_t i) -> const data::ShardPart& {
      return data::label_part(images_.dataset(), samples[i]);
    };
    const uint64_t most = std::min(kLargestRun, options_.bytes_of_stream / 4);
    const size_t first = cursor.number;
    Extent all = extent_of(samples.at(first), label_of(first));
    if (samples[first].bytes() > options_.bytes_of_stream) {
      run.samples.emplace_back();
      return run;
    }
    if (all.end - all.begin > std::max(samples[first].bytes() + kGap, most)) {
      run.samples.push_back(std::make_shared<const RawSample>(read_sample(images_, *shard, first)));
      return run;
    }
    size_t end = first + 1;
    for (; end < samples.size(); ++end) {
      const Extent next = extent_of(samples[end], label_of(end));
      if (next.begin < all.end || next.begin > all.end + kGap || next.end - all.begin > most) break;
      all.end = next.end;
    }
    std::string bytes(all.end - all.begin, '\0');
    shard->file.read(all.begin, std::as_writable_bytes(std::span(bytes)));
    const auto part = [&](uint64_t offset, uint64_t count) {
      return std::string_view(bytes).substr(offset - all.begin, count);
    };
    for (size_t i = first; i < end; ++i) {
      const data::ShardSample& sample = samples[i];
      const bool is_sound = data::is_tar_header(
          std::as_bytes(std::span(part(sample.image.offset - data::kTarBlock, data::kTarBlock))));
      if (!is_sound) {
        run.samples.emplace_back();
        continue;
      }
      const data::ShardPart& label = label_of(i);
      run.samples.push_back(std::make_shared<const RawSample>(
          RawSample{std::string(part(sample.image.offset, sample.image.bytes)),
                    label.is_there() ? std::string(part(label.offset, label.bytes)) : std::string()}));
    }
  } catch (const std::exception&) {
    // Also out of memory.
    run.samples.resize(1);
  }
  return run;
}

void ShardReadAhead::keep(size_t stream, Run run) {
  const std::lock_guard lock(mutex_);
  Cursor& cursor = cursors_[stream];
  std::set<uint64_t>& early = cursor.drawn_early[cursor.epoch];
  for (size_t i = 0; i < run.samples.size(); ++i) {
    std::shared_ptr<const RawSample>& sample = run.samples[i];
    if (early.erase(cursor.read + i) > 0 || sample == nullptr) continue;
    const size_t index = images_.index_of(cursor.shards[cursor.shard], cursor.number + i);
    const uint64_t bytes = sample->bytes();
    if (held_.emplace(key(cursor.epoch, index), Held{std::move(sample), stream}).second)
      cursor.bytes += bytes;
  }
  skip(cursor, run.samples.size());
}

void ShardReadAhead::erase(std::unordered_map<uint64_t, Held>::iterator held) {
  cursors_[held->second.stream].bytes -= held->second.sample->bytes();
  held_.erase(held);
  room_.notify_one();
}

void ShardReadAhead::visited(int64_t epoch, const ShardEpoch::Place& place, bool wanted) {
  if (!options_.streams[place.stream]) return;
  const std::lock_guard lock(mutex_);
  if (epoch > epoch_) {
    epoch_ = epoch;
    room_.notify_one();
  }
  Cursor& cursor = cursors_[place.stream];
  const bool is_read = epoch < cursor.epoch || (epoch == cursor.epoch && place.read < cursor.read);
  if (!is_read) {
    cursor.drawn_early[epoch].insert(place.read);
    return;
  }
  const auto found = held_.find(key(epoch, images_.index_of(place.sample.shard, place.sample.number)));
  if (found == held_.end()) return;
  if (wanted)
    found->second.visited = true;
  else
    erase(found);
}

std::shared_ptr<const RawSample> ShardReadAhead::find(int64_t epoch, size_t index) const {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(key(epoch, index));
  return found == held_.end() ? nullptr : found->second.sample;
}

void ShardReadAhead::done(int64_t epoch, size_t index) {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(key(epoch, index));
  if (found != held_.end() && found->second.visited) erase(found);
}

uint64_t ShardReadAhead::bytes_held() const {
  const std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  for (const Cursor& cursor : cursors_) bytes += cursor.bytes;
  return bytes;
}

}  // namespace marrow::loader
