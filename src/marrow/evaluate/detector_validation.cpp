#include "marrow/evaluate/detector_validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "marrow/base/error.h"
#include "marrow/base/stopwatch.h"
#include "marrow/evaluate/sent_images.h"
#include "marrow/evaluate/validation_inputs.h"

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

// Masks of all objects and crowds are compared with each one that is found. An object's takes no more than
// its box, which is that of its outline; a crowd's may.
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
                                               "pixels in all, do not fit into memory "
                                               "together",
                                               image.path.string(), masks, pixels / 1e6));
}

// Images of a task that finds more than boxes.
std::vector<std::unique_ptr<TaskImage>> add_task_images(
    const loader::DetectionBatch& batch, const BatchPredictions& predictions, const loader::ImageStore& store,
    const DetectorValidationOptions& options, const detect::NmsOptions& nms, cpu::ThreadPool& threads,
    const std::function<void(const ValidatedImage&)>& add) {
  const auto count = static_cast<int64_t>(batch.origin.size());
  std::vector<std::unique_ptr<TaskImage>> images(batch.origin.size());
  std::vector<std::optional<CocoOverlaps>> coco(images.size());
  std::vector<std::vector<std::string>> fields(images.size());
  const bool masks = options.head.second() == SecondBlock::kMasks;
  for (const loader::BatchImage& origin : batch.origin)
    if (masks) require_room_for_masks(store.labels(origin.index), nms);
  threads.parallel_for(count, [&](int64_t image, int) {
    const auto i = static_cast<size_t>(image);
    const loader::BatchImage& origin = batch.origin[i];
    images[i] = std::make_unique<TaskImage>(ImageOfBatch{.batch = batch,
                                                         .predictions = predictions,
                                                         .image = image,
                                                         .labels = store.labels(origin.index),
                                                         .ratio_pad = origin.ratio_pad(options.rules)},
                                            options.head, nms);
    coco[i] = images[i]->coco();
    if (options.predictions) fields[i] = images[i]->fields();
  });
  for (size_t i = 0; i < images.size(); ++i) {
    const loader::BatchImage& origin = batch.origin[i];
    const data::LabelledImage& labels = store.labels(origin.index);
    add({.file_name = labels.path.filename().string(),
         .picture = origin.original,
         .network = {static_cast<int>(batch.images.dim(3)), static_cast<int>(batch.images.dim(2))},
         .ratio_pad = origin.ratio_pad(options.rules),
         .truth = images[i]->truth(),
         .detections = images[i]->detections(),
         .crowds = masks ? crowds_of(labels) : std::vector<CocoTruthBox>(),
         .image_id = options.numbers.picture(labels.path),
         .overlap = images[i]->overlap(),
         .second_overlap = images[i]->second_overlap(),
         .coco = std::move(coco[i]),
         .fields = std::move(fields[i]),
         .turned = images[i]->turned()});
  }
  return images;
}

}  // namespace

detect::NmsOptions suppression(const DetectorValidationOptions& options, const loader::ImageStore& store) {
  detect::NmsOptions nms;
  const bool usual = options.max_detections == nms.max_detections;
  nms.confidence = options.confidence;
  nms.iou = options.iou;
  nms.max_detections = options.max_detections;
  nms.agnostic = options.agnostic;
  nms.suppress = options.suppress;
  nms.multi_label = true;
  if (options.rules == Rules::k84 && usual)
    for (size_t i = 0; i < store.size(); ++i)
      nms.max_detections = std::max(nms.max_detections, static_cast<int>(store.labels(i).labels.size()));
  return nms;
}

DetectorValidation validate_detector(loader::DetectionLoader& loader, const loader::ImageStore& store,
                                     const DetectorValidationOptions& options, const PredictBatch& predict,
                                     cpu::ThreadPool& threads,
                                     const std::function<bool(int64_t)>& keep_going) {
  const auto classes = static_cast<int>(options.names.size());
  const detect::NmsOptions nms = suppression(options, store);

  DetectionValidator validator(options.names, {.confidence = options.confidence,
                                               .category_ids = options.numbers.categories,
                                               .rules = options.rules,
                                               .second = options.head.second(),
                                               .turned = options.head.turned()});
  std::string sent;  // of this worker
  int64_t number = 0;
  const auto add = [&](const ValidatedImage& image) {
    if (options.gather)
      append_image(sent, number, image);
    else
      validator.add(image);
  };
  ValidationTimes total;
  int64_t images = 0, batches = 0;
  while (true) {
    Stopwatch clock;
    const std::optional<loader::DetectionBatch> batch = loader.next();
    total.preprocess += clock.lap_milliseconds();
    if (!batch) break;
    const size_t count = batch->origin.size();
    number = batch->number;
    if (count == 0 && options.gather) predict(*batch);
    if (count > 0) {
      const BatchPredictions predictions = predict(*batch);
      total.inference += clock.lap_milliseconds();
      require_predictions(predictions.decoded, count, classes, options.head.decode.extra_channels);
      if (options.head.decode.extra != DetectExtra::kNone) {
        const auto found = add_task_images(*batch, predictions, store, options, nms, threads, add);
        total.postprocess += clock.lap_milliseconds();
        std::vector<std::vector<detect::InputDetection>> detections;
        for (const auto& image : found) detections.push_back(image->detections());
        const auto extras = [&](size_t image, size_t first) { return found[image]->drawn(first); };
        if (options.show) options.show(*batch, detections, extras);
        images += static_cast<int64_t>(count);
        if (keep_going && !keep_going(++batches)) break;
        continue;
      }
      const auto detections = found_in(predictions.decoded, nms, threads);
      const auto truth = truth_of(*batch);
      const Size network = {static_cast<int>(batch->images.dim(3)), static_cast<int>(batch->images.dim(2))};
      for (size_t i = 0; i < count; ++i) {
        const loader::BatchImage& origin = batch->origin[i];
        const data::LabelledImage& labels = store.labels(origin.index);
        add({.file_name = labels.path.filename().string(),
             .picture = origin.original,
             .network = network,
             .ratio_pad = origin.ratio_pad(options.rules),
             .truth = truth[i],
             .detections = detections[i],
             .coco_truth = coco_truth(labels),
             .image_id = options.numbers.picture(labels.path)});
      }
      total.postprocess += clock.lap_milliseconds();
      if (options.show) options.show(*batch, detections, {});
      images += static_cast<int64_t>(count);
    }
    if (keep_going && !keep_going(++batches)) break;
  }
  if (options.gather)
    visit_images(options.gather(sent), [&](const ValidatedImage& image) { validator.add(image); });
  return {validator.report(), options.predictions ? validator.predictions() : std::vector<CocoPrediction>(),
          total.per_image(images)};
}

}  // namespace marrow::evaluate
