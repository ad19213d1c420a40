// Reads sizes and labels of all images of a split, on several threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "marrow/data/split_reader.h"

namespace marrow::data {

// Enough to see that a file has changed.
struct FileStamp {
  int64_t bytes = -1;  // -1: there is no such file
  int64_t modified_ns = 0;
  bool operator==(const FileStamp&) const = default;
};
// Throws Error{kFile} where it cannot be told.
FileStamp stamp_of(const std::filesystem::path& path);

struct ScannedImage {
  std::filesystem::path annotation;
  FileStamp image_stamp, annotation_stamp;
  bool usable = false;
  LabelledImage image;  // path always; the rest when usable
  bool operator==(const ScannedImage&) const = default;
};

struct Scan {
  std::vector<ScannedImage> pictures;  // as reader.images()
  std::vector<Problem> problems;       // of the reader and of every image, in order
  bool lasts = true;  // false: a file could not be read, which says nothing of the file; not in a cache
  bool operator==(const Scan&) const = default;
};

using Progress = std::function<void(int64_t done, int64_t total)>;

// reader.list() was called. The progress is reported about a hundred times.
Scan scan_split(const SplitReader& reader, int threads, const Progress& progress);

// Without those images that cannot be used.
SplitLabels labels_of(Scan scan);

// A progress that several threads may advance.
class SharedProgress {
 public:
  SharedProgress(const Progress& progress, int64_t total);
  ~SharedProgress();
  void advance();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace marrow::data
