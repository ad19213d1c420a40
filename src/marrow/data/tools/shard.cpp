#include "marrow/data/tools/shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/random.h"
#include "marrow/base/text.h"
#include "marrow/data/image_bytes.h"
#include "marrow/data/shards/shard_files.h"
#include "marrow/data/split_reader.h"
#include "marrow/data/split_scan.h"
#include "marrow/data/tools/unique_names.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

std::string shard_name(const std::string& split, int64_t number) {
  return fmt::format("{}-{:06}.tar", split, number);
}

// Has no dot, which would end it.
std::string key_of(const fs::path& path) {
  std::string stem = path.stem().string();
  std::ranges::replace(stem, '.', '_');
  return stem;
}

// The suffix by which the image is found again: its own, unless no reader of shards knows it.
std::string suffix_of(const LabelledImage& image, const std::string& bytes) {
  const std::string own = image.path.extension().string();
  if (is_shard_image_suffix(own)) return own;
  return std::string(image::usual_suffix(std::as_bytes(std::span(bytes)), image.path.string()));
}

// The shards of one split, one after another.
class ShardWriter {
 public:
  ShardWriter(fs::path out, std::string split, const ShardWriteOptions& options)
      : out_(std::move(out)), split_(std::move(split)), options_(options) {}

  struct Member {
    std::string name, content;
  };
  void add(const std::array<Member, 2>& sample) {
    uint64_t bytes = 0;
    for (const auto& [name, content] : sample)
      bytes += tar_header(name, content.size()).size() + content.size() + tar_padding(content.size());
    const auto most = static_cast<uint64_t>(options_.megabytes * 1e6);
    const bool is_full = samples_ > 0 && (bytes_ + bytes + tar_end().size() > most ||
                                          (options_.samples > 0 && samples_ >= options_.samples));
    if (is_full) finish();
    if (!file_) file_.emplace(out_ / shard_name(split_, shards_));
    for (const auto& [name, content] : sample) {
      write(tar_header(name, content.size()));
      write(content);
      write(std::string(tar_padding(content.size()), '\0'));
    }
    bytes_ += bytes;
    ++samples_;
  }

  // Returns how many shards there are.
  int64_t finish() {
    if (!file_) return shards_;
    write(tar_end());
    file_->commit();
    file_.reset();
    Split shard{split_, {{out_ / shard_name(split_, shards_), {}}}};
    std::error_code ignored;
    fs::remove(index_beside(shard.sources[0].path), ignored);  // of an earlier attempt
    open_shards(shard, {.threads = 1});
    bytes_ = 0;
    samples_ = 0;
    return ++shards_;
  }

 private:
  void write(const std::string& bytes) { file_->write(std::as_bytes(std::span(bytes))); }

  const fs::path out_;
  const std::string split_;
  const ShardWriteOptions& options_;
  std::optional<AtomicFile> file_;
  uint64_t bytes_ = 0;
  int64_t samples_ = 0, shards_ = 0;
};

// read_whole() is for datasets of boxes.
WholeDataset read_classified(const Dataset& dataset, int threads) {
  WholeDataset whole;
  for (const Split& split : dataset.splits) {
    const auto reader = make_split_reader(dataset, split);
    reader->list();
    SplitLabels labels = labels_of(scan_split(*reader, threads, {}));
    whole.summary.images += static_cast<int64_t>(labels.images.size());
    whole.summary.dropped += labels.dropped;
    std::ranges::move(labels.problems, std::back_inserter(whole.summary.problems));
    whole.splits.push_back({split.name, std::move(labels.images)});
  }
  return whole;
}

// What a writing that was killed has left.
void remove_temporary(const fs::path& out) {
  std::error_code error;
  std::vector<fs::path> left;
  for (fs::directory_iterator entry(out, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with('.') && name.ends_with(".tmp") && name.find(".tar.") != std::string::npos)
      left.push_back(entry->path());
  }
  for (const fs::path& file : left) fs::remove(file, error);
}

std::string pattern_of(const std::string& split, int64_t shards) {
  if (shards == 1) return shard_name(split, 0);
  return fmt::format("{}-{{{:06}..{:06}}}.tar", split, 0, shards - 1);
}

}  // namespace

ShardSummaries shard_dataset(const Dataset& dataset, const fs::path& out, const ShardWriteOptions& options) {
  require_new_dataset(out, {});
  const bool classifies = dataset.format == DatasetFormat::kFolders;
  WholeDataset whole =
      classifies ? read_classified(dataset, options.threads) : read_whole(dataset, options.threads);
  const std::vector<std::string> classes =
      classifies ? dataset.names : with_ignore(dataset.names, whole.splits, DatasetFormat::kYolo);
  // A detector's polygons are kept: augmentation turns outlines, not boxes.
  const Task rows = dataset.task == Task::kDetect ? Task::kSegment : dataset.task;
  std::error_code error;
  fs::create_directories(out, error);
  if (error)
    throw Error(ErrorKind::kFile, fmt::format("{}: cannot make the folder: {}", shown(out), error.message()));
  remove_temporary(out);

  ShardSummaries summary;
  int64_t done = 0;
  std::string places;
  for (NewSplit& split : whole.splits) {
    std::vector<LabelledImage>& images = split.images;
    if (images.empty()) continue;
    if (split.name == "train") {
      // Neighbours are read together, and a dataset is often sorted by class or by film.
      Random random(options.seed, "order of shards");
      shuffle(images, random);
    }
    UniqueNames keys;
    ShardWriter writer(out, split.name, options);
    for (const LabelledImage& image : images) {
      const std::string key = keys.take(key_of(image.path));
      std::string bytes = read_image_bytes(image);
      const std::string suffix = suffix_of(image, bytes);
      const std::string label =
          classifies ? std::to_string(image.labels.at(0).class_id)
                     : yolo_label_lines(image, rows, dataset.skeleton.shape, LabelDigits::kAll);
      writer.add({{{key + suffix, std::move(bytes)}, {key + (classifies ? ".cls" : ".txt"), label}}});
      if (options.progress) options.progress(++done, whole.summary.images);
    }
    const int64_t shards = writer.finish();
    summary.parts.push_back({split.name, static_cast<int64_t>(images.size()), shards});
    places += fmt::format("{}: {}\n", split.name, pattern_of(split.name, shards));
  }
  if (summary.parts.empty())
    throw Error(ErrorKind::kFormat, fmt::format("{}: no image can be used", shown(dataset.file)));
  // `train` is required: another stands in for it.
  if (!places.starts_with("train:"))
    places = "train" + places.substr(places.find(':'), places.find('\n') + 1 - places.find(':')) + places;
  std::string yaml = "# Written by 'marrow data shard'. Paths are relative to this file.\n";
  if (classifies) yaml += fmt::format("format: {}\n", format_name(dataset.format));
  yaml += places + reading_yaml(dataset.reading);
  if (dataset.task == Task::kPose) yaml += skeleton_yaml(dataset.skeleton);
  write_file_atomically(out / "data.yaml", yaml + names_yaml(classes));
  summary.read = std::move(whole.summary);
  return summary;
}

}  // namespace marrow::data
