// marrow quantize: a model whose convolutions can compute with bytes.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "commands/commands.h"
#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/data/dataset.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/model/deployed.h"
#include "marrow/model/import.h"
#include "marrow/predict/input_size.h"
#include "marrow/predict/output_difference.h"
#include "marrow/quantize/calibrate.h"
#include "marrow/quantize/sensitivity.h"
#include "support/common_options.h"
#include "support/measure.h"
#include "support/open_data.h"
#include "support/open_model.h"
#include "support/output_file.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kScanned = 4;  // images that each layer is judged on

struct Options {
  std::string model;
  std::string output;
  std::string data;
  std::string calibration_split = "train";
  std::string split = "val";
  std::vector<int> imgsz;
  int images = 64;
  std::string range = "mse";
  double keep_share = 0.1;
  std::vector<std::string> keep;
  int threads = 0;
  bool end2end = false;
  model::ImportOptions import;
};

quantize::RangeRule range_rule(const std::string& name) {
  for (const quantize::RangeRule rule : {quantize::RangeRule::kPercentile, quantize::RangeRule::kMinMax})
    if (name == quantize::range_rule_name(rule)) return rule;
  return quantize::RangeRule::kMse;
}

// The layers that lose most, and those that are kept.
void print_layers(std::vector<quantize::LayerError> layers) {
  constexpr size_t kShown = 10;
  double sum = 0;
  for (const quantize::LayerError& layer : layers) sum += layer.error;
  std::ranges::stable_sort(layers, std::greater<>(), &quantize::LayerError::error);
  fmt::print("{:<40} {:>12} {:>8}  {}\n", "layer", "error alone", "share", "computes in");
  size_t hidden = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    const quantize::LayerError& layer = layers[i];
    if (i >= kShown && layer.kept.empty()) {
      ++hidden;
      continue;
    }
    fmt::print("{:<40} {:>12.2e} {:>6.1f} %  {}\n", layer.name, layer.error, 100 * layer.error / sum,
               layer.kept.empty() ? "int8" : "float32: " + layer.kept);
  }
  if (hidden > 0) fmt::print("... {} more, all in int8\n", hidden);
  const auto kept =
      std::ranges::count_if(layers, [](const quantize::LayerError& layer) { return !layer.kept.empty(); });
  fmt::print("{} of {} compute in int8; {}\n", layers.size() - static_cast<size_t>(kept),
             counted(static_cast<int64_t>(layers.size()), "layer"),
             kept == 0 ? "none is kept in float32"
                       : fmt::format("{} {} kept in float32", kept, kept == 1 ? "is" : "are"));
}

int quantize_model(const Options& options) {
  const fs::path output = checkpoint_output(options.output, options.model, "-int8");
  const model::TrainedModel trained =
      with_one_decode(open_checkpoint(options.model, options.import), options.end2end);
  require_storable(options.model, trained.model);
  const data::Dataset dataset = open_dataset(options.data);
  check_task(options.model, trained.model, options.data, dataset);
  const Size size = predict::input_size(options.model, trained.model, options.imgsz);

  passes::GraphWithWeights network =
      passes::deploy({trained.model.graph, trained.weights}, {.threads = options.threads});
  std::vector<Tensor> inputs;
  for (const image::Image& picture :
       spread_images(dataset, options.calibration_split, options.images, image_reading(trained.model.graph)))
    inputs.push_back(predict::network_input(trained.model, picture, size));
  fmt::print("ranges ({}) of {} of '{}' at {}x{}\n\n", options.range,
             counted(static_cast<int64_t>(inputs.size()), "image"), options.calibration_split, size.height,
             size.width);
  std::fflush(stdout);
  network.graph = quantize::calibrate(network, inputs, range_rule(options.range), options.threads);

  std::vector<Tensor> scanned;
  const size_t count = std::min(kScanned, inputs.size());
  for (size_t i = 0; i < count; ++i) scanned.push_back(inputs[i * inputs.size() / count]);
  std::vector<quantize::LayerError> layers = quantize::layer_errors(network, scanned, options.threads);
  if (layers.empty())
    throw Error(ErrorKind::kModel, options.model + ": no layer of this network can compute in int8");
  quantize::keep_sensitive(layers, options.keep_share, options.keep);
  print_layers(layers);

  const model::TrainedModel quantized = {
      model::with_graph(trained.model, quantize::mark_int8(network.graph, layers)), network.weights};
  AccuracyOptions measured = {.split = options.split,
                              .size = std::max(size.width, size.height),
                              .crop = options.imgsz.empty() ? 0 : options.imgsz.front(),
                              .engine = {.threads = options.threads}};
  fmt::print("\n");
  print_comparison("", "float32", "int8", "");
  std::fflush(stdout);
  const std::vector<Accuracy> before = accuracy(dataset, quantized, measured);
  measured.engine.precision = engine::Precision::kInt8;
  print_comparison(before, accuracy(dataset, quantized, measured));
  model::save_checkpoint(output, quantized.model, quantized.weights);
  fmt::print("\nwritten: {}\n", output.string());
  return 0;
}

}  // namespace

void declare_quantize(Command& command) {
  auto options = std::make_shared<Options>();
  command.summary("Prepare a trained model for --precision int8, and say what that costs in accuracy");
  add_checkpoint(command, options->model);
  add_training_option(command, "data", &options->data).required();
  add_output(command, options->output, "FILE.safetensors", "MODEL-int8.safetensors");
  command.option("--images", &options->images, "Images to take ranges from").range(1, 100'000);
  command.option("--calibrate-on", &options->calibration_split, "Split of those images").type("SPLIT");
  add_training_option(command, "split", &options->split);
  command
      .option("--range", &options->range,
              "What a byte's 256 steps span: mse (least squared error), percentile (all but 1 in 10000 at "
              "either end) or minmax")
      .choices({"mse", "percentile", "minmax"});
  command
      .option("--keep-above", &options->keep_share,
              "A layer that causes more than this share of the error of all stays float32")
      .range(0, 1);
  command
      .option("--keep", &options->keep,
              "Layers that stay float32 in any case, by name or by the beginning of it")
      .type("NAME,...")
      .without("none");
  add_image_size(command, options->imgsz);
  add_end_to_end(command, options->end2end);
  add_foreign_file(command, options->import);
  add_threads(command, options->threads);
  command.example("marrow quantize best.safetensors --data data.yaml --imgsz 640");
  command.action([options] { return quantize_model(*options); });
}

}  // namespace marrow::cli
