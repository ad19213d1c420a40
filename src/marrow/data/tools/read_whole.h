// A dataset of boxes with all its labels in memory, to be written anew.
#pragma once

#include <vector>

#include "marrow/data/dataset.h"
#include "marrow/data/tools/write_dataset.h"

namespace marrow::data {

struct ReadSummary {
  int64_t images = 0, objects = 0;
  int64_t ignored = 0;  // crowd and difficult objects: kYolo has no place for them; the others keep them
  int64_t dropped = 0;  // images that cannot be used
  // Of objects that were read with their outlines, and of these those that are quadrangles, as turned boxes
  // are.
  int64_t outlines = 0, quadrangles = 0;
  std::vector<Problem> problems;
};

struct WholeDataset {
  std::vector<NewSplit> splits;  // the usable images
  ReadSummary summary;
};

// Without the label cache. Throws Error{kUsage} for folders of classes, and what listing a split throws.
WholeDataset read_whole(const Dataset& dataset, int threads);

}  // namespace marrow::data
