// marrow deploy: the smallest network that computes the same.
#include "passes/deploy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "base/counted.h"
#include "base/error.h"
#include "base/text.h"
#include "base/thread_pool.h"
#include "cli.h"
#include "data/dataset.h"
#include "data/dataset_folders.h"
#include "image/decode.h"
#include "image/scene.h"
#include "loader/classification_loader.h"
#include "model/deployed.h"
#include "model/import.h"
#include "model/summary.h"
#include "open_model.h"
#include "predict/classifier_input.h"
#include "predict/output_difference.h"
#include "predict/preprocess.h"
#include "validate/classifier_validation.h"
#include "validate/engine_predictor.h"
#include "validate/measure_detector.h"
#include "validate/open_split.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string model;
  std::string output;
  std::string data;
  std::string split = "val";
  std::vector<int> imgsz;
  int images = 16;
  double tolerance = 1e-4;
  std::vector<std::string> skip;
  int threads = 0;
  ImportOptions import;
};

fs::path output_path(const Options& options) {
  fs::path output = options.output;
  if (output.empty()) {
    output = fs::path(options.model);
    output.replace_filename(output.stem().string() + "-deployed.safetensors");
  }
  if (output.extension() != ".safetensors")
    throw Error(ErrorKind::kUsage, output.string() + ": a checkpoint's name ends in .safetensors");
  std::error_code ignored;
  if (fs::equivalent(output, options.model, ignored))
    throw Error(ErrorKind::kUsage, output.string() +
                                       ": this is the file to be deployed, which training still needs; "
                                       "write to another");
  return output;
}

// Merging a pair is exact only where nothing stands between its convolutions.
void require_linear_pairs(const std::string& file, const TrainedModel& trained) {
  for (const Node& node : trained.model.graph.nodes) {
    const auto* activation = std::get_if<Activation>(&node.operation);
    if (activation == nullptr || activation->slope_name.empty()) continue;
    const float slope = trained.weights.at(activation->slope_name).values()[0];
    if (slope != 1)
      throw Error(
          ErrorKind::kModel,
          fmt::format(
              "{}: its slope '{}' is {}. The leaky ReLUs between its pairs of convolutions are the "
              "identity at slope 1 only, where training ends; until then a pair is no single "
              "convolution. Train it to the end, or use it as it is: predict and val leave such pairs "
              "apart",
              file, activation->slope_name, slope));
  }
}

std::vector<fs::path> labelled_pictures(const Options& options, const Dataset& dataset) {
  if (dataset.format != DatasetFormat::kFolders) return list_images(dataset.split(options.split));
  std::vector<fs::path> paths;
  for (const ClassifiedImage& image : list_classified(dataset, options.split)) paths.push_back(image.path);
  return paths;
}

// Small, so that it is smooth where the network sees it, as photos are.
constexpr int kDrawnWidth = 80, kDrawnHeight = 60;  // pixels

// What both forms are run on.
struct Comparison {
  std::vector<Tensor> inputs;
  std::string name;
};

// A picture that the program draws, with no more contrast than the network keeps in hand.
Comparison drawn_comparison(const Options& options, const TrainedModel& trained, Size size) {
  const auto input_at = [&](double contrast) {
    return network_input(trained.model, draw_scene(kDrawnWidth, kDrawnHeight, 1, contrast), size);
  };
  const double contrast = calm_contrast({trained.model.graph, trained.weights}, input_at, options.threads);
  std::string name = "the built-in picture";
  if (contrast < 1)
    name += fmt::format(" (contrast 1/{:.0f}, so that rounding does not decide)", 1 / contrast);
  return {{input_at(contrast)}, name};
}

// A few, evenly spread over the split.
Comparison dataset_comparison(const Options& options, const Dataset& dataset, const Model& model, Size size) {
  const std::vector<fs::path> paths = labelled_pictures(options, dataset);
  const size_t wanted = std::min(paths.size(), static_cast<size_t>(options.images));
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < wanted; ++i) {
    const fs::path& path = paths[i * paths.size() / wanted];
    try {
      inputs.push_back(network_input(model, decode_image_file(path).image, size));
    } catch (const Error& error) {
      fmt::print(stderr, "marrow: skipped: {}\n", error.what());
    }
  }
  if (inputs.empty())
    throw Error(ErrorKind::kFile,
                fmt::format("{}: no picture of '{}' could be read", options.data, options.split));
  const std::string name = counted(static_cast<int64_t>(inputs.size()), "picture") + " of " + options.data;
  return {std::move(inputs), name};
}

struct Accuracy {
  std::string name;
  double value = 0;
};

std::vector<Accuracy> classifier_accuracy(const Options& options, const Dataset& dataset,
                                          TrainedModel trained, bool deployed) {
  const OpenedSplit split =
      open_split(dataset, options.split, {.cache = ImageCache::kRecent, .say = [](const std::string&) {}});
  constexpr int kBatch = 16;
  const InputFormat format =
      classifier_format(input_format(trained.model.graph), options.imgsz.empty() ? 0 : options.imgsz.front());
  const ThreadPool threads(options.threads);
  ClassificationLoader loader(
      split.images, validation_loader_options(format, dataset.classes(), kBatch, threads.threads()));
  const std::vector<std::string> names = trained.model.names;
  EnginePredictor predictor(std::move(trained), options.threads, deployed);
  const auto total = validate_classifier(loader, names, {}, [&](const ClassificationBatch& batch) {
                       return predictor(batch.images);
                     }).report.total();
  return {{"top-1", total.top1_share()}, {"top-5", total.top5_share()}};
}

std::vector<Accuracy> accuracy(const Options& options, const Dataset& dataset, const TrainedModel& trained,
                               int size, bool deployed) {
  if (trained.model.task == "classify") return classifier_accuracy(options, dataset, trained, deployed);
  const DetectionReport report = measure_detector(
      trained, dataset,
      {.split = options.split, .image_size = size, .threads = options.threads, .deploy = deployed});
  return {{"mAP50", report.ultralytics.map50()}, {"mAP50-95", report.ultralytics.map50_95()}};
}

void print_row(const std::string& what, const std::string& before, const std::string& after,
               const std::string& change) {
  fmt::print("{:<16} {:>16} {:>16} {:>9}\n", what, before, after, change);
}

void print_counts(const std::string& what, int64_t before, int64_t after) {
  print_row(what, fmt::format("{}", before), fmt::format("{}", after),
            fmt::format("{:+.1f} %", 100.0 * static_cast<double>(after - before) /
                                         static_cast<double>(std::max<int64_t>(before, 1))));
}

void check_task(const Options& options, const Model& model, const std::optional<Dataset>& dataset) {
  if (model.task != "detect" && model.task != "classify")
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: a model for '{}'; deploy knows detection and classification", options.model,
                            model.task));
  if (dataset && (dataset->format == DatasetFormat::kFolders) != (model.task == "classify"))
    throw Error(ErrorKind::kUsage,
                fmt::format("{}: not a dataset for a model of '{}'", options.data, model.task));
}

[[noreturn]] void refuse(const Options& options, double difference, double sensitivity) {
  const std::string message = fmt::format(
      "{}: the deployed network differs by {:.2e} of the largest output, --tolerance is {:.2e}; nothing was "
      "written.",
      options.model, difference, options.tolerance);
  throw Error(ErrorKind::kModel, message + sensitivity_note(sensitivity, options.tolerance,
                                                            options.data.empty() ? "--data" : ""));
}

int deploy_model(const Options& options) {
  const fs::path output = output_path(options);
  const TrainedModel trained = open_checkpoint(options.model, options.import);
  if (is_deployed(trained.model)) {
    fmt::print(stderr, "marrow: {} is deployed already; there is nothing to do, and nothing was written\n",
               options.model);
    return 0;
  }
  std::optional<Dataset> dataset;
  if (!options.data.empty()) dataset = read_dataset(options.data);
  check_task(options, trained.model, dataset);
  require_linear_pairs(options.model, trained);

  const Size size = input_size(options.model, trained.model, options.imgsz);
  const GraphWithWeights before = {trained.model.graph, trained.weights};
  const GraphWithWeights after = deploy(before, {.skip = options.skip, .also = {}});

  const Comparison comparison = dataset ? dataset_comparison(options, *dataset, trained.model, size)
                                        : drawn_comparison(options, trained, size);
  const std::vector<OutputDifference> differences =
      output_differences(before, after, comparison.inputs, options.threads);
  fmt::print("raw outputs on {} at {}x{}:\n", comparison.name, size.height, size.width);
  double worst = 0;
  for (const OutputDifference& difference : differences) {
    fmt::print("  {:<14} differ by {:.2e} at most, {:.2e} of the largest\n", difference.name,
               difference.absolute, difference.relative);
    worst = std::max(worst, difference.relative);
  }
  fmt::print("\n");
  print_row("", "before", "after", "");
  print_counts("parameters", count_parameters(before.graph), count_parameters(after.graph));
  print_counts("multiply-adds", count_macs(before.graph, size.height, size.width),
               count_macs(after.graph, size.height, size.width));
  print_counts("operations", static_cast<int64_t>(before.graph.nodes.size()) - 1,
               static_cast<int64_t>(after.graph.nodes.size()) - 1);
  TrainedModel deployed = {with_graph(trained.model, after.graph), after.weights};
  if (dataset) {
    std::fflush(stdout);
    const int longer = std::max(size.width, size.height);
    const std::vector<Accuracy> first = accuracy(options, *dataset, trained, longer, false);
    const std::vector<Accuracy> second = accuracy(options, *dataset, deployed, longer, true);
    for (size_t i = 0; i < first.size(); ++i)
      print_row(first[i].name, fmt::format("{:.4f}", first[i].value), fmt::format("{:.4f}", second[i].value),
                fmt::format("{:+.4f}", std::round(1e4 * (second[i].value - first[i].value)) / 1e4 + 0.0));
  }
  if (!(worst <= options.tolerance))
    refuse(options, worst, rounding_sensitivity(before, comparison.inputs.front(), options.threads));
  save_checkpoint(output, deployed.model, deployed.weights);
  fmt::print("\nwritten: {}\n", output.string());
  return 0;
}

}  // namespace

Action add_deploy(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand(
      "deploy", "Collapse a trained model into the smallest one that computes the same, and prove it");
  command.add_option("MODEL", options->model, "Checkpoint: .safetensors, .pt, .pth, .pth.tar or .pdparams")
      ->required()
      ->type_name("");
  command
      .add_option("-o,--output", options->output, "Where to write it [default: MODEL-deployed.safetensors]")
      ->type_name("FILE.safetensors");
  command
      .add_option("--data", options->data,
                  "Compare both forms on pictures of this dataset, and measure both on all of it [default: "
                  "compare on a "
                  "built-in picture]")
      ->type_name("PATH");
  command.add_option("--split", options->split, "Of --data: train, val or test")
      ->capture_default_str()
      ->type_name("SPLIT");
  command.add_option("--images", options->images, "Pictures of --data on which raw outputs are compared")
      ->check(in_range(1, 1'000'000))
      ->capture_default_str();
  add_image_size_option(command, options->imgsz);
  command
      .add_option("--tolerance", options->tolerance,
                  "Write nothing when a raw output differs by more than this share of its largest value")
      ->check(in_range(0.0, 1.0))
      ->capture_default_str();
  std::vector<std::string> names;
  for (const NamedPass& pass : passes())
    if (pass.by_default) names.emplace_back(pass.name);
  command
      .add_option("--skip", options->skip,
                  "Passes to leave out, of " + join(names, ", ") + " [default: none]")
      ->delimiter(',')
      ->type_name("PASS,...");
  add_foreign_file_options(command, options->import);
  add_threads_option(command, options->threads);
  set_example(command, "marrow deploy best.safetensors --data data.yaml --imgsz 640 -o small.safetensors");
  return [options] { return deploy_model(*options); };
}

}  // namespace marrow::cli
