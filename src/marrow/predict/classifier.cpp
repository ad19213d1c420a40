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

std::vector<ClassProbability> likeliest_classes(std::span<const float> given, int top) {
  auto logits = std::vector<float>(given.begin(), given.end());
  // A broken model's NaN becomes the least likely class, and infinities finite; the sort below needs an
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

  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto kept = static_cast<long>(std::min<size_t>(order.size(), static_cast<size_t>(std::max(top, 0))));
  std::partial_sort(order.begin(), order.begin() + kept, order.end(), [&](int a, int b) {
    return exponentials[static_cast<size_t>(a)] > exponentials[static_cast<size_t>(b)] ||
           (exponentials[static_cast<size_t>(a)] == exponentials[static_cast<size_t>(b)] && a < b);
  });
  std::vector<ClassProbability> likeliest;
  for (long i = 0; i < kept; ++i) {
    const int id = order[static_cast<size_t>(i)];
    likeliest.push_back({id, static_cast<float>(exponentials[static_cast<size_t>(id)] / total)});
  }
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

  result.top = likeliest_classes(output.values(), top);
  result.times.postprocess_ms = clock.lap_milliseconds();
  return result;
}

}  // namespace marrow::predict
