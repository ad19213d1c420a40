// A batch as an image: what the network sees, with the boxes it is to find, or has found.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "marrow/detect/extras.h"
#include "marrow/detect/nms.h"
#include "marrow/loader/detection_loader.h"

namespace marrow::loader {

// Image i of a batch (batch_tensor) as image::displayed() shows it.
image::Image image_of_batch(const Tensor& images, int64_t i);

// The targets of image i as boxes in pixels of the batch, with kNoConfidence.
std::vector<detect::InputDetection> targets_of_batch(const DetectionBatch& batch, int64_t i);

constexpr size_t kSheetImages = 16;
constexpr int kSheetSide = 4096;

// The first images of the batch on one sheet (detect/sheet.h) of at most `largest_side` pixels a side, with
// their targets (masks, keypoints and turned boxes too) and regions to ignore. Images of fewer than 320
// pixels are drawn a whole number of times larger where the sheet has room, so that tags can be read and do
// not hide what they name.
image::Image batch_sheet(const DetectionBatch& batch, std::span<const std::string> names,
                         size_t most = kSheetImages, int largest_side = kSheetSide);

// Detections in an image of the batch, in its pixels, with their confidences.
struct DrawnDetections {
  std::vector<detect::InputDetection> boxes;
  detect::DetectionExtras extras = {};
};

// The same with other boxes, one list an image.
image::Image batch_sheet(const DetectionBatch& batch, std::span<const DrawnDetections> detections,
                         std::span<const std::string> names, size_t most = kSheetImages,
                         int largest_side = kSheetSide);

// A classifier's images, a batch_tensor, framed in the colour of their class and with its name. N
// class_ids.
image::Image class_sheet(const Tensor& images, std::span<const int> class_ids,
                         std::span<const std::string> names, size_t most = kSheetImages,
                         int largest_side = kSheetSide);

}  // namespace marrow::loader
