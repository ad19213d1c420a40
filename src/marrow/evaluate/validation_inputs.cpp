#include "marrow/evaluate/validation_inputs.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"

namespace marrow::evaluate {
namespace {

CocoTruthBox coco_box_of(const data::Label& label, const data::LabelledImage& image, bool crowd) {
  const CocoBox box = data::pixel_box(label, image);
  return {label.class_id, box, box.area(), crowd};
}

}  // namespace

std::vector<CocoTruthBox> crowds_of(const data::LabelledImage& image) {
  std::vector<CocoTruthBox> crowds;
  for (const data::IgnoredLabel& ignored : image.ignored)
    if (ignored.reason == data::IgnoredLabel::Reason::kCrowd)
      crowds.push_back(coco_box_of(ignored.label, image, true));
  return crowds;
}

std::vector<CocoTruthBox> ignored_people_of(const data::LabelledImage& image) {
  std::vector<CocoTruthBox> people;
  for (const data::IgnoredLabel& ignored : image.ignored)
    if (data::is_crowd_or_difficult(ignored))
      people.push_back(
          coco_box_of(ignored.label, image, ignored.reason == data::IgnoredLabel::Reason::kCrowd));
  return people;
}

std::optional<std::vector<CocoTruthBox>> coco_truth(const data::LabelledImage& image) {
  const std::vector<CocoTruthBox> crowds = crowds_of(image);
  if (crowds.empty()) return {};
  std::vector<CocoTruthBox> boxes;
  for (const data::Label& label : image.labels) boxes.push_back(coco_box_of(label, image, false));
  boxes.insert(boxes.end(), crowds.begin(), crowds.end());
  return boxes;
}

void require_predictions(const Tensor& predictions, size_t images, int classes, int extra) {
  const int64_t rows = int64_t{4} + classes + extra;
  if (predictions.shape().size() != 3 || predictions.dim(0) != static_cast<int64_t>(images) ||
      predictions.dim(1) != rows)
    throw Error(ErrorKind::kShape,
                fmt::format("predictions are {}; {} images and {} classes want ({}, {}, anchors)",
                            to_string(predictions.shape()), images, classes, images, rows));
}

void require_room_for_masks(const data::LabelledImage& image, const detect::NmsOptions& nms) {
  constexpr double kMostBytes = double{1 << 30};
  double share = 0;
  for (const data::Label& label : image.labels)
    share += std::min(label.box.width, 1.0) * std::min(label.box.height, 1.0);
  const size_t crowds = crowds_of(image).size(), masks = image.labels.size() + crowds;
  share += static_cast<double>(crowds);
  const double pixels = share * image.width * image.height;
  const double pairs = static_cast<double>(image.labels.size()) * nms.max_detections;
  if (pixels + pairs * sizeof(float) > kMostBytes)
    throw Error(ErrorKind::kUsage, fmt::format("{}: the masks of its {} objects and crowds, {:.0f} million "
                                               "pixels in all, do not fit into memory together",
                                               image.path.string(), masks, pixels / 1e6));
}

void describe(const TaskImage& found, const data::LabelledImage& labels, ValidatedImage& image) {
  image.truth = found.truth();
  image.detections = found.detections();
  if (found.second() == SecondBlock::kMasks) image.crowds = crowds_of(labels);
  if (found.second() == SecondBlock::kKeypoints) image.crowds = ignored_people_of(labels);
  image.overlap = found.overlap();
  image.second_overlap = found.second_overlap();
  image.turned = found.turned();
}

std::vector<std::vector<detect::InputDetection>> found_in(const Tensor& predictions,
                                                          const detect::NmsOptions& nms,
                                                          cpu::ThreadPool& threads) {
  const auto classes = static_cast<int>(predictions.dim(1) - 4);
  const int64_t anchors = predictions.dim(2);
  std::vector<std::vector<detect::InputDetection>> detections(static_cast<size_t>(predictions.dim(0)));
  threads.parallel_for(predictions.dim(0), [&](int64_t i, int) {
    detections[static_cast<size_t>(i)] = detect::find_detections(
        predictions.values().data() + i * (4 + classes) * anchors, classes, anchors, nms);
  });
  return detections;
}

}  // namespace marrow::evaluate
