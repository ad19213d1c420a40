#include "predict/output_difference.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "detect/letterbox.h"
#include "engine/engine.h"
#include "predict/classifier_input.h"
#include "predict/preprocess.h"

namespace marrow {
namespace {

std::vector<std::string> compared_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const NamedValue& output : graph.outputs) names.push_back(output.name);
  for (const NamedValue& tap : graph.taps)
    if (tap.name.starts_with("feat")) names.push_back(tap.name);
  return names;
}

double largest_absolute(const Tensor& a, const Tensor& b) {
  double largest = 0;
  for (size_t i = 0; i < a.values().size(); ++i) {
    const double x = a.values()[i], y = b.values()[i];
    if (std::isfinite(x) && std::isfinite(y))
      largest = std::max(largest, std::abs(x - y));
    else if (!(x == y || (std::isnan(x) && std::isnan(y))))
      return std::numeric_limits<double>::infinity();
  }
  return largest;
}

// Of two engines that compute `names`.
std::vector<OutputDifference> engine_differences(Engine& before, Engine& after,
                                                 const std::vector<std::string>& names,
                                                 std::span<const Tensor> inputs) {
  std::vector<OutputDifference> differences;
  for (const std::string& name : names) differences.push_back({name});
  for (const Tensor& input : inputs) {
    before.run(input);
    after.run(input);
    for (size_t i = 0; i < names.size(); ++i) {
      const Tensor &a = before.output(i), &b = after.output(i);
      differences[i].absolute = std::max(differences[i].absolute, largest_absolute(b, a));
      differences[i].relative = std::max(differences[i].relative, relative_difference(b, a));
    }
  }
  return differences;
}

}  // namespace

Tensor network_input(const Model& model, const Image& picture, int size) {
  const InputFormat& stored = input_format(model.graph);
  if (model.task == "classify") {
    const InputFormat format = classifier_format(stored, size);
    const Image cut =
        resize_for_classifier(picture, format.resize, format.crop, resize_filter(format.interpolation));
    Tensor input({1, Image::kChannels, format.crop, format.crop});
    fill_network_input(cut.pixels(), pixel_format(format), input.values().data());
    return input;
  }
  const Image boxed =
      letterbox(picture, letterbox_geometry({picture.width(), picture.height()}, {size, size}));
  Tensor input({1, Image::kChannels, size, size});
  fill_network_input(boxed.pixels(), pixel_format(stored), input.values().data());
  return input;
}

std::vector<OutputDifference> output_differences(const GraphWithWeights& before,
                                                 const GraphWithWeights& after,
                                                 std::span<const Tensor> inputs, int threads) {
  const std::vector<std::string> names = compared_names(before.graph);
  const EngineOptions options = {.threads = threads, .deploy = false};
  Engine first(before.graph, before.weights, inputs.front().shape(), names, options);
  Engine second(after.graph, after.weights, inputs.front().shape(), names, options);
  return engine_differences(first, second, names, inputs);
}

double rounding_sensitivity(const GraphWithWeights& model, const Tensor& input, int threads) {
  const std::vector<std::string> names = compared_names(model.graph);
  Engine fast(model.graph, model.weights, input.shape(), names, {.threads = threads, .deploy = false});
  Engine plain(model.graph, model.weights, input.shape(), names,
               {.threads = threads, .simd = "plain", .deploy = false});
  double largest = 0;
  for (const OutputDifference& difference : engine_differences(fast, plain, names, std::span(&input, 1)))
    largest = std::max(largest, difference.relative);
  return largest;
}

}  // namespace marrow
