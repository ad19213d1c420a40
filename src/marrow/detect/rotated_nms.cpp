#include "marrow/detect/rotated_nms.h"

#include <algorithm>

#include "marrow/geometry/probiou.h"

namespace marrow::detect {

std::vector<bool> rotated_survivors(const std::vector<RotatedCandidate>& candidates, double iou,
                                    bool agnostic) {
  std::vector<GaussianBox> shapes;
  shapes.reserve(candidates.size());
  for (const RotatedCandidate& candidate : candidates) shapes.emplace_back(candidate.box);
  std::vector<bool> stays(candidates.size(), true);
  for (size_t j = 0; j < candidates.size(); ++j)
    for (size_t i = 0; i < j && stays[j]; ++i)
      if (agnostic || candidates[i].class_id == candidates[j].class_id)
        stays[j] = !probiou_exceeds(shapes[i], shapes[j], iou);
  return stays;
}

std::vector<RotatedDetection> rotated_suppression(const float* prediction, int classes, int64_t anchors,
                                                  const NmsOptions& options) {
  std::vector<RotatedDetection> found;
  std::vector<RotatedCandidate> candidates;
  for (const InputDetection& one : suppression_candidates(prediction, classes, anchors, options)) {
    const auto row = [&](int64_t r) { return prediction[r * anchors + one.anchor]; };
    const RotatedBox<InputPixels> box = {row(0), row(1), row(2), row(3), row(4 + classes)};
    if (!is_finite(box)) continue;
    found.push_back({box, one.confidence, one.class_id, one.anchor});
    candidates.push_back({{box.cx, box.cy, box.width, box.height, box.angle}, one.class_id});
  }
  const std::vector<bool> stays = rotated_survivors(candidates, options.iou, options.agnostic);
  std::vector<RotatedDetection> kept;
  for (size_t i = 0; i < found.size(); ++i)
    if (stays[i] && std::ssize(kept) < options.max_detections) kept.push_back(found[i]);
  return kept;
}

}  // namespace marrow::detect
