// A new dataset on the disk: what converting, splitting and merging have in common.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "marrow/data/dataset.h"
#include "marrow/data/labels.h"
#include "marrow/data/skeleton.h"

namespace marrow::data {

enum class ImageTransfer {
  kCopy,
  kHardLink,  // copies where a link is not possible (another disk)
  kSymlink,   // to the absolute path
};

struct WriteOptions {
  DatasetFormat to = DatasetFormat::kYolo;  // not kFolders, kDota
  ImageTransfer transfer = ImageTransfer::kCopy;
  bool polygons = false;  // to kYolo: rows of polygons where the source has them; COCO keeps them always
  // What labels are written for, with kpt_shape and the like in the YAML. kYolo and kCoco.
  Task task = Task::kDetect;
  Skeleton skeleton;
  // To kYolo: each split is a fold, and has a YAML of its own, SPLIT.yaml, which validates on it and trains
  // on the others. data.yaml is the first one's.
  bool folds = false;
  int threads = 0;
  std::function<void(int64_t done, int64_t total)> progress;
};

struct NewSplit {
  std::string name;
  std::vector<LabelledImage> images;
};

// Throws Error{kUsage} where `out` holds a dataset already, and for a format that is not written, or not for
// the task: before any work.
void require_new_dataset(const std::filesystem::path& out, const WriteOptions& options);

// Writes the splits below `out`, which must not have a data.yaml yet:
//   kYolo  images/SPLIT/, labels/SPLIT/*.txt (numbers as %g)
//   kCoco  images/SPLIT/, annotations/instances_SPLIT.json (categories from 1, boxes in pixels)
//   kVoc   JPEGImages/, Annotations/*.xml, ImageSets/Main/SPLIT.txt (boxes in pixels, from 0)
// and data.yaml, which read_dataset understands, last. Images keep their file names; where two would be
// equal, the later gets "_2", "_3", ... Throws Error{kUsage} for a folder in use, kFile when writing fails.
// Regions to ignore keep what the format has for them: iscrowd or ignore (kCoco), difficult (kVoc), nothing
// (kYolo: they are left out, as the usual conversion does). Those of the class `ignore` are boxes of a last
// class of that name in all three.
void write_dataset(const std::filesystem::path& out, const std::vector<std::string>& names,
                   std::vector<NewSplit> splits, const ImageReading& reading, const WriteOptions& options);

// The classes as they are written: `ignore` is the last where there are regions of that class, which get its
// number. YOLO has no form for other regions, which are left out.
std::vector<std::string> with_ignore(std::vector<std::string> classes, std::vector<NewSplit>& splits,
                                     DatasetFormat to);

// The lines of a dataset's YAML that name its classes.
std::string names_yaml(const std::vector<std::string>& classes);

// The lines of a dataset's YAML that say how its images are read; none for what is read anyway.
std::string reading_yaml(const ImageReading& reading);

}  // namespace marrow::data
