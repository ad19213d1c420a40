// Predictions of DOTA's images, which are too large for a network and so come in tiles, put together again.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/detect/dota_text.h"
#include "marrow/detect/rotated_nms.h"
#include "marrow/geometry/rotated_box.h"

namespace marrow::detect {

// What a tile's name says, as tools that cut DOTA's images name them: IMAGE__WINDOW__X___Y, the window a side
// in pixels, or a scale, and X, Y its upper left corner in the image.
struct DotaTile {
  std::string image;
  int x = 0, y = 0;
};
// Nothing for another name; without its suffix.
std::optional<DotaTile> dota_tile(std::string_view name);

// Predictions of pictures, and of the images that some of them are tiles of.
class DotaPredictions {
 public:
  explicit DotaPredictions(std::span<const std::string> names);

  // As DotaText::add().
  void add(const std::string& picture, int class_id, double score, const RotatedBox<ImagePixels>& box);

  // Those of the images alone, in the order of the images' first tiles, by falling score: of boxes of a class
  // that overlap the best stays (rotated_nms.h).
  DotaText merged() const;
  bool has_tiles() const { return !images_.empty(); }

  // Writes predictions_txt/ into the folder, and where there were tiles predictions_merged_txt/. Throws
  // Error{kFile}.
  void write(const std::filesystem::path& folder) const;

 private:
  struct Image {
    std::string name;
    std::vector<ScoredRotatedBox> found;
  };

  std::vector<std::string> names_;
  DotaText pictures_;
  std::vector<Image> images_;
  std::map<std::string, size_t> places_;  // of the images, by name
};

}  // namespace marrow::detect
