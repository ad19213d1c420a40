#include "marrow/detect/nms.h"

#include <algorithm>
#include <cassert>
#include <functional>
#include <numeric>

namespace marrow::detect {
namespace {

using InputBox = Box<InputPixels>;

// Boxes in columns, so that one box meets many at a time.
struct Kept {
  std::vector<float> x1, y1, x2, y2, area;

  void push_back(const InputBox& box, float box_area) {
    x1.push_back(box.x1);
    y1.push_back(box.y1);
    x2.push_back(box.x2);
    y2.push_back(box.y2);
    area.push_back(box_area);
  }

  // The comparisons are written so that a NaN anywhere means "does not suppress".
  bool suppresses(const InputBox& box, float box_area, float threshold) const {
    constexpr size_t kBlock = 64;  // between two looks at the result
    for (size_t first = 0; first < x1.size(); first += kBlock) {
      size_t last = std::min(first + kBlock, x1.size());
      int hits = 0;
      for (size_t i = first; i < last; ++i) {
        float left = x1[i] > box.x1 ? x1[i] : box.x1;
        float top = y1[i] > box.y1 ? y1[i] : box.y1;
        float right = x2[i] < box.x2 ? x2[i] : box.x2;
        float bottom = y2[i] < box.y2 ? y2[i] : box.y2;
        float width = right - left > 0.0f ? right - left : 0.0f;
        float height = bottom - top > 0.0f ? bottom - top : 0.0f;
        float shared = width * height;
        hits += shared / (area[i] + box_area - shared) > threshold;
      }
      if (hits > 0) return true;
    }
    return false;
  }
};

// Indices of the scores in falling order, equals in their own order. No score is NaN.
std::vector<int64_t> falling_order(std::span<const float> scores) {
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](int64_t i) { return scores[static_cast<size_t>(i)]; });
  return order;
}

std::vector<int64_t> greedy(std::span<const InputBox> boxes, std::span<const int64_t> order, float iou,
                            size_t max_kept) {
  Kept kept;
  std::vector<int64_t> result;
  for (int64_t candidate : order) {
    if (result.size() >= max_kept) break;
    const InputBox& box = boxes[static_cast<size_t>(candidate)];
    float area = box.area();
    if (kept.suppresses(box, area, iou)) continue;
    kept.push_back(box, area);
    result.push_back(candidate);
  }
  return result;
}

InputBox to_corners(const float* prediction, int64_t anchors, int64_t anchor) {
  const CentredBox<InputPixels> box = {prediction[anchor], prediction[anchors + anchor],
                                       prediction[2 * anchors + anchor], prediction[3 * anchors + anchor]};
  return box.corner_form();
}

// Candidates in anchor-major order.
std::vector<InputDetection> candidates(const float* prediction, int classes, int64_t anchors,
                                       const NmsOptions& options) {
  const float* scores = prediction + 4 * anchors;
  auto score = [&](int c, int64_t anchor) { return scores[c * anchors + anchor]; };
  // The best score of every anchor, class by class: rows lie in memory one behind the other.
  std::vector<float> best(scores, scores + anchors);
  for (int c = 1; c < classes; ++c) {
    const float* row = scores + c * anchors;
    // Written so that a NaN, in either, gives way to a number.
    for (int64_t i = 0; i < anchors; ++i) {
      float& so_far = best[static_cast<size_t>(i)];
      so_far = row[i] <= so_far ? so_far : (row[i] == row[i] ? row[i] : so_far);
    }
  }
  std::vector<bool> wanted(static_cast<size_t>(classes), options.classes.empty());
  for (int c : options.classes) {
    if (c >= 0 && c < classes) wanted[static_cast<size_t>(c)] = true;
  }
  const bool multi_label = options.multi_label && classes > 1;
  const float least = least_confidence(options);
  std::vector<InputDetection> result;
  for (int64_t anchor = 0; anchor < anchors; ++anchor) {
    float most = best[static_cast<size_t>(anchor)];
    if (!(most > least)) continue;
    InputBox box = to_corners(prediction, anchors, anchor);
    if (!is_finite(box)) continue;
    for (int c = 0; c < classes; ++c) {
      float s = score(c, anchor);
      const bool counts = s > confidence_of(options, c);
      if (multi_label ? !counts : s != most) continue;
      if (counts && wanted[static_cast<size_t>(c)]) result.push_back({box, s, c, anchor});
      if (!multi_label) break;  // the first of equals
    }
  }
  return result;
}

}  // namespace

float confidence_of(const NmsOptions& options, int class_id) {
  const auto at = static_cast<size_t>(class_id);
  return at < options.class_confidence.size() ? options.class_confidence[at] : options.confidence;
}

float least_confidence(const NmsOptions& options) {
  return options.class_confidence.empty() ? options.confidence : std::ranges::min(options.class_confidence);
}

std::vector<int64_t> greedy_nms(std::span<const InputBox> boxes, std::span<const float> scores, float iou,
                                size_t max_kept) {
  assert(boxes.size() == scores.size());
  return greedy(boxes, falling_order(scores), iou, max_kept);
}

std::vector<InputDetection> suppression_candidates(const float* prediction, int classes, int64_t anchors,
                                                   const NmsOptions& options) {
  if (classes < 1 || anchors < 1) return {};
  std::vector<InputDetection> found = candidates(prediction, classes, anchors, options);
  std::ranges::stable_sort(found, std::greater<>(), &InputDetection::confidence);
  if (found.size() > static_cast<size_t>(options.max_candidates)) {
    found.resize(static_cast<size_t>(options.max_candidates));
  }
  return found;
}

std::vector<InputDetection> non_max_suppression(const float* prediction, int classes, int64_t anchors,
                                                const NmsOptions& options) {
  const std::vector<InputDetection> found = suppression_candidates(prediction, classes, anchors, options);
  std::vector<InputBox> apart;
  apart.reserve(found.size());
  for (const InputDetection& detection : found) {
    float offset = options.agnostic ? 0.0f : static_cast<float>(detection.class_id) * options.max_side;
    const InputBox& box = detection.box;
    apart.push_back({box.x1 + offset, box.y1 + offset, box.x2 + offset, box.y2 + offset});
  }
  std::vector<int64_t> order(found.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::vector<InputDetection> result;
  for (int64_t i :
       greedy(apart, order, options.iou, static_cast<size_t>(std::max(options.max_detections, 0)))) {
    result.push_back(found[static_cast<size_t>(i)]);
  }
  return result;
}

}  // namespace marrow::detect
