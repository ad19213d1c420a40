#include "marrow/data/tools/label_extras.h"

#include "marrow/data/outline_parts.h"
#include "marrow/outline/raster.h"
#include "marrow/outline/turned_box.h"

namespace marrow::data {

detect::DetectionExtras extras_of(const LabelledImage& image, Task task, Size picture) {
  detect::DetectionExtras extras;
  extras.mask_size = picture;
  const auto w = static_cast<float>(picture.width), h = static_cast<float>(picture.height);
  const bool draws_masks = task != Task::kObb && image.labels.size() <= kMostMasks;
  for (size_t i = 0; i < image.polygons.size() && (draws_masks || task == Task::kObb); ++i) {
    std::vector<Point<ImagePixels>> points;
    for (const auto& [x, y] : joined_parts(image, i))
      points.push_back({static_cast<float>(x) * w, static_cast<float>(y) * h});
    if (task == Task::kObb)
      extras.rotated.push_back(outline::turned_box(points));
    else
      extras.masks.push_back(trimmed(outline::fill(points, picture)));
  }
  if (image.labels.empty()) return extras;
  const size_t each = image.keypoints.size() / image.labels.size();
  for (size_t i = 0; each > 0 && i < image.labels.size(); ++i) {
    detect::Keypoints& points = extras.keypoints.emplace_back();
    for (size_t k = i * each; k < (i + 1) * each; ++k) {
      const LabelKeypoint& point = image.keypoints[k];
      points.push_back({static_cast<float>(point.x) * w, static_cast<float>(point.y) * h,
                        static_cast<float>(point.visibility)});
    }
  }
  return extras;
}

}  // namespace marrow::data
