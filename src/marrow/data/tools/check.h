// Checks a whole dataset before time is spent on training with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "marrow/data/dataset.h"
#include "marrow/data/labels.h"

namespace marrow::data {

struct CheckOptions {
  int image_size = 640;  // pixels of the longer side in training, for the sizes of boxes
  int threads = 0;
  std::filesystem::path sheet;  // where the image sheet goes (.png, .jpg); empty: none
  // Where near-duplicates of two splits are drawn side by side, if there are some; empty: nowhere.
  std::filesystem::path near_sheet;
  std::function<void(const std::string& what, int64_t done, int64_t total)> progress;
};

// The upper limits of the size classes of boxes, in pixels of the shorter side at image_size. The first three
// are the cells of a detector's maps.
inline constexpr int kCheckSizes[] = {8, 16, 32, 64, 128};
inline constexpr size_t kCheckSizeClasses = std::size(kCheckSizes) + 1;

struct SplitCheck {
  std::string name;
  int64_t listed = 0, usable = 0, backgrounds = 0, objects = 0, ignored = 0;
  std::vector<int64_t> class_objects, class_images;  // by class
  std::vector<int64_t> box_sizes;                    // kCheckSizeClasses
};

struct DatasetCheck {
  std::vector<SplitCheck> splits;
  std::vector<Problem> problems;
  int64_t errors = 0, warnings = 0;
};

// Folders of classes are checked too: each image is then one object of its class, and its box is the
// whole of it. Every image is decoded in full and compared with all others by content, every label parsed;
// the cache is not used. Equal images in two splits are errors, in one split
// warnings; so are images of two splits that look alike (look.h). Throws Error only
// for a dataset that cannot be read as a whole, and for a sheet that cannot be written; a split that cannot
// be read is a problem of the report.
DatasetCheck check_dataset(const Dataset& dataset, const CheckOptions& options);

// As text for people, and as one JSON object (without sizes of boxes for folders of classes): {"dataset",
// "format", "errors", "warnings", "splits": [...],
// "problems": [{"severity", "kind", "place", "message"}]}.
std::string check_text(const Dataset& dataset, const DatasetCheck& check, int image_size);
std::string check_json(const Dataset& dataset, const DatasetCheck& check, int image_size);

}  // namespace marrow::data
