#include "marrow/evaluate/measure_detector.h"

#include "marrow/cpu/thread_pool.h"
#include "marrow/data/class_match.h"
#include "marrow/evaluate/engine_predictor.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/evaluate/tile_validation.h"
#include "marrow/train/recipe/train_options.h"

namespace marrow::evaluate {

DetectionReport measure_detector(const model::TrainedModel& trained, const data::Dataset& unlabelled,
                                 const MeasureOptions& options) {
  data::Dataset dataset = unlabelled;
  dataset.task = task_named(trained.model.task).value_or(Task::kDetect);
  const std::vector<std::string> names = trained.model.names;
  const TileOptions& tiles = trained.model.tiles;
  const int stride = trained.model.largest_stride;
  const OpenedSplit split =
      open_split(dataset, options.split,
                 {.image_size = tiles.side > 0 ? 0 : (options.image_size + stride - 1) / stride * stride,
                  .cache = loader::ImageCache::kRecent,
                  .reading = image_reading(trained.model.graph),
                  .class_map = data::match_classes(names, dataset.names).classes,
                  .threads = options.engine.threads,
                  .say = [](const std::string&) {}});
  const ValidatedHead head = validated_head(trained.model.graph, true, dataset.skeleton.sigmas);
  const DetectorValidationOptions how = {
      .names = names, .confidence = validation_confidence(head), .head = head, .show = {}};
  if (tiles.side > 0) {
    predict::Detector detector(trained.model.graph, trained.weights,
                               {.size = {options.image_size, options.image_size},
                                .tiles = tiles,
                                .nms = suppression(how, *split.images),
                                .masks = predict::MaskSize::kImage,
                                .engine = options.engine});
    return validate_whole_images(*split.images, how,
                                 [&](size_t, const image::Image& image) { return detector.detect(image); })
        .report;
  }
  cpu::ThreadPool threads(options.engine.threads);
  loader::DetectionLoader loader(
      split.images,
      {.batch = train::kDefaultBatch, .workers = threads.threads(), .rectangular = true, .stride = stride});
  EnginePredictor predictor(trained, options.engine);
  return validate_detector(
             loader, *split.images, how,
             [&](const loader::DetectionBatch& batch) { return predictor.predict(batch.images); }, threads)
      .report;
}

}  // namespace marrow::evaluate
