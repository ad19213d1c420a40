// A split's sizes and labels, kept in one file so that the next start need not read every image's header.
// docs/formats/label_cache.md describes the bytes.
//
// A cache only ever saves time: it is used when every image and annotation has the size and time of
// modification that it had, the classes and sources are the same, and nothing was added; otherwise it is
// rebuilt, and the reason is printed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "marrow/data/dataset.h"
#include "marrow/data/split_scan.h"

namespace marrow::data {

struct SharedFile {
  std::filesystem::path path;
  FileStamp stamp;
  bool operator==(const SharedFile&) const = default;
};

// What a cache was made from.
struct CacheKey {
  DatasetFormat format = DatasetFormat::kYolo;
  Task task = Task::kDetect;
  KeypointShape keypoints;
  int ignore_class = -1;
  std::vector<std::string> names;
  std::vector<std::string> sources;  // the split's sources and their folders of images
  std::vector<SharedFile> shared;    // files with the annotations of many images
};
CacheKey cache_key(const Dataset& dataset, const Split& split, const SplitReader& reader);

// Where the cache of a split lies: beside its labels ("labels/train.marrow-cache"), and where to look and
// write when that is not possible (below $XDG_CACHE_HOME or ~/.cache; empty when there is neither).
struct CachePlaces {
  std::filesystem::path beside;
  std::filesystem::path fallback;
};
CachePlaces cache_places(const Dataset& dataset, const Split& split);

struct CacheRead {
  std::optional<Scan> scan;
  std::string reason;  // without a scan: why, as the end of "rebuilt: ..."; empty when there is no cache
};

// The cached scan, if it was made with `key`. Images are not compared with the disk yet. Never throws for
// what a file holds.
CacheRead read_label_cache(const std::filesystem::path& file, const CacheKey& key);

// Why the scan no longer fits the disk: "images/a.jpg has changed"; empty when it fits. `listed`, when not
// null, is what the split lists now.
std::string staleness(const Scan& scan, const std::vector<ListedImage>* listed);

// Atomic. Throws Error{kFile}.
void write_label_cache(const std::filesystem::path& file, const CacheKey& key, const Scan& scan);

}  // namespace marrow::data
