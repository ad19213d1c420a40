// From a detection head's decoded output to a list of detections: threshold, best class, non-maximum
// suppression.
//
// Equal to YOLOv8's own in set, order and values; deterministic, with no time limit. A score
// that is not a number never passes the threshold and a box that is not finite is dropped, so that a broken
// model yields few detections rather than a crash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "marrow/geometry/box.h"
#include "marrow/geometry/size.h"

namespace marrow::detect {

struct NmsOptions {
  float confidence = 0.25f;                  // strictly above it
  std::vector<float> class_confidence = {};  // instead of it, of each class; empty: none
  float iou = 0.7f;                          // suppressed strictly above it
  int max_detections = 300;
  int max_candidates = 30000;  // the best so many enter the suppression
  float max_side = 7680.0f;    // classes are moved apart by this; at least the largest box (pixels)
  bool agnostic = false;       // classes suppress each other
  bool suppress = true;        // false: as end-to-end heads do, choose_detections()
  bool multi_label =
      false;  // every class above the threshold counts, not just the best; ignored for one class
  std::vector<int> classes;  // empty: all
};

// What a score of a class must exceed, and the least that any class's must.
float confidence_of(const NmsOptions& options, int class_id);
float least_confidence(const NmsOptions& options);

template <class Space>
struct DetectionIn {
  Box<Space> box = {};
  float confidence = 0.0f;  // 0..1
  int class_id = 0;
  int64_t anchor = 0;    // column of the prediction it came from
  int64_t track_id = 0;  // its object's number in every frame, from 1; 0: not followed
};
using InputDetection = DetectionIn<InputPixels>;  // as NMS returns it
using Detection = DetectionIn<ImagePixels>;       // as people read it

// The same detection where its box lies in another space.
template <class Space, class From>
DetectionIn<Space> with_box(const DetectionIn<From>& detection, const Box<Space>& box) {
  return {box, detection.confidence, detection.class_id, detection.anchor, detection.track_id};
}

// What enters the suppression: the best max_candidates, sorted by falling confidence.
std::vector<InputDetection> suppression_candidates(const float* prediction, int classes, int64_t anchors,
                                                   const NmsOptions& options);

// prediction: (4 + classes or more, anchors) float32 of one image: centre x, centre y, width, height, then
// class scores. Sorted by falling confidence.
std::vector<InputDetection> non_max_suppression(const float* prediction, int classes, int64_t anchors,
                                                const NmsOptions& options);

// Without suppression, from the branches of an end-to-end head: of the anchors with the best scores the best
// scores of all classes, so that an anchor may appear with several (agnostic: with its best alone). At least
// 300 are chosen, then those at most `confidence` and of unwanted classes go, then all beyond max_detections.
// Sorted by falling confidence, equals in the order of anchors. Source: YOLOv10, Wang et al. 2024,
// section 3.1.
std::vector<InputDetection> choose_detections(const float* prediction, int classes, int64_t anchors,
                                              const NmsOptions& options);

// By options.suppress, one of the two.
std::vector<InputDetection> find_detections(const float* prediction, int classes, int64_t anchors,
                                            const NmsOptions& options);

// Greedy suppression by falling score; equal scores keep their order. Returns indices of the boxes that stay,
// in that order, at most max_kept. IoU is float32 without an epsilon: two boxes without area do not suppress
// each other. No score is NaN.
std::vector<int64_t> greedy_nms(std::span<const Box<InputPixels>> boxes, std::span<const float> scores,
                                float iou, size_t max_kept = SIZE_MAX);

}  // namespace marrow::detect
