// marrow val: how good is a model on a labelled set of images?
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "commands/commands.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/run_folder.h"
#include "marrow/base/talk.h"
#include "marrow/base/text.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/data/dataset.h"
#include "marrow/detect/dota_tiles.h"
#include "marrow/evaluate/classifier_validation.h"
#include "marrow/evaluate/detector_validation.h"
#include "marrow/evaluate/engine_predictor.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/evaluate/tile_validation.h"
#include "marrow/evaluate/validation_plots.h"
#include "marrow/geometry/input_format.h"
#include "marrow/model/import.h"
#include "marrow/predict/detector.h"
#include "marrow/train/recipe/train_options.h"
#include "support/common_options.h"
#include "support/measure.h"
#include "support/open_data.h"
#include "support/open_model.h"
#include "support/output_file.h"
#include "support/progress_line.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct Options {
  std::string model;
  std::string data;
  std::string split = "val";
  int imgsz = 0;
  int batch = train::kDefaultBatch;
  std::optional<double> confidence;
  detect::NmsOptions nms;
  bool end2end = false;
  TileFlags tiles;
  bool rect = true;
  bool single_cls = false;
  std::string rules = std::string(rules_name(kDefaultRules));
  bool verbose = true;
  bool save_json = false;
  bool plots = true;
  bool as_json = false;
  std::string thresholds;
  RunFolderOptions folder{.name = "val"};
  model::ImportOptions import;
  engine::EngineOptions engine;
};

void print_json(const ordered_json& object) {
  fmt::print("{}\n", object.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

// Where this validation leaves its files; nothing when it has none to leave. Without a folder there are no
// images, but predictions that were asked for are an error.
std::optional<fs::path> results_folder(const Options& options, const std::string& task) {
  if (options.save_json) return options.folder.make(task);
  if (!options.plots) return {};
  try {
    return options.folder.make(task);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kFile) throw;
    talk(fmt::format("marrow: no images: {}", error.what()));
    return {};
  }
}

std::unique_ptr<evaluate::ValidationPlots> plots_in(const std::optional<fs::path>& folder,
                                                    const Options& options,
                                                    const std::vector<std::string>& names) {
  if (!folder || !options.plots) return nullptr;
  return std::make_unique<evaluate::ValidationPlots>(
      *folder, names, [](std::string_view line) { talk(fmt::format("marrow: {}", line)); });
}

void say_saved(const std::optional<fs::path>& folder, const Options& options) {
  if (folder) fmt::print(options.as_json ? stderr : stdout, "Results saved to {}\n", folder->string());
}

ordered_json speed_json(const evaluate::ValidationTimes& times) {
  return {
      {"preprocess", times.preprocess}, {"inference", times.inference}, {"postprocess", times.postprocess}};
}

// On images as they are, cut into tiles, or fitted into the network's input in batches.
evaluate::DetectorValidation measure_boxes(const Options& options, const TileOptions& tiles,
                                           const model::TrainedModel& trained,
                                           const evaluate::OpenedSplit& split,
                                           evaluate::DetectorValidationOptions how,
                                           evaluate::ValidationPlots* plots) {
  ProgressLine line;
  if (tiles.side > 0) {
    predict::DetectorOptions tiled;
    const std::vector<int> imgsz(options.imgsz > 0 ? 1 : 0, options.imgsz);
    tiled.size = tiled_input_size(options.model, trained.model, imgsz, tiles);
    tiled.rect = options.rect && trained.model.fixed_height == 0;
    tiled.tiles = tiles;
    tiled.masks = predict::MaskSize::kImage;
    how.suppress = !options.end2end;
    tiled.nms = evaluate::suppression(how, *split.images);
    tiled.engine = options.engine;
    predict::Detector detector(trained.model.graph, trained.weights, tiled);
    const auto images = static_cast<int64_t>(split.images->size());
    return evaluate::validate_whole_images(
        *split.images, how, [&](size_t, const image::Image& image) { return detector.detect(image); },
        [&](int64_t done) {
          line.show("images", done, images);
          return true;
        });
  }
  cpu::ThreadPool threads(options.engine.threads);
  loader::DetectionLoader loader(split.images,
                                 {.batch = options.batch,
                                  .workers = threads.threads(),
                                  .rectangular = options.rect && trained.model.fixed_height == 0,
                                  .stride = trained.model.largest_stride});
  evaluate::EnginePredictor predictor(trained, options.engine, !options.end2end);
  how.suppress = predict::detection_output(trained.model.graph, !options.end2end).suppress;
  how.show = [&](const loader::DetectionBatch& batch,
                 std::span<const std::vector<detect::InputDetection>> detections,
                 const evaluate::ExtrasOfImage& extras) {
    if (plots != nullptr) plots->add(batch, detections, extras);
  };
  const int64_t batches = loader.batches_per_epoch();
  return evaluate::validate_detector(
      loader, *split.images, how,
      [&](const loader::DetectionBatch& batch) { return predictor.predict(batch.images); }, threads,
      [&](int64_t done) {
        line.show("batches", done, batches);
        return true;
      });
}

// The model with the confidence of each class that suits it best.
void save_thresholds(const Options& options, const model::TrainedModel& trained,
                     const evaluate::DetectionReport& report) {
  model::Model model = trained.model;
  model.thresholds = evaluate::best_thresholds(report.ultralytics, model.names.size());
  std::FILE* const out = options.as_json ? stderr : stdout;
  fmt::print(out, "\n{:>22}{:>12}\n", "Class", "Threshold");
  for (size_t c = 0; c < model.names.size(); ++c)
    fmt::print(out, "{:>22}{:>12.3f}\n", printable(model.names[c], 22), model.thresholds[c]);
  model::save_checkpoint(options.thresholds, model, trained.weights);
  fmt::print(out, "written: {}\n\n", options.thresholds);
}

// predictions.json, and predictions_txt/ of turned boxes.
void save_predictions(const fs::path& folder, const evaluate::DetectorValidation& result,
                      const std::vector<std::string>& names, bool turned) {
  write_file_atomically(folder / "predictions.json", evaluate::coco_predictions_json(result.predictions));
  if (!turned) return;
  detect::DotaPredictions text(names);
  for (const evaluate::CocoPrediction& one : result.predictions)
    if (one.turned) text.add(fs::path(one.file_name).stem().string(), one.class_id, one.score, *one.turned);
  text.write(folder);
}

int validate_boxes(const Options& options, data::Dataset dataset, const model::TrainedModel& trained) {
  const std::string task = trained.model.task;
  dataset.task = task_named(task).value_or(Task::kDetect);
  const TileOptions tiles = chosen_tiles(options.tiles, options.model, trained.model);
  const int image_size = tiles.side > 0 ? 0 : square_input_size(options.model, trained.model, options.imgsz);
  const std::vector<std::string> names = trained.model.names;
  if (options.single_cls && names.size() != 1)
    throw Error(ErrorKind::kUsage, fmt::format("{}: {} classes, but all of {} are taken as one",
                                               options.model, names.size(), options.data));
  data::ClassMatch match;
  if (!options.single_cls) match = check_classes(options.model, trained.model, options.data, dataset);
  const evaluate::OpenedSplit split = evaluate::open_split(dataset, options.split,
                                                           {.image_size = image_size,
                                                            .cache = loader::ImageCache::kRecent,
                                                            .reading = image_reading(trained.model.graph),
                                                            .single_class = options.single_cls,
                                                            .class_map = match.classes,
                                                            .coco_numbers = options.save_json,
                                                            .threads = options.engine.threads,
                                                            .say = talk});
  evaluate::ValidatedHead head = evaluate::validated_head(
      trained.model.graph, !options.end2end, dataset.skeleton.sigmas, rules_named(options.rules));
  head.fine_masks = options.save_json;
  const float confidence =
      options.confidence ? static_cast<float>(*options.confidence) : evaluate::validation_confidence(head);
  const std::optional<fs::path> folder = results_folder(options, task);
  const std::unique_ptr<evaluate::ValidationPlots> plots = plots_in(folder, options, names);
  const evaluate::DetectorValidation result =
      measure_boxes(options, tiles, trained, split,
                    {.names = names,
                     .confidence = confidence,
                     .iou = options.nms.iou,
                     .max_detections = options.nms.max_detections,
                     .agnostic = options.nms.agnostic || options.single_cls,
                     .head = head,
                     .predictions = options.save_json,
                     .rules = rules_named(options.rules),
                     .numbers = split.numbers},
                    plots.get());

  if (options.as_json) {
    ordered_json object = evaluate::report_json(result.report);
    object["speed_ms"] = speed_json(result.times);
    print_json(object);
  } else {
    fmt::print("{}\n{}\n", evaluate::report_text(result.report, options.verbose),
               evaluate::speed_line(result.times));
    if (const std::string note = note_of_regions(split); !note.empty()) fmt::print("{}\n", note);
  }
  if (!options.thresholds.empty()) save_thresholds(options, trained, result.report);
  if (options.save_json) save_predictions(*folder, result, names, head.turned());
  if (plots) plots->finish(result.report);
  say_saved(folder, options);
  return 0;
}

int validate_classes(const Options& options, const data::Dataset& dataset,
                     const model::TrainedModel& trained) {
  const std::vector<std::string> names = trained.model.names;
  const data::ClassMatch match = check_classes(options.model, trained.model, options.data, dataset);
  const evaluate::OpenedSplit split = evaluate::open_split(
      dataset, options.split,
      {.cache = loader::ImageCache::kRecent, .reading = image_reading(trained.model.graph), .say = talk});
  const int threads = cpu::thread_count(options.engine.threads);
  const InputFormat format = classifier_format(
      input_format(trained.model.graph), square_input_size(options.model, trained.model, options.imgsz));
  loader::ClassificationLoader loader(
      split.images, evaluate::validation_loader_options(format, dataset.classes(), options.batch, threads));
  evaluate::EnginePredictor predictor(trained, options.engine);
  const auto network_classes = [&](std::vector<int> class_ids) {
    for (int& class_id : class_ids) class_id = match.classes.at(static_cast<size_t>(class_id));
    return class_ids;
  };
  const std::optional<fs::path> folder = results_folder(options, "classify");
  const std::unique_ptr<evaluate::ValidationPlots> plots = plots_in(folder, options, names);
  const evaluate::ClassifierValidation result = evaluate::validate_classifier(
      loader, names, match.classes, [&](const loader::ClassificationBatch& batch) {
        Tensor scores = predictor(batch.images);
        if (plots) plots->add(batch, network_classes(batch.class_ids), scores);
        return scores;
      });
  if (options.as_json) {
    ordered_json object = result.report.json();
    object["speed_ms"] = speed_json(result.times);
    print_json(object);
  } else {
    fmt::print("{}\n", evaluate::report_text(result, options.verbose));
  }
  if (plots) plots->finish(result.report);
  say_saved(folder, options);
  if (const size_t broken = split.images->broken(); broken > 0)
    talk(fmt::format("marrow: {} of {} images could not be read", broken, split.images->size()));
  return result.report.total().images > 0 ? 0 : 1;
}

int validate(Options options) {
  model::TrainedModel trained = open_checkpoint(options.model, options.import);
  const data::Dataset dataset = open_dataset(options.data);
  const std::string task = trained.model.task;
  const bool folders = dataset.format == data::DatasetFormat::kFolders;
  if (!options.thresholds.empty()) {
    if (task == "classify" || options.single_cls)
      throw Error(ErrorKind::kUsage, "--thresholds are of a detector's classes");
    options.thresholds = checkpoint_output(options.thresholds, options.model, "-thresholds").string();
    require_storable(options.model, trained.model);
  }
  if (task == "classify" && folders) return validate_classes(options, dataset, trained);
  if (task != "classify" && !folders) return validate_boxes(options, dataset, trained);
  throw Error(ErrorKind::kUsage,
              fmt::format("{} is a model for '{}', but {} is a dataset of {}", options.model, task,
                          options.data, folders ? "class folders" : "boxes"));
}

}  // namespace

void declare_val(Command& command) {
  auto options = std::make_shared<Options>();
  command.summary("Measure a model on labelled images");
  add_checkpoint(command, options->model);
  add_training_option(command, "data", &options->data).required();
  add_training_option(command, "split", &options->split);
  command
      .option("--imgsz", &options->imgsz,
              "Longer side of the network input, pixels; for a classifier its crop")
      .type("PIXELS")
      .range(1, 16384)
      .without(
          fmt::format("the file's own if it is fixed, or what it was trained at; {}; a classifier's own, "
                      "or {}",
                      train::kDetectionSize, kDefaultCrop));
  command.option("--batch", &options->batch, "Images that share a rectangle").range(1, 65536);
  add_tiles(command, options->tiles);
  add_detection(
      command, &options->confidence, options->nms, options->end2end,
      fmt::format("{}; of turned boxes {}", evaluate::kValidationConfidence, evaluate::kTurnedConfidence));
  command.flag(
      "--rect", &options->rect,
      "Batches of images of like shape, padded only as far as needed; false, and a file of fixed size: "
      "squares");
  add_training_option(command, "single_cls", &options->single_cls);
  add_training_option(command, "rules", &options->rules);
  add_training_option(command, "verbose", &options->verbose);
  command
      .option("--thresholds", &options->thresholds,
              "Write the model with a confidence for each class, at which its F1 is highest here; 'marrow "
              "predict' takes them "
              "where --conf is left out")
      .type("FILE")
      .without("nothing is written");
  command.flag("--save-json", &options->save_json,
               "Write predictions.json, as COCO's tools read it; for COCO's JSON with that file's numbers of "
               "images and categories");
  add_training_option(command, "plots", &options->plots);
  add_json(command, options->as_json);
  add_run_folder(command, options->folder);
  add_foreign_file(command, options->import);
  add_engine(command, options->engine);
  add_deploy(command, options->engine.deploy);
  command.example("marrow val best.safetensors --data data.yaml --split test --json");
  command.action([options] { return validate(*options); });
}

}  // namespace marrow::cli
