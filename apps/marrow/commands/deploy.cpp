// marrow deploy: the smallest network that computes the same.
#include "marrow/graph/passes/deploy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "commands/commands.h"
#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/data/dataset.h"
#include "marrow/image/convert.h"
#include "marrow/image/scene.h"
#include "marrow/model/deployed.h"
#include "marrow/model/import.h"
#include "marrow/model/summary.h"
#include "marrow/predict/input_size.h"
#include "marrow/predict/output_difference.h"
#include "support/common_options.h"
#include "support/measure.h"
#include "support/open_data.h"
#include "support/open_model.h"
#include "support/output_file.h"

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
  engine::EngineOptions engine;
  bool end2end = false;
  model::ImportOptions import;
};

// Merging a pair is exact only where nothing stands between its convolutions.
void require_linear_pairs(const std::string& file, const model::TrainedModel& trained) {
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

// Small, so that it is smooth where the network sees it, as photos are.
constexpr int kDrawnWidth = 80, kDrawnHeight = 60;  // pixels

// What both forms are run on.
struct Comparison {
  std::vector<Tensor> inputs;
  std::string name;
};

// An image that the program draws, at the highest contrast at which the network does not amplify rounding.
Comparison drawn_comparison(const Options& options, const model::TrainedModel& trained, Size size) {
  const auto input_at = [&](double contrast) {
    const image::Image drawn = image::draw_scene(kDrawnWidth, kDrawnHeight, 1, contrast);
    return predict::network_input(trained.model,
                                  image::stand_in(drawn, image_reading(trained.model.graph).samples), size);
  };
  const double contrast =
      predict::calm_contrast({trained.model.graph, trained.weights}, input_at, options.engine.threads);
  std::string name = "the built-in image";
  if (contrast < 1)
    name += fmt::format(" (contrast 1/{:.0f}, so that rounding does not decide)", 1 / contrast);
  return {{input_at(contrast)}, name};
}

// A few, evenly spread over the split.
Comparison dataset_comparison(const Options& options, const data::Dataset& dataset, const model::Model& model,
                              Size size) {
  std::vector<Tensor> inputs;
  for (const image::Image& picture :
       spread_images(dataset, options.split, options.images, image_reading(model.graph)))
    inputs.push_back(predict::network_input(model, picture, size));
  const std::string name = counted(static_cast<int64_t>(inputs.size()), "image") + " of " + options.data;
  return {std::move(inputs), name};
}

void print_counts(const std::string& what, int64_t before, int64_t after) {
  print_comparison(what, fmt::format("{}", before), fmt::format("{}", after),
                   fmt::format("{:+.1f} %", 100.0 * static_cast<double>(after - before) /
                                                static_cast<double>(std::max<int64_t>(before, 1))));
}

[[noreturn]] void refuse(const Options& options, double difference, double sensitivity) {
  const std::string message = fmt::format(
      "{}: the deployed network differs by {:.2e} of the largest output, --tolerance is {:.2e}; nothing was "
      "written.",
      options.model, difference, options.tolerance);
  throw Error(ErrorKind::kModel, message + predict::sensitivity_note(sensitivity, options.tolerance,
                                                                     options.data.empty() ? "--data" : ""));
}

void compare_precisions(const Options& options, const data::Dataset& dataset,
                        const model::TrainedModel& trained, AccuracyOptions measured) {
  const std::vector<Accuracy> before = accuracy(dataset, trained, measured);
  measured.engine.precision = options.engine.precision;
  print_comparison("", "float32", std::string(engine::precision_name(options.engine.precision)), "");
  print_comparison(before, accuracy(dataset, trained, measured));
}

int deploy_model(const Options& options) {
  const fs::path output = checkpoint_output(options.output, options.model, "-deployed");
  const model::TrainedModel trained =
      with_one_decode(open_checkpoint(options.model, options.import), options.end2end);
  require_storable(options.model, trained.model);
  std::optional<data::Dataset> dataset;
  if (!options.data.empty()) dataset = open_dataset(options.data);
  if (dataset) check_task(options.model, trained.model, options.data, *dataset);
  const Size size = predict::input_size(options.model, trained.model, options.imgsz);
  AccuracyOptions measured = {
      .split = options.split,
      .size = std::max(size.width, size.height),
      .crop = options.imgsz.empty() ? 0 : options.imgsz.front(),
      .engine = {.threads = options.engine.threads, .autotune = options.engine.autotune}};
  if (model::is_deployed(trained.model)) {
    fmt::print(stderr, "marrow: {} is deployed already; there is nothing to do, and nothing was written\n",
               options.model);
    if (dataset && options.engine.precision != engine::Precision::kFloat32)
      compare_precisions(options, *dataset, trained, measured);
    return 0;
  }
  require_linear_pairs(options.model, trained);

  const passes::GraphWithWeights before = {trained.model.graph, trained.weights};
  const passes::GraphWithWeights after =
      passes::deploy(before, {.skip = options.skip, .threads = options.engine.threads});

  const Comparison comparison = dataset ? dataset_comparison(options, *dataset, trained.model, size)
                                        : drawn_comparison(options, trained, size);
  const std::vector<predict::OutputDifference> differences =
      predict::output_differences(before, after, comparison.inputs, options.engine.threads);
  fmt::print("raw outputs on {} at {}x{}:\n", comparison.name, size.height, size.width);
  double worst = 0;
  for (const predict::OutputDifference& difference : differences) {
    fmt::print("  {:<14} differ by {:.2e} at most, {:.2e} of the largest\n", difference.name,
               difference.absolute, difference.relative);
    worst = std::max(worst, difference.relative);
  }
  fmt::print("\n");
  print_comparison("", "before", "after", "");
  print_counts("parameters", model::count_parameters(before.graph), model::count_parameters(after.graph));
  print_counts("multiply-adds", model::count_macs(before.graph, size.height, size.width),
               model::count_macs(after.graph, size.height, size.width));
  print_counts("operations", static_cast<int64_t>(before.graph.nodes.size()) - 1,
               static_cast<int64_t>(after.graph.nodes.size()) - 1);
  model::TrainedModel deployed = {model::with_graph(trained.model, after.graph), after.weights};
  if (dataset) {
    std::fflush(stdout);
    AccuracyOptions as_trained = measured, as_deployed = measured;
    as_trained.engine.deploy = false;
    as_deployed.engine.precision = options.engine.precision;
    print_comparison(accuracy(*dataset, trained, as_trained), accuracy(*dataset, deployed, as_deployed));
  }
  if (!(worst <= options.tolerance))
    refuse(options, worst,
           predict::rounding_sensitivity(before, comparison.inputs.front(), options.engine.threads));
  model::save_checkpoint(output, deployed.model, deployed.weights);
  fmt::print("\nwritten: {}\n", output.string());
  return 0;
}

}  // namespace

void declare_deploy(Command& command) {
  auto options = std::make_shared<Options>();
  command.summary("Collapse a trained model into the smallest one that computes the same, and prove it");
  add_checkpoint(command, options->model);
  add_output(command, options->output, "FILE.safetensors", "MODEL-deployed.safetensors");
  add_training_option(command, "data", &options->data)
      .without("none: the outputs are compared on a built-in image, and accuracy is not measured");
  add_training_option(command, "split", &options->split);
  command.option("--images", &options->images, "Images of --data on which raw outputs are compared")
      .range(1, 1'000'000);
  add_image_size(command, options->imgsz);
  add_end_to_end(command, options->end2end);
  command
      .option("--tolerance", &options->tolerance,
              "Write nothing when an output differs by more than this share of its largest value")
      .range(0, 1);
  std::vector<std::string> names;
  for (const passes::NamedPass& pass : passes::passes())
    if (pass.by_default) names.emplace_back(pass.name);
  command.option("--skip", &options->skip, "Passes to leave out, of " + join(names, ", "))
      .type("PASS,...")
      .without("none");
  add_foreign_file(command, options->import);
  add_engine(command, options->engine);
  command.example("marrow deploy best.safetensors --data data.yaml --imgsz 640 -o small.safetensors");
  command.action([options] { return deploy_model(*options); });
}

}  // namespace marrow::cli
