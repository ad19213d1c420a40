#include "marrow/evaluate/task_image.h"

#include <algorithm>

#include "marrow/detect/extras.h"
#include "marrow/detect/rotated_nms.h"
#include "marrow/evaluate/metrics/overlaps.h"
#include "marrow/geometry/keypoint_sigmas.h"
#include "marrow/predict/detector.h"

namespace marrow::evaluate {
namespace {

// Linearly resized, and in it where more than half is: half-pixel centres, clamped at the borders.
Mask resized(const Mask& mask, Size size) {
  if (mask.size == size) return mask;
  struct Place {
    int low = 0, high = 0;
    float share = 0;
  };
  const auto places = [](int from, int to) {
    std::vector<Place> axis;
    for (int i = 0; i < to; ++i) {
      const double at = std::max((i + 0.5) * from / to - 0.5, 0.0);
      const int low = std::min(static_cast<int>(at), from - 1);
      axis.push_back({low, std::min(low + 1, from - 1), static_cast<float>(at - low)});
    }
    return axis;
  };
  const std::vector<Place> columns = places(mask.size.width, size.width);
  const std::vector<Place> rows = places(mask.size.height, size.height);
  Mask result(size);
  for (int y = 0; y < size.height; ++y)
    for (int x = 0; x < size.width; ++x) {
      const Place &row = rows[static_cast<size_t>(y)], &column = columns[static_cast<size_t>(x)];
      const auto along = [&](int line) {
        return static_cast<float>(mask.at(column.low, line)) * (1 - column.share) +
               static_cast<float>(mask.at(column.high, line)) * column.share;
      };
      result.at(x, y) = along(row.low) * (1 - row.share) + along(row.high) * row.share > 0.5f;
    }
  return result;
}

}  // namespace

ValidatedHead validated_head(const Graph& graph, bool suppress, const std::vector<double>& sigmas,
                             Rules rules) {
  ValidatedHead head = {.decode = *predict::detection_output(graph, suppress).decode};
  if (const int numbers = numbers_of_point(head.decode.extra); numbers > 1)
    head.sigmas = keypoint_sigmas(head.decode.extra_channels / numbers, numbers, sigmas, rules);
  return head;
}

TaskImage::TaskImage(const ImageOfBatch& image, const BatchPredictions& predictions,
                     const ValidatedHead& head, const detect::NmsOptions& nms)
    : image_(image), predictions_(&predictions), head_(head) {
  read_truth();
  if (head_.turned()) {
    read_turned(nms);
    return;
  }
  detections_ = detect::find_detections(prediction(), head_.decode.classes, anchors(), nms);
  if (head_.second() == SecondBlock::kMasks) read_masks();
  if (head_.second() == SecondBlock::kKeypoints) read_keypoints();
}

TaskImage::TaskImage(const ImageOfBatch& image, const ValidatedHead& head,
                     const predict::DetectionResult& found)
    : image_(image), head_(head) {
  read_truth();
  for (const detect::Detection& one : found.detections)
    detections_.push_back(detect::with_box(one, Box<InputPixels>::from_corners(one.box.corners())));
  for (const auto& [cx, cy, width, height, angle] : found.extras.rotated) {
    found_turned_.push_back({cx, cy, width, height, angle});
    found_shapes_.emplace_back(found_turned_.back());
  }
  if (head_.second() != SecondBlock::kMasks) return;
  found_masks_ = found.extras.masks;
  const std::vector<MaskPart> truth = true_masks(image_.network);
  mask_ious_.assign(truth_.size() * detections_.size(), 0);
  for (size_t d = 0; d < detections_.size(); ++d)
    for (size_t i = 0; i < truth_.size(); ++i)
      if (truth_[i].class_id == detections_[d].class_id)
        mask_ious_[i * detections_.size() + d] = mask_iou(truth[i], found_masks_[d]);
}

void TaskImage::read_truth() {
  const Tensor& targets = image_.batch.targets;
  const auto width = static_cast<float>(image_.network.width),
             height = static_cast<float>(image_.network.height);
  for (int64_t row = 0; row < targets.dim(0); ++row) {
    const float* const t = targets.values().data() + row * targets.dim(1);
    if (static_cast<int64_t>(t[0]) != image_.image) continue;
    rows_.push_back(row);
    const CentredBox<InputPixels> box = {t[2] * width, t[3] * height, t[4] * width, t[5] * height};
    truth_.push_back({box.corner_form(), static_cast<int>(t[1])});
    if (!head_.turned()) continue;
    true_turned_.push_back({box.cx, box.cy, box.width, box.height, t[6]});
    truth_.back().box = true_turned_.back().bounds();
    true_shapes_.emplace_back(true_turned_.back());
  }
}

void TaskImage::read_turned(const detect::NmsOptions& nms) {
  for (const detect::RotatedDetection& found :
       detect::rotated_suppression(prediction(), head_.decode.classes, anchors(), nms)) {
    found_turned_.push_back(found.box);
    found_shapes_.emplace_back(found.box);
    detections_.push_back({found.box.bounds(), found.confidence, found.class_id, found.anchor});
  }
}

std::vector<MaskPart> TaskImage::true_masks(Size size) const {
  const Tensor& masks = image_.batch.masks;
  const auto pixels = masks.values<int32_t>();
  const Size given = {static_cast<int>(masks.dim(2)), static_cast<int>(masks.dim(1))};
  std::vector<MaskPart> truth;
  for (size_t i = 0; i < truth_.size(); ++i) {
    Mask mask(given);
    const size_t plane = static_cast<size_t>(image_.image) * mask.pixels.size();
    for (size_t k = 0; k < mask.pixels.size(); ++k)
      mask.pixels[k] = pixels[plane + k] == static_cast<int32_t>(i) + 1;
    truth.push_back(trimmed(resized(mask, size)));
  }
  return truth;
}

void TaskImage::read_masks() {
  const detect::Prototypes prototypes = this->prototypes();
  const Size network = image_.network, size = head_.fine_masks ? network : prototypes.size;
  const std::vector<MaskPart> truth = true_masks(size);
  mask_ious_.assign(truth_.size() * detections_.size(), 0);
  for (size_t d = 0; d < detections_.size(); ++d) {
    const detect::MaskRequest request = mask_request(d, size);
    const MaskPart mask =
        trimmed((head_.fine_masks ? detect::image_masks(prototypes, std::span(&request, 1), size)
                                  : detect::prototype_masks(prototypes, std::span(&request, 1)))
                    .front());
    for (size_t i = 0; i < truth_.size(); ++i)
      if (truth_[i].class_id == detections_[d].class_id)
        mask_ious_[i * detections_.size() + d] = mask_iou(truth[i], mask);
  }
}

detect::MaskRequest TaskImage::mask_request(size_t detection, Size masks) const {
  const Box<InputPixels>& box = detections_[detection].box;
  const float x = static_cast<float>(masks.width) / static_cast<float>(image_.network.width);
  const float y = static_cast<float>(masks.height) / static_cast<float>(image_.network.height);
  const detect::PredictionColumn column = {prediction(), anchors(), detections_[detection].anchor};
  return {detect::numbers_of(column, 4 + head_.decode.classes, prototypes().count),
          {box.x1 * x, box.y1 * y, box.x2 * x, box.y2 * y}};
}

detect::DetectionExtras TaskImage::drawn(size_t detections) const {
  detect::DetectionExtras extras;
  for (size_t d = 0; d < std::min(detections, found_turned_.size()); ++d) {
    const auto& [cx, cy, width, height, angle] = found_turned_[d];
    extras.rotated.push_back({cx, cy, width, height, angle});
  }
  for (size_t d = 0; d < std::min(detections, found_points_.size()); ++d) {
    extras.keypoints.emplace_back();
    for (const auto& [x, y, visibility] : found_points_[d])
      extras.keypoints.back().push_back({x, y, visibility});
  }
  extras.visibility = head_.decode.extra == DetectExtra::kVisiblePoints;
  if (head_.second() != SecondBlock::kMasks) return extras;
  const detect::Prototypes prototypes = this->prototypes();
  std::vector<detect::MaskRequest> requests;
  for (size_t d = 0; d < std::min(detections, detections_.size()); ++d)
    requests.push_back(mask_request(d, prototypes.size));
  for (const Mask& mask : detect::prototype_masks(prototypes, requests))
    extras.masks.push_back(trimmed(mask));
  extras.mask_size = prototypes.size;
  const Size network = image_.network;
  extras.mask_place.ratio_x = static_cast<double>(prototypes.size.width) / network.width;
  extras.mask_place.ratio_y = static_cast<double>(prototypes.size.height) / network.height;
  return extras;
}

void TaskImage::read_keypoints() {
  const Tensor& keypoints = image_.batch.keypoints;
  const auto width = static_cast<float>(image_.network.width),
             height = static_cast<float>(image_.network.height);
  for (const int64_t row : rows_) {
    Points& points = true_points_.emplace_back();
    for (int64_t k = 0; k < keypoints.dim(1); ++k) {
      const float* const p = keypoints.values().data() + (row * keypoints.dim(1) + k) * 3;
      points.push_back({p[0] * width, p[1] * height, p[2]});
    }
  }
  for (const detect::InputDetection& found : detections_)
    found_points_.push_back(detect::keypoints_of({prediction(), anchors(), found.anchor},
                                                 4 + head_.decode.classes, head_.decode.extra_channels,
                                                 numbers_of_point(head_.decode.extra)));
}

Overlap TaskImage::overlap() const {
  if (!head_.turned()) return overlap_of_boxes(truth_, detections_);
  return
      [this](size_t i, size_t d) { return static_cast<float>(probiou(true_shapes_[i], found_shapes_[d])); };
}

Overlap TaskImage::second_overlap() const {
  if (head_.second() == SecondBlock::kMasks)
    return [this](size_t i, size_t d) { return mask_ious_[i * detections_.size() + d]; };
  if (head_.second() == SecondBlock::kKeypoints)
    return [this](size_t i, size_t d) {
      return keypoint_similarity(true_points_[i], found_points_[d], head_.sigmas,
                                 keypoint_area(truth_[i].box));
    };
  return {};
}

}  // namespace marrow::evaluate
