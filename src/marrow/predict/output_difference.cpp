#include "marrow/predict/output_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "marrow/base/random.h"
#include "marrow/engine/engine.h"
#include "marrow/geometry/input_format.h"
#include "marrow/image/network_input.h"

namespace marrow::predict {
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

double sensitivity_of(engine::Engine& engine, const Tensor& input) {
  constexpr double kRounding = 1e-7;
  Tensor shaken = input.clone();
  Random random(0, "sensitivity");
  for (float& value : shaken.values()) value *= static_cast<float>(1 + kRounding * random.normal());
  engine.run(input);
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < engine.output_count(); ++i) outputs.push_back(engine.output(i).clone());
  engine.run(shaken);
  double largest = 0;
  for (size_t i = 0; i < outputs.size(); ++i)
    largest = std::max(largest, relative_difference(engine.output(i), outputs[i]));
  return largest;
}

engine::Engine compared_engine(const passes::GraphWithWeights& model, const Shape& input, int threads) {
  return {
      model.graph, model.weights, input, compared_names(model.graph), {.threads = threads, .deploy = false}};
}

}  // namespace

Tensor network_input(const model::Model& model, const image::Image& picture, Size size) {
  const InputFormat& stored = input_format(model.graph);
  if (model.task == "classify") {
    const InputFormat format = classifier_format(stored, size.width);
    const image::Image cut = image::resize_for_classifier(picture, format.resize, format.crop,
                                                          image::resize_filter(format.interpolation));
    Tensor input({1, picture.channels(), format.crop, format.crop});
    image::fill_network_input(cut.pixels(), format, input.values().data());
    return input;
  }
  const image::Image boxed =
      image::letterbox(picture, letterbox_geometry({picture.width(), picture.height()}, size));
  Tensor input({1, picture.channels(), size.height, size.width});
  image::fill_network_input(boxed.pixels(), stored, input.values().data());
  return input;
}

std::vector<OutputDifference> output_differences(const passes::GraphWithWeights& before,
                                                 const passes::GraphWithWeights& after,
                                                 std::span<const Tensor> inputs, int threads) {
  const std::vector<std::string> names = compared_names(before.graph);
  const engine::EngineOptions options = {.threads = threads, .deploy = false};
  engine::Engine first(before.graph, before.weights, inputs.front().shape(), names, options);
  engine::Engine second(after.graph, after.weights, inputs.front().shape(), names, options);
  std::vector<OutputDifference> differences;
  for (const std::string& name : names) differences.push_back({name});
  for (const Tensor& input : inputs) {
    first.run(input);
    second.run(input);
    for (size_t i = 0; i < names.size(); ++i) {
      const Tensor &a = first.output(i), &b = second.output(i);
      differences[i].absolute = std::max(differences[i].absolute, largest_absolute(b, a));
      differences[i].relative = std::max(differences[i].relative, relative_difference(b, a));
    }
  }
  return differences;
}

double rounding_sensitivity(const passes::GraphWithWeights& model, const Tensor& input, int threads) {
  engine::Engine engine = compared_engine(model, input.shape(), threads);
  return sensitivity_of(engine, input);
}

double calm_contrast(const passes::GraphWithWeights& model,
                     const std::function<Tensor(double contrast)>& input_at, int threads) {
  constexpr double kCalm = 3e-5, kLeastContrast = 1.0 / 64;
  Tensor input = input_at(1);
  engine::Engine engine = compared_engine(model, input.shape(), threads);
  double contrast = 1;
  while (!(sensitivity_of(engine, input) <= kCalm) && contrast > kLeastContrast) {
    contrast /= 2;
    input = input_at(contrast);
  }
  return contrast;
}

std::string sensitivity_note(double sensitivity, double tolerance, std::string_view option) {
  if (sensitivity <= tolerance / 10) return {};
  return fmt::format(
      " The network itself changes by {:.2e} on such images when its input is rounded: {}", sensitivity,
      option.empty() ? "--tolerance accepts more"
                     : fmt::format("compare on images like those it was trained on, with {}", option));
}

}  // namespace marrow::predict
