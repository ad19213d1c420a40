#include "marrow/predict/classifier.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "marrow/base/error.h"
#include "marrow/base/stopwatch.h"
#include "marrow/geometry/input_format.h"
#include "marrow/image/network_input.h"
#include "marrow/predict/readable.h"

namespace marrow::predict {
namespace {

const std::string kLogits = "logits";

}  // namespace

std::vector<float> class_probabilities(std::span<const float> given) {
  auto logits = std::vector<float>(given.begin(), given.end());
  // A broken model's NaN becomes the least likely class, and infinities finite; who sorts them needs an
  // order.
  for (float& logit : logits)
    logit = std::isnan(logit)
                ? std::numeric_limits<float>::lowest()
                : std::clamp(logit, std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max());
  const double largest = *std::ranges::max_element(logits);
  std::vector<double> exponentials(logits.size());
  std::ranges::transform(logits, exponentials.begin(),
                         [&](float x) { return std::exp(static_cast<double>(x) - largest); });
  const double total = std::accumulate(exponentials.begin(), exponentials.end(), 0.0);
  std::ranges::transform(exponentials, logits.begin(),
                         [&](double x) { return static_cast<float>(x / total); });
  return logits;
}

std::vector<ClassProbability> likeliest_classes(std::span<const float> probabilities, int top) {
  const auto at = [&](int i) { return probabilities[static_cast<size_t>(i)]; };
  std::vector<int> order(probabilities.size());
  std::iota(order.begin(), order.end(), 0);
  const auto kept = static_cast<long>(std::min<size_t>(order.size(), static_cast<size_t>(std::max(top, 0))));
  std::partial_sort(order.begin(), order.begin() + kept, order.end(),
                    [&](int a, int b) { return at(a) > at(b) || (at(a) == at(b) && a < b); });
  std::vector<ClassProbability> likeliest;
  for (const int id : std::span(order).first(static_cast<size_t>(kept))) likeliest.push_back({id, at(id)});
  return likeliest;
}

Classifier::Classifier(const Graph& graph, const Weights& weights, const ClassifierOptions& options)
    : format_(classifier_format(input_format(graph), options.crop)),
      channels_(image_reading(graph).samples.channels),
      classes_(graph.node(graph.find(kLogits)).channels),
      network_({graph, weights}, {kLogits}, options.engine) {
  compiled();  // now rather than for the first image
}

ClassificationResult Classifier::classify(const image::Image& image, int top) {
  require_readable(image, network_.graph());
  CompiledNetwork::Compiled& network = compiled();
  ClassificationResult result;
  result.network = {format_.crop, format_.crop};
  Stopwatch clock;
  const image::Image cut = image::resize_for_classifier(image, format_.resize, format_.crop,
                                                        image::resize_filter(format_.interpolation));
  image::fill_network_input(cut.pixels(), format_, network.input.values().data());
  result.times.preprocess_ms = clock.lap_milliseconds();
  const Tensor& output = network.run();
  result.times.inference_ms = clock.lap_milliseconds();

  result.top = likeliest_classes(class_probabilities(output.values()), top);
  result.times.postprocess_ms = clock.lap_milliseconds();
  return result;
}

}  // namespace marrow::predict
