#include "marrow/evaluate/open_split.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/data/dataset_folders.h"
#include "marrow/data/fingerprint.h"
#include "marrow/data/no_objects.h"
#include "marrow/data/shards/shard_files.h"
#include "marrow/data/task_labels.h"
#include "marrow/loader/classification_loader.h"
#include "marrow/loader/detection_loader.h"

namespace marrow::evaluate {
namespace {

constexpr size_t kMostProblemsSaid = 10;

void say_problems(const std::vector<data::Problem>& problems, const data::Dataset& dataset,
                  const std::function<void(const std::string&)>& say) {
  size_t said = 0;
  for (const data::Problem& problem : problems)
    if (problem.severity != data::Problem::Severity::kNote && said++ < kMostProblemsSaid) say(problem.text());
  if (said > kMostProblemsSaid)
    say(fmt::format("... and {} more; 'marrow data check {}' lists them", said - kMostProblemsSaid,
                    dataset.file.string()));
}

loader::ImageStoreOptions store_options(int image_size, const data::Dataset& dataset,
                                        const OpenSplitOptions& options) {
  return {.image_size = image_size,
          .cache = options.cache,
          .limit = options.cache_limit / static_cast<uint64_t>(options.workers),
          .processes = options.workers_here,
          .reading = options.reading.value_or(dataset.reading),
          .task = dataset.task,
          .report = options.say};
}

// Says what becomes of the images.
loader::TiledImages cut(std::vector<data::LabelledImage> images, std::string_view split, int64_t objects,
                        const OpenSplitOptions& options, Task task,
                        const std::function<void(const std::string&)>& say) {
  const auto count = static_cast<int64_t>(images.size());
  loader::TiledImages tiles = loader::cut_into_tiles(std::move(images), options.tiles, task);
  const auto all = static_cast<int64_t>(tiles.tiles.size());
  if (tiles.empty == all && options.need_objects)
    fail_format(fmt::format("{}: each of the {} is too large for tiles of {} px, and none is left", split,
                            counted(objects, "object"), options.tiles.side));
  say(fmt::format("{}: {} as {} of {} px, {} of them empty", split, counted(count, "image"),
                  counted(all, "tile"), options.tiles.side, tiles.empty));
  if (tiles.lost > 0)
    say(fmt::format("{}: {} of {} are larger than a tile, and objects in none", split, tiles.lost,
                    counted(objects, "object")));
  return tiles;
}

size_t kept_of(size_t n, const OpenSplitOptions& options) {
  return options.kept ? std::min(options.kept(n), n) : n;
}

// The class that the map gives a class of the dataset.
int mapped(const std::vector<int>& class_map, int class_id) {
  return class_map.empty() ? class_id : class_map.at(static_cast<size_t>(class_id));
}

// The images' and categories' numbers, by the classes that the map gives.
data::CocoNumbers mapped_numbers(const data::Dataset& dataset, std::string_view split,
                                 const std::vector<int>& class_map) {
  data::CocoNumbers numbers = coco_numbers(dataset, split);
  const std::vector<int64_t> categories = numbers.categories;
  for (size_t i = 0; i < categories.size(); ++i)
    numbers.categories.at(static_cast<size_t>(mapped(class_map, static_cast<int>(i)))) = categories[i];
  return numbers;
}

// Of folders of classes, or of shards with the number of a class.
std::vector<data::LabelledImage> classified(const data::Dataset& dataset, std::string_view split,
                                            const OpenSplitOptions& options) {
  if (!data::is_sharded(dataset.split(split)))
    return loader::as_labelled(data::list_classified(dataset, split));
  data::SplitLabels labels = data::load_split(dataset, split, {.threads = options.threads});
  if (options.say) say_problems(labels.problems, dataset, options.say);
  return std::move(labels.images);
}

OpenedSplit open_folders(const data::Dataset& dataset, std::string_view split,
                         const OpenSplitOptions& options) {
  const std::vector<data::LabelledImage> listed = classified(dataset, split, options);
  std::vector<data::LabelledImage> images;
  const size_t kept = kept_of(listed.size(), options);
  for (size_t i = 0; i < kept; ++i) images.push_back(listed[i * listed.size() / kept]);
  if (options.say)
    options.say(fmt::format("{}: {} of {}", split, counted(static_cast<int64_t>(images.size()), "image"),
                            counted(dataset.classes(), "class")));
  OpenedSplit opened;
  opened.objects = static_cast<int64_t>(images.size());
  if (options.fingerprint) opened.fingerprint = data::fingerprint(images);
  opened.images = std::make_shared<loader::ImageStore>(std::move(images), store_options(0, dataset, options));
  return opened;
}

// What becomes of the labels of an image, by the classes that are wanted.
void settle(data::LabelledImage& image, const OpenSplitOptions& options) {
  const auto class_of = [&](const data::Label& label) {
    if (label.class_id == data::kIgnoreClass) return label.class_id;
    return options.single_class ? 0 : mapped(options.class_map, label.class_id);
  };
  const auto is_left_out = [&](const data::Label& label) {
    return label.class_id != data::kIgnoreClass && !options.classes.empty() &&
           std::ranges::find(options.classes, label.class_id) == options.classes.end();
  };
  std::erase_if(image.labels, is_left_out);
  std::erase_if(image.ignored, [&](const data::IgnoredLabel& ignored) { return is_left_out(ignored.label); });
  for (data::Label& label : image.labels) label.class_id = class_of(label);
  for (data::IgnoredLabel& ignored : image.ignored) ignored.label.class_id = class_of(ignored.label);
}

OpenedSplit open_stream(const data::Dataset& dataset, std::string_view split, const OpenSplitOptions& options,
                        const std::function<void(const std::string&)>& say) {
  data::require_keypoints(dataset);
  const auto say_first = [&](int64_t done, int64_t total) {
    if (done == 0)
      say(fmt::format("{}: {} without an index; each is read through, this once", split,
                      counted(total, "shard")));
  };
  std::vector<data::ShardFile> shards =
      data::open_shards(dataset.split(split), {.threads = options.threads, .progress = say_first});
  OpenedSplit opened;
  uint64_t samples = 0, digest = 0;
  std::vector<data::Problem> problems;
  for (const data::ShardFile& shard : shards) {
    samples += shard.summary.samples;
    opened.objects += static_cast<int64_t>(shard.summary.rows);
    digest = mix_bits(digest ^ shard.summary.digest) + shard.summary.samples;
    if (shard.summary.problems == 0 || problems.size() > kMostProblemsSaid) continue;
    const std::vector<data::Problem>& found = data::load_index(shard)->problems;
    problems.insert(problems.end(), found.begin(), found.end());
  }
  say_problems(problems, dataset, say);
  if (opened.objects == 0 && options.need_objects)
    fail_format(fmt::format("{}: split '{}' has no objects: none of its shards has a label",
                            data::shown(dataset.file), split));
  say(fmt::format("{}: {} in {}, {}", split, counted(static_cast<int64_t>(samples), "image"),
                  counted(static_cast<int64_t>(shards.size()), "shard"), counted(opened.objects, "label")));
  if (options.fingerprint) opened.fingerprint = fmt::format("{:016x}", digest);
  const bool classifies = dataset.format == data::DatasetFormat::kFolders;
  loader::ShardedImagesOptions how{.image_size = classifies ? 0 : options.image_size,
                                   .reading = options.reading.value_or(dataset.reading),
                                   .report = options.say};
  if (options.cache_limit > 0) how.limit = options.cache_limit;
  if (!classifies) how.settle = [options](data::LabelledImage& image) { settle(image, options); };
  opened.shards = std::make_shared<const loader::ShardedImages>(dataset, std::move(shards), std::move(how));
  return opened;
}

}  // namespace

OpenedSplit open_split(const data::Dataset& dataset, std::string_view split,
                       const OpenSplitOptions& options) {
  const auto say = options.say ? options.say : [](const std::string&) {};
  if (options.stream && data::is_sharded(dataset.split(split)))
    return open_stream(dataset, split, options, say);
  if (dataset.format == data::DatasetFormat::kFolders) return open_folders(dataset, split, options);
  data::SplitLabels labels = data::load_split(
      dataset, split,
      {.threads = options.threads, .use_cache = options.use_cache, .keep_cache = options.keep_cache});
  say_problems(labels.problems, dataset, say);
  if (!labels.cache_note.empty()) say(fmt::format("{}: {}", split, labels.cache_note));

  if (std::ranges::all_of(labels.images, [](const auto& image) { return image.labels.empty(); })) {
    const std::string message =
        fmt::format("{}: {}", data::shown(dataset.file), data::no_objects_message(dataset, split, labels));
    if (options.need_objects) fail_format(message);
    say("WARNING: " + message);
  }
  labels.images.resize(kept_of(labels.images.size(), options));
  OpenedSplit opened;
  for (data::LabelledImage& image : labels.images) {
    settle(image, options);
    opened.objects += static_cast<int64_t>(image.labels.size());
    opened.backgrounds += image.labels.empty();
    opened.regions += static_cast<int64_t>(image.ignored.size());
  }
  if (opened.objects == 0 && options.need_objects)
    fail_format(fmt::format("{}: split '{}' has no objects of the chosen classes in the {} that are used",
                            data::shown(dataset.file), split,
                            counted(static_cast<int64_t>(labels.images.size()), "image")));
  say(fmt::format(
      "{}: {}, {}, {} without objects, {} unusable{}", split,
      counted(static_cast<int64_t>(labels.images.size()), "image"), counted(opened.objects, "object"),
      opened.backgrounds, labels.dropped,
      opened.regions > 0 ? fmt::format(", {} to ignore", counted(opened.regions, "region")) : ""));
  if (options.coco_numbers && !options.single_class)
    opened.numbers = mapped_numbers(dataset, split, options.class_map);
  if (options.fingerprint) opened.fingerprint = data::fingerprint(labels.images);
  const loader::ImageStoreOptions store = store_options(options.image_size, dataset, options);
  opened.images =
      options.tiles.side > 0
          ? std::make_shared<loader::ImageStore>(
                cut(std::move(labels.images), split, opened.objects, options, dataset.task, say), store)
          : std::make_shared<loader::ImageStore>(std::move(labels.images), store);
  return opened;
}

size_t images_of(const OpenedSplit& split) {
  return split.shards != nullptr ? split.shards->size() : split.images->size();
}

size_t images_of_epoch(const OpenedSplit& split) {
  return split.shards != nullptr ? images_of(split) : loader::training_images(*split.images).count();
}

std::string note_of_regions(const OpenedSplit& split) {
  if (split.regions == 0) return {};
  return fmt::format(
      "what is found in {} to ignore counts as wrong in mAP, except in crowds by COCO's definition",
      counted(split.regions, "region"));
}

}  // namespace marrow::evaluate
