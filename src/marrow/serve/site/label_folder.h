// A dataset that corrected boxes are saved into, so that the next training learns from them.
#pragma once

#include <array>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/data/dataset.h"
#include "marrow/geometry/size.h"

namespace marrow::serve {

struct LabelBox {
  std::string name;               // of its class
  std::array<double, 4> corners;  // x1, y1, x2, y2 in pixels of the upright picture
};

struct SavedLabels {
  std::string image, label;  // paths below the folder
};

// Any thread.
class LabelFolder {
 public:
  // A dataset of YOLO rows; a folder without data.yaml becomes one with the first picture. Throws Error for
  // another format, and a file that cannot be read.
  explicit LabelFolder(std::filesystem::path folder);

  // The picture as it came, and its rows, both atomically, the rows first. The name is made of the picture's
  // bytes, so that a second correction of a picture replaces the first. `classes` are those of a new dataset.
  // Throws Error{kUsage} for a class that the dataset does not have, and Error{kFile}.
  SavedLabels save(std::string_view picture, std::string_view suffix, Size size,
                   std::span<const LabelBox> boxes, const std::vector<std::string>& classes);

 private:
  void open();
  std::filesystem::path image_path(std::string_view picture, std::string_view suffix) const;

  std::filesystem::path folder_, images_;  // images_ is empty until it is a dataset
  data::Dataset dataset_;
  std::mutex saving_;
};

}  // namespace marrow::serve
