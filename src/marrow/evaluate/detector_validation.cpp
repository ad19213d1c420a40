#include "marrow/evaluate/detector_validation.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/base/stopwatch.h"

namespace marrow::evaluate {
namespace {

// What is true of each image of the batch, in pixels of the network's input.
std::vector<std::vector<TruthBox>> truth_of(const loader::DetectionBatch& batch) {
  std::vector<std::vector<TruthBox>> truth(batch.origin.size());
  const auto width = static_cast<float>(batch.images.dim(3)),
             height = static_cast<float>(batch.images.dim(2));
  const std::span<const float> rows = batch.targets.values();
  for (size_t i = 0; i + 6 <= rows.size(); i += 6) {
    const CentredBox<InputPixels> box = {rows[i + 2] * width, rows[i + 3] * height, rows[i + 4] * width,
                                         rows[i + 5] * height};
    truth.at(static_cast<size_t>(rows[i])).push_back({box.corner_form(), static_cast<int>(rows[i + 1])});
  }
  return truth;
}

Box<InputPixels> input_box(const data::Label& label, Size picture) {
  const auto width = static_cast<float>(picture.width), height = static_cast<float>(picture.height);
  const auto box = label.box.in_single_precision();
  return CentredBox<InputPixels>{box.cx * width, box.cy * height, box.width * width, box.height * height}
      .corner_form();
}

// COCO's crowds take detections that would otherwise be wrong; they are not among the labels.
std::optional<std::vector<CocoTruthBox>> coco_truth(const data::LabelledImage& image) {
  const auto crowd = [](const data::IgnoredLabel& l) {
    return l.reason == data::IgnoredLabel::Reason::kCrowd;
  };
  if (std::ranges::none_of(image.ignored, crowd)) return {};
  std::vector<CocoTruthBox> boxes;
  const auto add = [&](const data::Label& l, bool is_crowd) {
    const CocoBox box = data::pixel_box(l, image);
    boxes.push_back({l.class_id, box, box.area(), is_crowd});
  };
  for (const data::Label& label : image.labels) add(label, false);
  for (const data::IgnoredLabel& ignored : image.ignored)
    if (crowd(ignored)) add(ignored.label, true);
  return boxes;
}

// 8.4: the usual limit becomes the number of objects in the fullest image where that is more.
int most_detections(const DetectorValidationOptions& options, const loader::ImageStore& store) {
  int most = options.max_detections;
  if (options.rules != Rules::k84 || most != detect::NmsOptions().max_detections) return most;
  for (size_t i = 0; i < store.size(); ++i)
    most = std::max(most, static_cast<int>(store.labels(i).labels.size()));
  return most;
}

}  // namespace

DetectorValidation validate_detector(loader::DetectionLoader& loader, const loader::ImageStore& store,
                                     const DetectorValidationOptions& options, const PredictBatch& predict,
                                     cpu::ThreadPool& threads,
                                     const std::function<bool(int64_t)>& keep_going) {
  const auto classes = static_cast<int>(options.names.size());
  detect::NmsOptions nms;
  nms.confidence = options.confidence;
  nms.iou = options.iou;
  nms.max_detections = most_detections(options, store);
  nms.agnostic = options.agnostic;
  nms.suppress = options.suppress;
  nms.multi_label = true;

  DetectionValidator validator(
      options.names,
      {.confidence = options.confidence, .category_ids = options.numbers.categories, .rules = options.rules});
  ValidationTimes total;
  int64_t images = 0, batches = 0;
  while (true) {
    Stopwatch clock;
    const std::optional<loader::DetectionBatch> batch = loader.next();
    total.preprocess += clock.lap_milliseconds();
    if (!batch) break;
    const size_t count = batch->origin.size();
    if (count > 0) {
      const Tensor predictions = predict(*batch);
      total.inference += clock.lap_milliseconds();
      if (predictions.shape().size() != 3 || predictions.dim(0) != static_cast<int64_t>(count) ||
          predictions.dim(1) != 4 + classes)
        throw Error(ErrorKind::kShape,
                    fmt::format("predictions are {}; {} images and {} classes want ({}, {}, anchors)",
                                to_string(predictions.shape()), count, classes, count, 4 + classes));

      const int64_t anchors = predictions.dim(2);
      const float* values = predictions.values().data();
      std::vector<std::vector<detect::InputDetection>> detections(count);
      threads.parallel_for(static_cast<int64_t>(count), [&](int64_t i, int) {
        detections[static_cast<size_t>(i)] =
            detect::find_detections(values + i * (4 + classes) * anchors, classes, anchors, nms);
      });
      const auto truth = truth_of(*batch);
      const Size network = {static_cast<int>(batch->images.dim(3)), static_cast<int>(batch->images.dim(2))};
      for (size_t i = 0; i < count; ++i) {
        const loader::BatchImage& origin = batch->origin[i];
        const data::LabelledImage& labels = store.labels(origin.index);
        validator.add({.file_name = labels.path.filename().string(),
                       .picture = origin.original,
                       .network = network,
                       .ratio_pad = origin.ratio_pad(options.rules),
                       .truth = truth[i],
                       .detections = detections[i],
                       .coco_truth = coco_truth(labels),
                       .image_id = options.numbers.picture(labels.path)});
      }
      total.postprocess += clock.lap_milliseconds();
      if (options.show) options.show(*batch, detections);
      images += static_cast<int64_t>(count);
    }
    if (keep_going && !keep_going(++batches)) break;
  }
  return {validator.report(), options.predictions ? validator.predictions() : std::vector<CocoPrediction>(),
          total.per_image(images)};
}

DetectorValidation validate_whole_images(loader::ImageStore& store, const DetectorValidationOptions& options,
                                         const DetectImage& detect,
                                         const std::function<bool(int64_t)>& keep_going) {
  DetectionValidator validator(
      options.names,
      {.confidence = options.confidence, .category_ids = options.numbers.categories, .rules = options.rules});
  ValidationTimes total;
  int64_t images = 0;
  for (size_t i = 0; i < store.size(); ++i) {
    Stopwatch clock;
    const std::shared_ptr<const image::Image> image = store.load(i);
    if (image == nullptr) continue;
    total.preprocess += clock.lap_milliseconds();
    const predict::DetectionResult found = detect(*image);
    total.preprocess += found.times.preprocess_ms;
    total.inference += found.times.inference_ms;
    total.postprocess += found.times.postprocess_ms;
    const Size picture = {image->width(), image->height()};
    const data::LabelledImage& labels = store.labels(i);
    // The image is its own input.
    std::vector<TruthBox> truth;
    for (const data::Label& label : labels.labels)
      truth.push_back({input_box(label, picture), label.class_id});
    std::vector<detect::InputDetection> detections;
    for (const detect::Detection& one : found.detections)
      detections.push_back(detect::with_box(one, Box<InputPixels>::from_corners(one.box.corners())));
    validator.add({.file_name = labels.path.filename().string(),
                   .picture = picture,
                   .network = picture,
                   .ratio_pad = assumed_ratio_pad(picture, picture),
                   .truth = truth,
                   .detections = detections,
                   .coco_truth = coco_truth(labels),
                   .image_id = options.numbers.picture(labels.path)});
    ++images;
    if (keep_going && !keep_going(images)) break;
  }
  return {validator.report(), options.predictions ? validator.predictions() : std::vector<CocoPrediction>(),
          total.per_image(images)};
}

}  // namespace marrow::evaluate
