#include "marrow/evaluate/metrics/detection_validator.h"

#include <fmt/format.h>

#include <numeric>

#include "marrow/base/error.h"

namespace marrow::evaluate {
namespace {

CocoBox coco_box(const Box<ImagePixels>& box) {
  return {box.x1, box.y1, static_cast<double>(box.x2) - box.x1, static_cast<double>(box.y2) - box.y1};
}

void check_class(const char* what, int class_id, size_t classes, const std::string& file_name) {
  if (class_id >= 0 && static_cast<size_t>(class_id) < classes) return;
  throw Error(ErrorKind::kShape,
              fmt::format("{}: a {} of class {}, but the data has {} classes (0..{})", file_name, what,
                          class_id, classes, static_cast<int64_t>(classes) - 1));
}

}  // namespace

std::string_view block_letter(SecondBlock block) {
  return block == SecondBlock::kMasks ? "M" : block == SecondBlock::kKeypoints ? "P" : "";
}

std::vector<double> DetectionReport::map_by_class() const {
  std::vector<double> values(names.size(), ultralytics.map50_95());
  for (const ClassPrecision& one : ultralytics.classes)
    values[static_cast<size_t>(one.class_id)] = one.map50_95();
  return values;
}

DetectionValidator::DetectionValidator(std::vector<std::string> names, ValidatorOptions options)
    : names_(std::move(names)),
      options_(std::move(options)),
      instances_(names_.size()),
      images_of_class_(names_.size()),
      confusion_(static_cast<int>(names_.size()) + 1) {
  const auto classes = static_cast<int>(names_.size());
  if (options_.category_ids.empty()) options_.category_ids = coco_category_ids(classes, false);
  if (options_.category_ids.size() != names_.size())
    throw Error(ErrorKind::kShape, fmt::format("{} category numbers for {} classes",
                                               options_.category_ids.size(), names_.size()));
  for (int c = 0; c < classes; ++c) coco_truth_.category_ids.push_back(c);
}

void DetectionValidator::add(const ValidatedImage& picture) {
  for (const TruthBox& box : picture.truth)
    check_class("label", box.class_id, names_.size(), picture.file_name);
  for (const detect::InputDetection& detection : picture.detections)
    check_class("detection", detection.class_id, names_.size(), picture.file_name);
  if (picture.coco_truth) {
    for (const CocoTruthBox& box : *picture.coco_truth)
      check_class("label", box.class_id, names_.size(), picture.file_name);
  }
  std::vector<bool> seen(names_.size());
  for (const TruthBox& box : picture.truth) {
    const auto c = static_cast<size_t>(box.class_id);
    ++instances_[c];
    if (!seen[c]) ++images_of_class_[c];
    seen[c] = true;
  }
  const Overlap overlap =
      picture.overlap ? picture.overlap : overlap_of_boxes(picture.truth, picture.detections);
  const auto match = [&](const Overlap& by, std::vector<MatchedDetection>& list) {
    const auto matched = match_detections(picture.truth, picture.detections, by, options_.rules);
    list.insert(list.end(), matched.begin(), matched.end());
  };
  match(overlap, matched_);
  if (options_.second != SecondBlock::kNone) match(picture.second_overlap, matched_second_);
  add_detections(confusion_, picture.truth, picture.detections, overlap,
                 confusion_confidence(options_.confidence, options_.turned), options_.rules);
  add_coco(picture);
  ++images_;
}

void DetectionValidator::add_coco(const ValidatedImage& picture) {
  const auto in_image = [&](const Box<InputPixels>& box) {
    return coco_box(to_image(box, picture.ratio_pad, picture.picture));
  };
  const auto annotate = [&](int class_id, const CocoBox& box, double area, bool crowd) {
    coco_truth_.annotations.push_back({images_, class_id, box, area, crowd});
  };
  const size_t first_truth = coco_truth_.annotations.size(), first_found = coco_detections_.size();
  coco_truth_.image_ids.push_back(images_);
  file_names_.push_back(picture.file_name);
  image_ids_.push_back(picture.image_id);
  if (picture.coco_truth) {
    for (const CocoTruthBox& one : *picture.coco_truth) annotate(one.class_id, one.box, one.area, one.crowd);
  } else {
    for (const TruthBox& one : picture.truth) {
      const CocoBox box = in_image(one.box);
      annotate(one.class_id, box, box.area(), false);
    }
    for (const CocoTruthBox& one : picture.crowds) annotate(one.class_id, one.box, one.area, one.crowd);
  }
  for (const detect::InputDetection& detection : picture.detections) {
    coco_detections_.push_back(
        {images_, detection.class_id, rounded(in_image(detection.box)), rounded_score(detection.confidence)});
  }
  if (!picture.fields.empty()) {
    fields_.resize(first_found);
    fields_.insert(fields_.end(), picture.fields.begin(), picture.fields.end());
  }
  turned_.insert(turned_.end(), picture.turned.begin(), picture.turned.end());
  if (picture.coco) add_coco_overlaps(picture, first_truth, first_found);
}

void DetectionValidator::add_coco_overlaps(const ValidatedImage& picture, size_t first_truth,
                                           size_t first_found) {
  const size_t task_truth = task_annotations_.size(), task_found = task_detections_.size();
  for (size_t i = first_truth; i < coco_truth_.annotations.size(); ++i) {
    CocoAnnotation& annotation = task_annotations_.emplace_back(coco_truth_.annotations[i]);
    annotation.area = picture.coco->truth_areas.at(i - first_truth);
    if (!picture.coco->ignored.empty()) annotation.ignored = picture.coco->ignored.at(i - first_truth);
  }
  for (size_t i = first_found; i < coco_detections_.size(); ++i) {
    CocoDetection& detection = task_detections_.emplace_back(coco_detections_[i]);
    detection.own_area = picture.coco->found_areas.at(i - first_found);
  }
  task_overlaps_.resize(task_detections_.size());
  for (const auto& [detection, truth, overlap] : picture.coco->entries)
    task_overlaps_.at(task_found + detection).emplace_back(task_truth + truth, overlap);
}

std::vector<CocoPrediction> DetectionValidator::predictions() const {
  std::vector<CocoPrediction> predictions;
  predictions.reserve(coco_detections_.size());
  for (size_t i = 0; i < coco_detections_.size(); ++i) {
    const CocoDetection& one = coco_detections_[i];
    CocoPrediction& prediction = predictions.emplace_back();
    prediction = {.file_name = file_names_[static_cast<size_t>(one.image_id)],
                  .category_id = options_.category_ids[static_cast<size_t>(one.category_id)],
                  .box = one.box,
                  .score = one.score,
                  .image_id = image_ids_[static_cast<size_t>(one.image_id)],
                  .fields = i < fields_.size() ? fields_[i] : "",
                  .class_id = static_cast<int>(one.category_id)};
    if (options_.turned) prediction.turned = turned_.at(i);
  }
  return predictions;
}

DetectionReport DetectionValidator::report() const {
  DetectionReport report;
  report.rules = options_.rules;
  report.names = names_;
  report.images = images_;
  report.instances = std::accumulate(instances_.begin(), instances_.end(), int64_t{0});
  report.images_of_class = images_of_class_;
  report.ultralytics = average_precision(matched_, instances_, options_.rules);
  report.confusion = confusion_;
  report.block = options_.second;
  if (!options_.turned) report.coco = evaluate_coco(coco_truth_, coco_detections_);
  if (options_.second == SecondBlock::kNone && !options_.turned) return report;
  const CocoGroundTruth truth = {coco_truth_.image_ids, coco_truth_.category_ids, task_annotations_};
  const CocoOverlap overlap = [&](size_t detection, size_t annotation) {
    for (const auto& [place, value] : task_overlaps_[detection])
      if (place == annotation) return value;
    return 0.0;
  };
  if (options_.turned) {
    report.coco = evaluate_coco(truth, task_detections_, overlap);
    return report;
  }
  report.second = average_precision(matched_second_, instances_, options_.rules);
  if (options_.second == SecondBlock::kMasks)
    report.coco_masks = evaluate_coco(truth, task_detections_, overlap);
  else
    report.coco_keypoints = evaluate_coco_keypoints(truth, task_detections_, overlap);
  return report;
}

}  // namespace marrow::evaluate
