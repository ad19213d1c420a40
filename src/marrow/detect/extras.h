// What detectors of other tasks say of their detections beside boxes: masks, keypoints, turned boxes.
#pragma once

#include <span>
#include <vector>

#include "marrow/detect/masks.h"
#include "marrow/detect/nms.h"
#include "marrow/geometry/letterbox.h"
#include "marrow/geometry/mask.h"
#include "marrow/geometry/rotated_box.h"

namespace marrow::detect {

using Outline = std::vector<Point<ImagePixels>>;
using Keypoints = std::vector<Keypoint<ImagePixels>>;

// Each list is empty, or has an entry for each detection, in their order.
struct DetectionExtras {
  std::vector<MaskPart> masks;    // of the network's input, or of the image
  Size mask_size;                 // of that
  RatioPad mask_place;            // how pixels of the image became pixels of the masks
  std::vector<Outline> outlines;  // of the masks; empty where a mask is
  std::vector<Keypoints> keypoints;
  bool visibility = true;                        // whether keypoints have one
  std::vector<RotatedBox<ImagePixels>> rotated;  // the detections' boxes are their bounds

  bool empty() const { return masks.empty() && outlines.empty() && keypoints.empty() && rotated.empty(); }
};

// As in an image whose sides are so many times longer. Masks stay as they are; their place does not.
DetectionExtras scaled(DetectionExtras extras, float x, float y);

// Of these detections, by their places in the list. Each place is in it.
DetectionExtras chosen(const DetectionExtras& extras, std::span<const size_t> places);

// ---- of a prediction, (4 + classes + more, anchors) float32 of one image, as DetectDecode has it

// Where rows lie, and the one anchor that is asked for.
struct PredictionColumn {
  const float* prediction = nullptr;
  int64_t anchors = 0;
  int64_t anchor = 0;
  float row(int64_t r) const { return prediction[r * anchors + anchor]; }
};

// Rows [first, first + count).
std::vector<float> numbers_of(const PredictionColumn& column, int first, int count);
// The same as points of `numbers` each, 2 or 3; without a visibility it is 1.
std::vector<Keypoint<InputPixels>> keypoints_of(const PredictionColumn& column, int first, int count,
                                                int numbers);

// Clamped to the image; visibilities stay.
Keypoints to_image(std::span<const Keypoint<InputPixels>> points, const RatioPad& ratio_pad, Size image);
Outline to_image(std::span<const Point<void>> outline, const RatioPad& ratio_pad, Size image);

}  // namespace marrow::detect
