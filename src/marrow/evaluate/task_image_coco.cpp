// What COCO's definition compares, in the image, and what predictions.json says of it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "marrow/data/outline_parts.h"
#include "marrow/detect/extras.h"
#include "marrow/evaluate/metrics/overlaps.h"
#include "marrow/evaluate/task_image.h"
#include "marrow/evaluate/validation_inputs.h"
#include "marrow/outline/raster.h"

namespace marrow::evaluate {
namespace {

constexpr double kLeastOverlap = 0.5;  // that COCO counts

using Outlines = std::vector<std::span<const Point<Normalised, double>>>;

// All parts of an outline, filled at the image's size.
MaskPart mask_of_parts(const Outlines& parts, Size picture) {
  Mask mask(picture);
  for (const auto& part : parts) {
    std::vector<Point<ImagePixels>> outline;
    for (const auto& [x, y] : part)
      outline.push_back({static_cast<float>(x * picture.width), static_cast<float>(y * picture.height)});
    const Mask filled = outline::fill(outline, picture);
    for (size_t i = 0; i < mask.pixels.size(); ++i) mask.pixels[i] |= filled.pixels[i];
  }
  return trimmed(mask);
}

// Nothing where the label has no outline.
MaskPart mask_of_label(const data::LabelledImage& image, size_t label) {
  if (label >= image.polygons.size()) return {};
  return mask_of_parts(data::parts_of(image, label), {image.width, image.height});
}

MaskPart mask_of_crowd(const data::IgnoredLabel& crowd, const data::LabelledImage& image) {
  const data::Polygon polygon = crowd.polygon.empty() ? data::box_polygon(crowd.label) : crowd.polygon;
  return mask_of_parts(data::parts_of(polygon, crowd.parts), {image.width, image.height});
}

std::vector<int> classes_of(const std::vector<TruthBox>& truth) {
  std::vector<int> classes;
  for (const TruthBox& one : truth) classes.push_back(one.class_id);
  return classes;
}

// In pixels of the image, not clamped.
template <class P>
auto in_image(const P& point, const RatioPad& pad) {
  return std::pair{static_cast<float>((point.x - pad.left) / pad.ratio_x),
                   static_cast<float>((point.y - pad.top) / pad.ratio_y)};
}

Quadrilateral corners_in_image(const RotatedBox<InputPixels>& box, const RatioPad& pad) {
  Quadrilateral corners;
  const auto points = to_image(box, pad).corners();
  for (size_t k = 0; k < corners.size(); ++k) corners[k] = {points[k].x, points[k].y};
  return corners;
}

}  // namespace

std::optional<CocoOverlaps> TaskImage::coco() const {
  if (head_.turned()) return coco_turned();
  if (head_.second() == SecondBlock::kMasks) return coco_masks();
  if (head_.second() == SecondBlock::kKeypoints) return coco_keypoints();
  return {};
}

void TaskImage::add_entries(CocoOverlaps& overlaps, std::span<const int> classes,
                            const std::function<double(size_t, size_t)>& overlap) const {
  for (size_t d = 0; d < detections_.size(); ++d)
    for (size_t i = 0; i < classes.size(); ++i)
      if (classes[i] == detections_[d].class_id)
        if (const double value = overlap(i, d); value >= kLeastOverlap)
          overlaps.entries.push_back({d, i, value});
}

CocoOverlaps TaskImage::coco_turned() const {
  CocoOverlaps overlaps;
  std::vector<Quadrilateral> truth, found;
  for (const auto& box : true_turned_) {
    truth.push_back(corners_in_image(box, image_.ratio_pad));
    const RotatedBox<ImagePixels> moved = to_image(box, image_.ratio_pad);
    overlaps.truth_areas.push_back(double{moved.width} * double{moved.height});
  }
  // COCO's tools take the bounds of what has no area of its own.
  for (const auto& box : found_turned_) {
    found.push_back(corners_in_image(box, image_.ratio_pad));
    overlaps.found_areas.push_back(to_image(box, image_.ratio_pad).bounds().area());
  }
  add_entries(overlaps, classes_of(truth_),
              [&](size_t i, size_t d) { return polygon_iou(truth[i], found[d]); });
  return overlaps;
}

// Targets may be in another order than the labels: each is the nearest label of its class that is left.
std::vector<size_t> TaskImage::labels_of_truth() const {
  const std::vector<data::Label>& labels = image_.labels.labels;
  std::vector<bool> taken(labels.size(), false);
  std::vector<size_t> found;
  for (const TruthBox& one : truth_) {
    const auto box = to_image(one.box, image_.ratio_pad, {image_.labels.width, image_.labels.height});
    size_t best = labels.size();
    double least = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < labels.size(); ++i) {
      if (taken[i] || labels[i].class_id != one.class_id) continue;
      const auto label = data::pixel_box(labels[i], image_.labels).corner_form();
      const double distance = std::abs(label.x1 - box.x1) + std::abs(label.y1 - box.y1) +
                              std::abs(label.x2 - box.x2) + std::abs(label.y2 - box.y2);
      if (distance < least) {
        least = distance;
        best = i;
      }
    }
    if (best < labels.size()) taken[best] = true;
    found.push_back(best);
  }
  return found;
}

MaskPart TaskImage::mask_in_image(size_t detection) const {
  if (predictions_ == nullptr) return found_masks_[detection];
  const Size picture = {image_.labels.width, image_.labels.height};
  const detect::InputDetection& found = detections_[detection];
  const detect::Prototypes prototypes = this->prototypes();
  const detect::MaskRequest request = {
      detect::numbers_of({prediction(), anchors(), found.anchor}, 4 + head_.decode.classes, prototypes.count),
      to_image(found.box, image_.ratio_pad, picture).corners()};
  return trimmed(
      detect::placed_masks(prototypes, std::span(&request, 1), picture, image_.network, image_.ratio_pad)
          .front());
}

std::vector<std::string> TaskImage::fields() const {
  const Size picture = {image_.labels.width, image_.labels.height};
  std::vector<std::string> fields;
  for (size_t d = 0; d < detections_.size() && head_.second() == SecondBlock::kMasks; ++d)
    fields.push_back(
        "\"segmentation\": " +
        nlohmann::json{{"size", {picture.height, picture.width}},
                       {"counts", compressed_runs(run_lengths(whole(mask_in_image(d), picture)))}}
            .dump());
  for (const Points& points : found_points_) {
    nlohmann::json numbers = nlohmann::json::array();
    for (const auto& [x, y, visibility] : detect::to_image(points, image_.ratio_pad, picture)) {
      numbers.push_back(x);
      numbers.push_back(y);
      if (head_.decode.extra == DetectExtra::kVisiblePoints) numbers.push_back(visibility);
    }
    fields.push_back("\"keypoints\": " + numbers.dump());
  }
  return fields;
}

std::vector<RotatedBox<ImagePixels>> TaskImage::turned() const {
  std::vector<RotatedBox<ImagePixels>> boxes;
  for (const RotatedBox<InputPixels>& box : found_turned_) boxes.push_back(to_image(box, image_.ratio_pad));
  return boxes;
}

CocoOverlaps TaskImage::coco_masks() const {
  CocoOverlaps overlaps;
  std::vector<MaskPart> truth;
  std::vector<int> classes = classes_of(truth_);
  for (const size_t label : labels_of_truth()) truth.push_back(mask_of_label(image_.labels, label));
  for (const data::IgnoredLabel& ignored : image_.labels.ignored)
    if (ignored.reason == data::IgnoredLabel::Reason::kCrowd) {
      truth.push_back(mask_of_crowd(ignored, image_.labels));
      classes.push_back(ignored.label.class_id);
    }
  for (const MaskPart& part : truth) overlaps.truth_areas.push_back(static_cast<double>(part.mask.area()));
  // One mask at a time: those of a large image would fill the memory.
  for (size_t d = 0; d < detections_.size(); ++d) {
    const MaskPart mask = mask_in_image(d);
    const auto area = static_cast<double>(mask.mask.area());
    overlaps.found_areas.push_back(area);
    for (size_t i = 0; i < truth.size(); ++i) {
      if (classes[i] != detections_[d].class_id) continue;
      const auto shared = static_cast<double>(shared_pixels(truth[i], mask));
      // A crowd is as large as one likes.
      const double all = i < truth_.size() ? overlaps.truth_areas[i] + area - shared : area;
      if (all > 0 && shared / all >= kLeastOverlap) overlaps.entries.push_back({d, i, shared / all});
    }
  }
  return overlaps;
}

CocoOverlaps TaskImage::coco_keypoints() const {
  const Size picture = {image_.labels.width, image_.labels.height};
  CocoOverlaps overlaps;
  std::vector<detect::Keypoints> truth, found;
  std::vector<CocoBox> boxes;
  for (size_t i = 0; i < truth_.size(); ++i) {
    detect::Keypoints& points = truth.emplace_back();
    for (const auto& point : true_points_[i]) {
      const auto [x, y] = in_image(point, image_.ratio_pad);
      points.push_back({x, y, point.visibility});
    }
    const Box<ImagePixels> box = to_image(truth_[i].box, image_.ratio_pad, picture);
    boxes.push_back({box.x1, box.y1, double{box.x2} - box.x1, double{box.y2} - box.y1});
    overlaps.truth_areas.push_back(boxes.back().area());
    overlaps.ignored.push_back(
        std::ranges::none_of(points, [](const auto& point) { return point.visibility > 0; }));
  }
  std::vector<int> classes = classes_of(truth_);
  for (const CocoTruthBox& one : ignored_people_of(image_.labels)) {
    truth.emplace_back(head_.sigmas.size(), Keypoint<ImagePixels>{0, 0, 0});
    boxes.push_back(one.box);
    classes.push_back(one.class_id);
    overlaps.truth_areas.push_back(one.area);
    overlaps.ignored.push_back(true);
  }
  for (size_t d = 0; d < detections_.size(); ++d) {
    found.push_back(detect::to_image(found_points_[d], image_.ratio_pad, picture));
    overlaps.found_areas.push_back(to_image(detections_[d].box, image_.ratio_pad, picture).area());
  }
  add_entries(overlaps, classes, [&](size_t i, size_t d) {
    return coco_keypoint_similarity(truth[i], found[d], head_.sigmas, boxes[i], overlaps.truth_areas[i]);
  });
  return overlaps;
}

}  // namespace marrow::evaluate
