// Turned boxes as the server that judges DOTA reads them: one file a class.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "marrow/geometry/rotated_box.h"

namespace marrow::detect {

// Predictions of many images, by class.
class DotaText {
 public:
  explicit DotaText(std::span<const std::string> names);

  // A line "image score x1 y1 x2 y2 x3 y3 x4 y4": pixels with three decimals, the score with five, 0 for a
  // number that is not finite. `image` is its name without a suffix; what would end a word becomes '_'. Of a
  // class without a name nothing is added.
  void add(const std::string& image, int class_id, double score, const RotatedBox<ImagePixels>& box);

  struct File {
    std::string name;  // "Task1_small-vehicle.txt", of no other file; safe in any folder
    std::string text;
  };
  // In the order of the classes, also those without a line.
  const std::vector<File>& files() const { return files_; }
  // Writes them into `folder`, which is made. Throws Error{kFile}.
  void write(const std::filesystem::path& folder) const;

 private:
  std::vector<File> files_;
};

}  // namespace marrow::detect
