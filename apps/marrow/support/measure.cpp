#include "support/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/data/dataset_split.h"
#include "marrow/evaluate/classifier_validation.h"
#include "marrow/evaluate/engine_predictor.h"
#include "marrow/evaluate/measure_detector.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/geometry/input_format.h"
#include "marrow/image/decode.h"
#include "marrow/loader/classification_loader.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;

std::vector<Accuracy> classifier_accuracy(const data::Dataset& dataset, const model::TrainedModel& trained,
                                          const AccuracyOptions& options) {
  const evaluate::OpenedSplit split = evaluate::open_split(dataset, options.split,
                                                           {.cache = loader::ImageCache::kRecent,
                                                            .reading = image_reading(trained.model.graph),
                                                            .say = [](const std::string&) {}});
  constexpr int kBatch = 16;
  const InputFormat format = classifier_format(input_format(trained.model.graph), options.crop);
  const cpu::ThreadPool threads(options.engine.threads);
  loader::ClassificationLoader loader(
      split.images,
      evaluate::validation_loader_options(format, dataset.classes(), kBatch, threads.threads()));
  const std::vector<std::string> names = trained.model.names;
  evaluate::EnginePredictor predictor(trained, options.engine);
  const auto total = evaluate::validate_classifier(
                         loader, names, data::match_classes(names, dataset.names).classes,
                         [&](const loader::ClassificationBatch& batch) { return predictor(batch.images); })
                         .report.total();
  return {{"top-1", total.top1_share()}, {"top-5", total.top5_share()}};
}

}  // namespace

std::vector<image::Image> spread_images(const data::Dataset& dataset, const std::string& split, int wanted,
                                        const ImageReading& reading) {
  const std::vector<fs::path> paths = data::list_images(dataset, split);
  const size_t count = std::min(paths.size(), static_cast<size_t>(wanted));
  std::vector<image::Image> pictures;
  for (size_t i = 0; i < count; ++i) {
    const fs::path& path = paths[i * paths.size() / count];
    try {
      pictures.push_back(image::decode_image_file(path, {.fit = {}, .reading = reading}).image);
    } catch (const Error& error) {
      fmt::print(stderr, "marrow: skipped: {}\n", error.what());
    }
  }
  if (pictures.empty())
    throw Error(ErrorKind::kFile, fmt::format("no image of the dataset's '{}' could be read", split));
  return pictures;
}

void check_task(const std::string& model_file, const model::Model& model, const std::string& data,
                const data::Dataset& dataset) {
  if ((dataset.format == data::DatasetFormat::kFolders) != (model.task == "classify"))
    throw Error(ErrorKind::kUsage, fmt::format("{}: not a dataset for a model of '{}'", data, model.task));
  check_classes(model_file, model, data, dataset);
}

data::ClassMatch check_classes(const std::string& model_file, const model::Model& model,
                               const std::string& data, const data::Dataset& dataset) {
  const int classes = static_cast<int>(model.names.size());
  if (model.task == "classify" ? classes < dataset.classes() : classes != dataset.classes())
    throw Error(ErrorKind::kUsage, fmt::format("{}: {}, but {} has {}", model_file, counted(classes, "class"),
                                               data, dataset.classes()));
  data::ClassMatch match = data::match_classes(model.names, dataset.names);
  if (const std::string note = match.note(model_file, data); !note.empty()) talk("marrow: " + note);
  return match;
}

std::vector<Accuracy> accuracy(const data::Dataset& dataset, const model::TrainedModel& trained,
                               const AccuracyOptions& options) {
  if (trained.model.task == "classify") return classifier_accuracy(dataset, trained, options);
  const evaluate::DetectionReport report = evaluate::measure_detector(
      trained, dataset, {.split = options.split, .image_size = options.size, .engine = options.engine});
  std::vector<Accuracy> measured = {{"mAP50", report.ultralytics.map50()},
                                    {"mAP50-95", report.ultralytics.map50_95()}};
  if (report.block == evaluate::SecondBlock::kNone) return measured;
  const std::string letter = fmt::format("({})", evaluate::block_letter(report.block));
  measured.push_back({"mAP50" + letter, report.second.map50()});
  measured.push_back({"mAP50-95" + letter, report.second.map50_95()});
  return measured;
}

void print_comparison(const std::string& what, const std::string& before, const std::string& after,
                      const std::string& change) {
  fmt::print("{:<16} {:>16} {:>16}{}\n", what, before, after,
             change.empty() ? "" : fmt::format(" {:>9}", change));
}

void print_comparison(const std::vector<Accuracy>& before, const std::vector<Accuracy>& after) {
  for (size_t i = 0; i < before.size(); ++i)
    print_comparison(
        before[i].name, fmt::format("{:.4f}", before[i].value), fmt::format("{:.4f}", after[i].value),
        fmt::format("{:+.4f}", std::round(1e4 * (after[i].value - before[i].value)) / 1e4 + 0.0));
  if (!before.empty() && before[0].name.starts_with("mAP")) fmt::print("{}\n", kMapOfCommands);
}

}  // namespace marrow::cli
