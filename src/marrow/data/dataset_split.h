// A split with its labels, ready for training and validation: read through the label cache.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "marrow/data/dataset.h"
#include "marrow/data/labels.h"

namespace marrow::data {

// What COCO's JSON calls the images and classes of a split, for files that its own tools read.
using CocoImageId = std::variant<int64_t, std::string>;
struct CocoNumbers {
  std::map<std::string, CocoImageId> pictures;  // by path
  std::vector<int64_t> categories;  // by class of the dataset; free numbers for classes that the file lacks

  std::optional<CocoImageId> picture(const std::filesystem::path& path) const;
};

struct SplitLabels {
  std::vector<LabelledImage> images;  // the usable ones, sorted by path
  int64_t listed = 0;                 // images named by the split
  int64_t backgrounds = 0;            // usable images without labels
  int64_t dropped = 0;                // images that cannot be used; each has an error among the problems
  // kYolo: images that have no label file, and the first of them.
  int64_t unlabelled = 0;
  std::filesystem::path first_unlabelled;
  std::vector<Problem> problems;
  std::string cache_note;  // one line: read from the cache, or (re)built and why, or not kept and why
};

struct LoadOptions {
  int threads = 0;  // 0: all that the process may use
  bool use_cache = true;
  bool keep_cache = true;        // write one where there is none that fits
  bool require_outlines = true;  // where the dataset's task needs them, see task_labels.h
  // Called now and then from one of the threads with the images done and the number of all.
  std::function<void(int64_t done, int64_t total)> progress;
};

// Sizes of all images are read (headers only) and all annotations parsed; an image whose size or labels
// cannot be read is dropped and named. Throws Error as list_images does, for annotation files that cannot be
// read as a whole, when labels are not what the dataset's task needs, and when no image is left. Not for
// kFolders (class_folders.h), but in shards.
SplitLabels load_split(const Dataset& dataset, std::string_view split, const LoadOptions& options = {});

// The images of a split of any format, kFolders too, without their labels; images that annotations name
// and that are not there are left out. Sorted by path. Throws Error when the split as a whole cannot be read
// or no image is there.
std::vector<std::filesystem::path> list_images(const Dataset& dataset, std::string_view split);

// Of kCoco, empty for all others. An image that several files list has its number in the first. Throws Error
// when a file cannot be read.
CocoNumbers coco_numbers(const Dataset& dataset, std::string_view split);

}  // namespace marrow::data
