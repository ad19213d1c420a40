// From the decoded output of a head with turned boxes to a list of detections.
#pragma once

#include <cstdint>
#include <vector>

#include "marrow/detect/nms.h"
#include "marrow/geometry/rotated_box.h"

namespace marrow::detect {

struct RotatedDetection {
  RotatedBox<InputPixels> box = {};
  float confidence = 0.0f;  // 0..1
  int class_id = 0;
  int64_t anchor = 0;  // column of the prediction it came from
};

// prediction: (4 + classes + 1, anchors) float32 of one image: centre x, centre y, width, height, class
// scores, angle in radians. A box is dropped where its probabilistic IoU with any of higher confidence and
// its class (agnostic: of any) exceeds options.iou, even where that one is dropped itself. Sorted by falling
// confidence. A box that is not finite is dropped.
std::vector<RotatedDetection> rotated_suppression(const float* prediction, int classes, int64_t anchors,
                                                  const NmsOptions& options);

// The same of boxes in any unit, by falling confidence: whether each stays.
struct RotatedCandidate {
  RotatedBox<void, double> box;
  int class_id = 0;
};
std::vector<bool> rotated_survivors(const std::vector<RotatedCandidate>& candidates, double iou,
                                    bool agnostic);

// Of boxes that were found in the tiles of an image, in its pixels, those of one object overlap by more.
inline constexpr double kTurnedOverlap = 0.3;
struct ScoredRotatedBox {
  RotatedBox<ImagePixels> box;
  double score = 0;
  int class_id = 0;
};
// The places of those that stay, by falling score, equal ones in their order.
std::vector<size_t> best_of_tiles(const std::vector<ScoredRotatedBox>& boxes, double iou, bool agnostic);

}  // namespace marrow::detect
