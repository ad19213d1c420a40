#include "marrow/evaluate/classifier_validation.h"

#include <fmt/format.h>

#include "marrow/base/error.h"
#include "marrow/base/stopwatch.h"
#include "marrow/geometry/input_format.h"
#include "marrow/image/network_input.h"

namespace marrow::evaluate {

std::string report_text(const ClassifierValidation& validation, bool per_class) {
  constexpr size_t kMostMistakes = 10;
  return validation.report.table(per_class) + validation.report.mistakes(kMostMistakes) + "\n" +
         speed_line(validation.times);
}

loader::ClassificationLoaderOptions validation_loader_options(const InputFormat& format, int classes,
                                                              int batch, int threads) {
  const InputFormat complete = classifier_format(format, 0);
  loader::ClassificationLoaderOptions options;
  options.classes = classes;
  options.size = complete.crop;
  options.shorter_side = complete.resize;
  options.filter = image::resize_filter(complete.interpolation);
  options.batch = batch;
  options.workers = threads;
  return options;
}

ClassifierValidation validate_classifier(loader::ClassificationLoader& loader, std::vector<std::string> names,
                                         const std::vector<int>& class_of_data, const ScoreBatch& score,
                                         const std::function<bool(int64_t)>& keep_going,
                                         const std::function<void(std::span<double>)>& add_up) {
  const size_t classes = names.size();
  ClassifierValidation result{ClassificationValidator(std::move(names)), {}};
  int64_t batches = 0;
  while (true) {
    Stopwatch clock;
    const std::optional<loader::ClassificationBatch> batch = loader.next();
    result.times.preprocess += clock.lap_milliseconds();
    if (!batch) break;
    if (batch->index.empty() && add_up) score(*batch);
    if (const size_t count = batch->index.size(); count > 0) {
      const Tensor scores = score(*batch);
      result.times.inference += clock.lap_milliseconds();
      const Shape wanted = {static_cast<int64_t>(count), static_cast<int64_t>(classes)};
      if (scores.shape() != wanted)
        throw Error(ErrorKind::kShape,
                    fmt::format("scores are {}, wanted {}", to_string(scores.shape()), to_string(wanted)));
      for (size_t i = 0; i < count; ++i) {
        const int truth = batch->class_ids[i];
        result.report.add(scores.values().subspan(i * classes, classes),
                          class_of_data.empty() ? truth : class_of_data.at(static_cast<size_t>(truth)));
      }
      result.times.postprocess += clock.lap_milliseconds();
    }
    if (keep_going && !keep_going(++batches)) break;
  }
  result.times = result.times.per_image(result.report.total().images);
  if (add_up) {
    std::vector<double> counts = result.report.counts();
    add_up(counts);
    result.report.set_counts(counts);
  }
  return result;
}

}  // namespace marrow::evaluate
