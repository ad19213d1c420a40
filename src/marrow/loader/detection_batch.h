// What training and validation get at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "marrow/base/rules.h"
#include "marrow/base/task.h"
#include "marrow/base/tensor.h"
#include "marrow/geometry/letterbox.h"
#include "marrow/loader/augment/sample.h"

namespace marrow::loader {

// Where an image lies in its part of the batch (validation); what it takes to move boxes back.
struct BatchImage {
  size_t index = 0;  // in the store; in training the next readable image may have taken its place
  Size original;
  double ratio_height = 1, ratio_width = 1;  // loaded / original
  double left = 0, top = 0;                  // padding

  // 8.3 takes the height's factor for both sides.
  RatioPad ratio_pad(Rules rules = kDefaultRules) const {
    return {rules == Rules::k84 ? ratio_width : ratio_height, ratio_height, left, top};
  }
};

struct DetectionBatch {
  int64_t epoch = 0;
  int64_t number = 0;  // in the epoch
  Tensor images;       // (N, C, H, W), see batch_tensor; red first; N may be 0 in validation
  // (M, 6) float32: image in the batch, class, cx, cy, w, h as parts of H and W; for kObb (M, 7): the centre,
  // w / W, h / H and angle (radians) of the turned box, whatever its angle. Images in rising order.
  Tensor targets;
  // kSegment, int32, of H / mask_ratio x W / mask_ratio pixels. Overlapping: (N, h, w), 0 background, i the
  // image's i-th row of targets from 1, the smaller of two where both are. Otherwise (M, h, w) of 0 and 1.
  Tensor masks;
  bool overlapping_masks = true;
  Tensor keypoints;                // kPose: (M, K, 3) float32: x / W, y / H, visibility
  Tensor ignored;                  // (R, 5) float32, regions to ignore: the same without a class
  std::vector<BatchImage> origin;  // N
};

// How the outlines of a batch become masks (kSegment).
struct MaskOptions {
  bool overlap = true;
  int ratio = 4;  // of the input's sides to the masks'; at least 1 and no more than the shorter side
};

// The masks of one image's objects, as DetectionBatch has them. Where they overlap the objects are ordered as
// the reference orders them: by falling area of their masks, those without a pixel first.
std::vector<int32_t> draw_masks(std::vector<Object>& objects, Size input, const MaskOptions& options);

// Objects and regions to ignore as the rows of a batch.
class BatchRows {
 public:
  explicit BatchRows(Task task = Task::kDetect) : task_(task) {}
  // Those of the batch's next image, in pixels of the input, with their masks (draw_masks).
  void add(std::span<const Object> objects, std::span<const Box<ImagePixels>> ignored, Size input,
           std::span<const int32_t> masks = {});
  // `input` is the size of the batch's images. Throws Error{kUsage} where separate masks take more than
  // kMostMaskBytes.
  void move_into(DetectionBatch& batch, Size input, const MaskOptions& options = {}) &&;

 private:
  Task task_;
  int64_t images_ = 0, objects_ = 0, keypoints_ = 0;  // keypoints: of an object
  std::vector<float> targets_, ignored_, points_;
  std::vector<int32_t> masks_;
};

}  // namespace marrow::loader
