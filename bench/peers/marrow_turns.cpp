// Marrow's side of bench/peers/compare.py: a resident process that loads a network, runs it when told, and
// shows its outputs. Reads lines on stdin, answers each with one line on stdout:
//
//   make MODEL BACKBONE FILE
//       a checkpoint of random weights; BACKBONE "-": the model's own
//   quantize FILE INPUT SIZE INT8
//       that checkpoint with every layer that can in int8, its ranges from an image
//   load FILE HEIGHT WIDTH THREADS PRECISION INPUT
//       INPUT: the float32 values of (1, 3, HEIGHT, WIDTH)
//   run N
//       runs it so often and answers with the times in ms
//   output FILE
//       writes the last run's outputs as float32, one after the other, and answers with the number of values
//       of each
//
// An answer that begins with "error" says why not.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>

#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/benchmark/latency.h"
#include "marrow/engine/engine.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/graph/reference/executor.h"
#include "marrow/model/deployed.h"
#include "marrow/model/import.h"
#include "marrow/model/zoo.h"
#include "marrow/quantize/calibrate.h"
#include "marrow/quantize/quantizable.h"
#include "marrow/quantize/sensitivity.h"

namespace marrow {
namespace {

// Statistics that fit the weights, and smaller scales, keep activations and rounding from being amplified
// from layer to layer, as in a trained network; StarNet's products of maps amplify it by millions otherwise,
// until no two runtimes agree.
Weights tame_weights(const Graph& graph) {
  constexpr int kSize = 256;  // near those that are measured; the reference executor is slow
  constexpr float kScale = 0.7f;
  Tensor noise({1, 3, kSize, kSize});
  Random random(1, "noise");
  for (float& value : noise.values()) value = static_cast<float>(random.uniform(0, 1));
  Weights weights = reference::measure_batch_statistics(graph, randomize(graph, 0), noise);
  for (const Parameter& parameter : graph.parameters)
    if (parameter.role == ParameterRole::kNormWeight)
      for (float& value : weights.at(parameter.name).values()) value *= kScale;
  return weights;
}

Tensor read_image(const std::string& path, int height, int width) {
  Tensor image({1, 3, height, width});
  std::ifstream file(path, std::ios::binary);
  const std::span<float> values = image.values();
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
  if (!file) throw Error(ErrorKind::kFile, path + ": too short");
  return image;
}

class Turns {
 public:
  std::string make(std::istream& words) {
    std::string name, backbone, path;
    words >> name >> backbone >> path;
    const model::Model model = model::make_model(name, backbone == "-" ? "" : backbone);
    model::save_checkpoint(path, model, tame_weights(model.graph));
    return "made";
  }

  std::string quantize(std::istream& words) {
    std::string path, input, made;
    int size = 0;
    words >> path >> input >> size >> made;
    const model::TrainedModel trained = model::load_trained(path);
    const passes::GraphWithWeights network = passes::deploy({trained.model.graph, trained.weights});
    const Tensor image = read_image(input, size, size);
    Graph calibrated = quantize::calibrate(network, {&image, 1}, quantize::RangeRule::kMse);
    std::vector<quantize::LayerError> layers;
    for (const Value layer : quantize::quantizable_layers(calibrated)) layers.push_back({.layer = layer});
    model::save_checkpoint(
        made, model::with_graph(trained.model, quantize::mark_int8(std::move(calibrated), layers)),
        network.weights);
    return "made";
  }

  std::string load(std::istream& words) {
    std::string path, precision, input;
    int height = 0, width = 0, threads = 0;
    words >> path >> height >> width >> threads >> precision >> input;
    const auto known = std::ranges::find(engine::kPrecisions, precision, engine::precision_name);
    if (known == std::end(engine::kPrecisions))
      throw Error(ErrorKind::kUnsupported, "no precision '" + precision + "'");
    const model::TrainedModel trained = model::load_trained(path);
    const passes::GraphWithWeights network =
        passes::deploy({trained.model.graph, trained.weights}, {.threads = threads});
    image_ = read_image(input, height, width);
    engine_.reset();
    engine_.emplace(
        network.graph, network.weights, image_.shape(), std::span<const std::string>(),
        // As the programs run it.
        engine::EngineOptions{
            .threads = threads, .simd = {}, .deploy = false, .precision = *known, .autotune = true});
    return "loaded";
  }

  std::string run(std::istream& words) {
    int runs = 0;
    words >> runs;
    std::string times;
    for (int i = 0; i < runs; ++i)
      times += fmt::format("{} ", benchmark::time_ms([&] { engine_->run(image_); }));
    return times;
  }

  std::string output(std::istream& words) {
    std::string path;
    words >> path;
    std::ofstream file(path, std::ios::binary);
    std::string sizes;
    for (size_t i = 0; i < engine_->output_count(); ++i) {
      const std::span<const float> values = engine_->output(i).values();
      file.write(reinterpret_cast<const char*>(values.data()),
                 static_cast<std::streamsize>(values.size_bytes()));
      sizes += fmt::format("{} ", values.size());
    }
    return sizes;
  }

  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "make") return make(words);
    if (command == "quantize") return quantize(words);
    if (command == "load") return load(words);
    if (command != "run" && command != "output") return "error: no command '" + command + "'";
    if (!engine_) return "error: nothing is loaded";
    return command == "run" ? run(words) : output(words);
  }

 private:
  Tensor image_;
  std::optional<engine::Engine> engine_;
};

}  // namespace
}  // namespace marrow

int main() {
  marrow::Turns turns;
  for (std::string line; std::getline(std::cin, line);) {
    std::string answer;
    try {
      answer = turns.answer(line);
    } catch (const std::exception& e) {
      answer = std::string("error: ") + e.what();
    }
    std::cout << answer << std::endl;
  }
}
