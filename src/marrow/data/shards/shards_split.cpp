// A split of shards, with all of its labels: for whoever wants every image at any time. Training reads shards
// one after another instead.
#include "marrow/base/random_access_file.h"
#include "marrow/data/shards/shard_files.h"
#include "marrow/data/shards/shard_labels.h"
#include "marrow/data/split_reader.h"

namespace marrow::data {
namespace {

class ShardsReader : public SplitReader {
 public:
  ShardsReader(const Dataset& dataset, const Split& split) : dataset_(dataset), split_(split) {}

  void list() override {
    for (const ShardFile& shard : open_shards(split_)) {
      const std::shared_ptr<const ShardIndex> index = load_index(shard);
      problems_.insert(problems_.end(), index->problems.begin(), index->problems.end());
      for (const ShardSample& sample : index->samples) {
        const ShardPart& label = label_part(dataset_, sample);
        pictures_.push_back({.image = shard.tar / std::filesystem::path(sample.name).relative_path(),
                             .annotation = shard.tar,
                             .part = std::make_shared<const ArchivePart>(
                                 ArchivePart{shard.tar, sample.image.offset, sample.image.bytes}),
                             .size = {sample.width, sample.height},
                             .labels = label.is_there() ? static_cast<int64_t>(label.bytes) : -1});
        samples_.push_back(sample);
      }
    }
  }

  ParsedLabels parse(size_t i, Size) const override {
    const ShardSample& sample = samples_[i];
    const ShardPart& label = label_part(dataset_, sample);
    std::string text(label.bytes, '\0');
    if (!text.empty())
      RandomAccessFile(pictures_[i].annotation).read(label.offset, std::as_writable_bytes(std::span(text)));
    return parse_shard_labels(dataset_, sample, text, sample_name(pictures_[i].annotation, sample));
  }

 private:
  const Dataset& dataset_;
  const Split& split_;
  std::vector<ShardSample> samples_;
};

}  // namespace

std::unique_ptr<SplitReader> make_shards_reader(const Dataset& dataset, const Split& split) {
  return std::make_unique<ShardsReader>(dataset, split);
}

}  // namespace marrow::data
