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

// One batch of images that a network has seen.
struct SeenBatch {
  const loader::DetectionBatch& batch;
  const BatchPredictions& predictions;
  const loader::ImageStore& store;
  const DetectorValidationOptions& options;
  const detect::NmsOptions& nms;

  const data::LabelledImage& labels(size_t i) const { return store.labels(batch.origin[i].index); }
  Size network() const {
    return {static_cast<int>(batch.images.dim(3)), static_cast<int>(batch.images.dim(2))};
  }
  // What is known of an image before it is compared with what was found.
  ValidatedImage image(size_t i) const {
    const loader::BatchImage& origin = batch.origin[i];
    ValidatedImage image;
    image.file_name = labels(i).path.filename().string();
    image.picture = origin.original;
    image.network = network();
    image.ratio_pad = origin.ratio_pad(options.rules);
    image.image_id = options.numbers.picture(labels(i).path);
    return image;
  }
};

// In each image of a batch.
struct Found {
  std::vector<std::vector<detect::InputDetection>> detections;
  ExtrasOfImage extras = {};
};
using AddImage = std::function<void(const ValidatedImage&)>;

Found add_boxes(const SeenBatch& seen, cpu::ThreadPool& threads, const AddImage& add) {
  Found found = {found_in(seen.predictions.decoded, seen.nms, threads)};
  const auto truth = truth_of(seen.batch);
  for (size_t i = 0; i < truth.size(); ++i) {
    ValidatedImage image = seen.image(i);
    image.truth = truth[i];
    image.detections = found.detections[i];
    image.coco_truth = coco_truth(seen.labels(i));
    add(image);
  }
  return found;
}

// Images of a task that finds more than boxes.
Found add_task_images(const SeenBatch& seen, cpu::ThreadPool& threads, const AddImage& add) {
  const DetectorValidationOptions& options = seen.options;
  const size_t count = seen.batch.origin.size();
  const auto images = std::make_shared<std::vector<std::unique_ptr<TaskImage>>>(count);
  std::vector<std::optional<CocoOverlaps>> coco(count);
  std::vector<std::vector<std::string>> fields(count);
  const bool masks = options.head.second() == SecondBlock::kMasks;
  for (size_t i = 0; i < count && masks; ++i) require_room_for_masks(seen.labels(i), seen.nms);
  threads.parallel_for(static_cast<int64_t>(count), [&](int64_t number, int) {
    const auto i = static_cast<size_t>(number);
    auto& image = (*images)[i];
    image =
        std::make_unique<TaskImage>(ImageOfBatch{.batch = seen.batch,
                                                 .image = number,
                                                 .labels = seen.labels(i),
                                                 .ratio_pad = seen.batch.origin[i].ratio_pad(options.rules),
                                                 .network = seen.network()},
                                    seen.predictions, options.head, seen.nms);
    coco[i] = image->coco();
    if (options.predictions) fields[i] = image->fields();
  });
  Found found;
  for (size_t i = 0; i < count; ++i) {
    const TaskImage& task_image = *(*images)[i];
    ValidatedImage image = seen.image(i);
    describe(task_image, seen.labels(i), image);
    image.coco = std::move(coco[i]);
    image.fields = std::move(fields[i]);
    add(image);
    found.detections.push_back(task_image.detections());
  }
  found.extras = [images](size_t image, size_t first) { return (*images)[image]->drawn(first); };
  return found;
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
  ValidationTimes total;
  int64_t images = 0, batches = 0;
  while (true) {
    Stopwatch clock;
    const std::optional<loader::DetectionBatch> batch = loader.next();
    total.preprocess += clock.lap_milliseconds();
    if (!batch) break;
    const size_t count = batch->origin.size();
    if (count == 0 && options.gather) predict(*batch);
    if (count > 0) {
      const BatchPredictions predictions = predict(*batch);
      total.inference += clock.lap_milliseconds();
      require_predictions(predictions.decoded, count, classes, options.head.decode.extra_channels);
      const bool is_boxes = options.head.decode.extra == DetectExtra::kNone;
      const Found found = (is_boxes ? add_boxes : add_task_images)(
          {*batch, predictions, store, options, nms}, threads, [&](const ValidatedImage& image) {
            if (options.gather)
              append_image(sent, batch->number, image);
            else
              validator.add(image);
          });
      total.postprocess += clock.lap_milliseconds();
      if (options.show) options.show(*batch, found.detections, found.extras);
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
