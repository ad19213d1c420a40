// marrow demo: the zoo at work, on a picture that the program draws itself.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "backbones/backbone.h"
#include "base/text.h"
#include "base/thread_pool.h"
#include "cli.h"
#include "detect/letterbox.h"
#include "detect/network_input.h"
#include "engine/engine.h"
#include "image/scene.h"
#include "model/summary.h"
#include "model/zoo.h"
#include "predict/preprocess.h"
#include "reference/executor.h"

namespace marrow::cli {
namespace {

constexpr int kCheckSize = 96;  // pixels: the reference executor is plain loops
constexpr int kSpeedSize = 640;
constexpr double kTolerance =
    2e-4;  // the widest of the published goldens' tolerances, relative to the largest value

// YOLOv8's own backbone in its detection forms, then one detector a backbone family.
std::vector<std::string> demo_models() {
  std::vector<std::string> models = {"yolov8n", "yolov8n-p2", "yolov8n-p6", "yolov8n-ghost"};
  for (const BackboneFamily* family : backbone_families()) models.push_back("yolov8n-" + family->name);
  return models;
}

Tensor drawn_input(const Graph& graph, int size) {
  const Image scene = draw_scene(4 * size / 3, size, 1);
  const Image boxed = letterbox(scene, letterbox_geometry({scene.width(), scene.height()}, {size, size}));
  Tensor input({1, Image::kChannels, size, size});
  fill_network_input(boxed.pixels(), pixel_format(input_format(graph)), input.values().data());
  return input;
}

std::vector<std::string> raw_map_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const NamedValue& tap : graph.taps)
    if (tap.name.starts_with("feat")) names.push_back(tap.name);
  return names;
}

// The largest difference between engine and reference over the head's raw maps, relative to the largest
// value.
double difference_from_reference(const Model& model, const Weights& fresh, int threads) {
  const Graph& graph = model.graph;
  const int stride = model.largest_stride;
  const Tensor input = drawn_input(graph, (kCheckSize + stride - 1) / stride * stride);
  const Weights weights = measure_batch_statistics(graph, fresh, input);
  const auto names = raw_map_names(graph);
  std::vector<Value> values;
  for (const std::string& name : names) values.push_back(graph.find(name));
  const auto expected = run_reference(graph, weights, input, values);
  Engine engine(graph, weights, input.shape(), names, {.threads = threads});
  engine.run(input);
  double largest = 0;
  for (size_t i = 0; i < names.size(); ++i)
    largest = std::max(largest, relative_difference(engine.output(i), expected[i]));
  return largest;
}

double median_ms(const Graph& graph, const Weights& weights, int threads) {
  constexpr int kRuns = 5;
  const Tensor input = drawn_input(graph, kSpeedSize);
  Engine engine(graph, weights, input.shape(), {}, {.threads = threads});
  engine.run(input);  // warm-up
  std::vector<double> times;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    engine.run(input);
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::ranges::nth_element(times, times.begin() + kRuns / 2);
  return times[kRuns / 2];
}

int demo(int threads) {
  fmt::print("Marrow: YOLOv8 with a backbone you can swap. The zoo:\n");
  print_backbones();
  const int used = threads > 0 ? threads : available_threads();
  fmt::print(
      "\nNow each detector is built with random weights, and the engine's raw maps on a drawn picture are "
      "compared with the reference\n"
      "executor's. Times are medians for one {0}x{0} picture on {1} thread{2}, the network alone.\n\n",
      kSpeedSize, used, used == 1 ? "" : "s");

  int failed = 0;
  for (const std::string& name : demo_models()) {
    const Model model = make_model(name);
    const Weights weights = randomize(model.graph, 0);
    const double difference = difference_from_reference(model, weights, threads);
    const bool equal = difference <= kTolerance;
    failed += equal ? 0 : 1;
    const Summary summary = summarize(model, kSpeedSize, kSpeedSize);
    fmt::print("{:<22} {:>6.2f} M parameters {:>7.1f} GFLOPs {:>8.1f} ms   difference {:.1e}  {}\n", name,
               static_cast<double>(summary.parameters) / 1e6, summary.gflops,
               median_ms(model.graph, weights, threads), difference, equal ? "equal" : "DIFFERS");
    std::fflush(stdout);
  }
  if (failed > 0) {
    fmt::print(stderr, "marrow: {} models differ from the reference by more than {}\n", failed, kTolerance);
    return 1;
  }
  return 0;
}

}  // namespace

Action add_demo(CLI::App& app) {
  auto threads = std::make_shared<int>(0);
  CLI::App& command = *app.add_subcommand(
      "demo", "Build every kind of detector and compare the engine with the reference executor");
  add_threads_option(command, *threads);
  set_example(command, "marrow demo");
  return [threads] { return demo(*threads); };
}

}  // namespace marrow::cli
