// Datasets from one format to another: YOLO, COCO and VOC.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "marrow/data/dataset.h"
#include "marrow/data/labels.h"

namespace marrow::data {

enum class ImageTransfer {
  kCopy,
  kHardLink,  // copies where a link is not possible (another disk)
  kSymlink,   // to the absolute path
};

struct ConvertOptions {
  DatasetFormat to = DatasetFormat::kYolo;  // not kFolders
  ImageTransfer transfer = ImageTransfer::kCopy;
  bool polygons = false;  // to kYolo: rows of polygons where the source has them; COCO keeps them always
  int threads = 0;
  std::function<void(int64_t done, int64_t total)> progress;
};

struct ConvertSummary {
  int64_t images = 0, objects = 0;
  int64_t ignored = 0;  // crowd and difficult objects: kYolo has no place for them; the others keep them
  int64_t dropped = 0;  // images that cannot be used
  std::vector<Problem> problems;
};

// Writes all splits below `out`, which must not have a data.yaml yet:
//   kYolo  images/SPLIT/, labels/SPLIT/*.txt (numbers as %g)
//   kCoco  images/SPLIT/, annotations/instances_SPLIT.json (categories from 1, boxes in pixels)
//   kVoc   JPEGImages/, Annotations/*.xml, ImageSets/Main/SPLIT.txt (boxes in pixels, from 0)
// and data.yaml, which read_dataset understands, last. Images keep their file names; where two would be
// equal, the later gets "_2", "_3", ... Throws Error{kUsage} for a folder in use, kFile when writing fails.
ConvertSummary convert_dataset(const Dataset& dataset, const std::filesystem::path& out,
                               const ConvertOptions& options);

}  // namespace marrow::data
