// A dataset divided anew into splits, without what belongs together on both sides.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "marrow/data/tools/read_whole.h"

namespace marrow::data {

struct DivideOptions {
  double val_share = 0.2, test_share = 0;  // of the images; what is left is for training
  int folds = 0;                           // instead: so many equal parts, fold1 and so on
  bool group = true;                       // keep groups (groups.h) whole
  uint64_t seed = 0;
  WriteOptions write;
};

struct DivideSummary {
  ReadSummary read;
  struct Part {
    std::string name;
    int64_t images = 0, objects = 0;
  };
  std::vector<Part> parts;
  int64_t groups = 0, largest_group = 0;  // with `group`
};

// Which split each image goes to, so that the splits' shares of the images and of every class's objects come
// as near as possible to `shares`, and every group is in one split. Where there are two groups, none of the
// wanted splits (with a share above 0) is empty as long as there are groups for it. A function of its
// arguments.
std::vector<int> divide(const std::vector<LabelledImage>& images, const std::vector<int>& groups, int classes,
                        std::span<const double> shares, uint64_t seed);

// All images of the dataset, whichever split they were in, into `out`. Throws what read_whole and
// write_dataset throw, and Error{kUsage} for shares that leave nothing to train on, and for folds that are
// not written as YOLO has them.
DivideSummary divide_dataset(const Dataset& dataset, const std::filesystem::path& out,
                             const DivideOptions& options);

}  // namespace marrow::data
