#include "marrow/data/dataset_split.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/data/label_cache.h"
#include "marrow/data/shards/shard_files.h"
#include "marrow/data/split_reader.h"
#include "marrow/data/task_labels.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

// The scan out of a cache that fits. Lists the images where the format allows it without reading
// annotations.
std::optional<Scan> cached_scan(const CachePlaces& places, const CacheKey& key, SplitReader& reader,
                                bool& listed, std::string& note) {
  for (const fs::path& place : {places.beside, places.fallback}) {
    if (place.empty()) continue;
    CacheRead read = read_label_cache(place, key);
    if (read.scan && key.shared.empty() && !listed) {
      reader.list();
      listed = true;
    }
    if (read.scan) read.reason = staleness(*read.scan, listed ? &reader.pictures() : nullptr);
    if (read.scan && read.reason.empty()) {
      note = fmt::format("labels are read from the cache {}", shown(place));
      return std::move(read.scan);
    }
    // The other place may hold one that fits: this folder may be one that cannot be written.
    if (!read.reason.empty() && note.empty())
      note = fmt::format("the label cache {} is rebuilt: {}", shown(place), read.reason);
  }
  return std::nullopt;
}

void keep(const CachePlaces& places, const CacheKey& key, const Scan& scan, std::string& note) {
  // Where a missing image would turn up is not known, so such a cache could not notice it.
  if (std::ranges::any_of(scan.pictures,
                          [](const ScannedImage& picture) { return picture.image.path.empty(); })) {
    note = "labels are not cached while images are missing";
    return;
  }
  if (!scan.lasts) {
    note = "labels are not cached while files cannot be read";
    return;
  }
  std::string reason;
  for (const fs::path& place : {places.beside, places.fallback}) {
    if (place.empty()) continue;
    try {
      std::error_code ignored;
      if (place == places.fallback) fs::create_directories(place.parent_path(), ignored);
      write_label_cache(place, key, scan);
      if (note.empty()) note = fmt::format("labels are cached in {}", shown(place));
      return;
    } catch (const Error& error) {
      if (reason.empty()) reason = error.what();
    }
  }
  note = "labels are not cached: " + reason;
}

}  // namespace

std::optional<CocoImageId> CocoNumbers::picture(const fs::path& path) const {
  const auto found = pictures.find(path.native());
  return found == pictures.end() ? std::nullopt : std::optional(found->second);
}

SplitLabels load_split(const Dataset& dataset, std::string_view split_name, const LoadOptions& options) {
  const Split& split = dataset.split(split_name);
  if (!is_sharded(split)) dataset.require_boxes();
  require_keypoints(dataset);
  const std::unique_ptr<SplitReader> reader = make_split_reader(dataset, split);
  const CacheKey key = cache_key(dataset, split, *reader);
  const CachePlaces places = cache_places(dataset, split);
  const bool use_cache = options.use_cache && !is_sharded(split);  // those have indexes
  std::string note;
  bool listed = false;
  std::optional<Scan> scan;
  if (use_cache) scan = cached_scan(places, key, *reader, listed, note);
  if (!scan) {
    if (!listed) reader->list();
    scan = scan_split(*reader, options.threads, options.progress);
    if (use_cache && options.keep_cache) keep(places, key, *scan, note);
  }
  SplitLabels result = labels_of(std::move(*scan));
  result.cache_note = std::move(note);
  if (options.require_outlines) require_outlines(dataset, result.images);
  if (result.images.empty())
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: split '{}': none of the {} images can be used; the first: {}",
                            shown(dataset.file), split_name, result.listed,
                            result.problems.empty() ? "(no reason)" : result.problems[0].text()));
  return result;
}

std::vector<fs::path> list_images(const Dataset& dataset, std::string_view split_name) {
  if (is_sharded(dataset.split(split_name)))
    throw Error(ErrorKind::kUsage,
                fmt::format("{}: split '{}' lies in shards, and images with files of their own are wanted; "
                            "'marrow data convert {} OUT --to yolo' writes such",
                            shown(dataset.file), split_name, shown(dataset.file)));
  const std::unique_ptr<SplitReader> reader = make_split_reader(dataset, dataset.split(split_name));
  reader->list();
  std::vector<fs::path> paths;
  std::string missing;
  for (const ListedImage& picture : reader->pictures()) {
    if (!picture.image.empty())
      paths.push_back(picture.image);
    else if (missing.empty())
      missing = picture.missing;
  }
  if (paths.empty())
    throw Error(ErrorKind::kFile, fmt::format("{}: split '{}': none of its images is there; the first: {}",
                                              shown(dataset.file), split_name, missing));
  return paths;
}

CocoNumbers coco_numbers(const Dataset& dataset, std::string_view split_name) {
  if (dataset.format != DatasetFormat::kCoco) return {};
  const std::unique_ptr<SplitReader> reader = make_split_reader(dataset, dataset.split(split_name));
  reader->list();
  return reader->coco_numbers();
}

}  // namespace marrow::data
