#include "marrow/evaluate/validation_inputs.h"

#include <fmt/format.h>

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
