#include "marrow/predict/detector.h"

#include <algorithm>
#include <chrono>

#include "marrow/base/error.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/image/network_input.h"

namespace marrow::predict {
namespace {

using Clock = std::chrono::steady_clock;

double ms_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - begin).count();
}

int round_up(int value, int multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

Detector::Detector(Graph graph, Weights weights, const DetectorOptions& options)
    : graph_(std::move(graph)), weights_(std::move(weights)), options_(options) {
  for (const NamedValue& output : graph_.outputs)
    if (const auto* decode = std::get_if<DetectDecode>(&graph_.node(output.value).operation)) {
      output_ = output.name;
      classes_ = decode->classes;
      largest_stride_ = *std::ranges::max_element(decode->strides);
    }
  if (output_.empty()) throw Error(ErrorKind::kModel, "this model has no detection head");
  verify(graph_, weights_);
  // Once, for all the sizes to come.
  passes::GraphWithWeights model = passes::select_outputs({graph_, weights_}, std::span(&output_, 1));
  if (options_.engine.deploy) model = passes::deploy(model, {.threads = options_.engine.threads});
  graph_ = std::move(model.graph);
  weights_ = std::move(model.weights);
  // YOLO's own preprocessing never goes below a multiple of 32.
  const int multiple = std::max(largest_stride_, 32);
  options_.engine.deploy = false;
  options_.engine.least_score = options_.nms.confidence;
  options_.size = {round_up(options_.size.width, multiple), round_up(options_.size.height, multiple)};
}

Letterbox Detector::fit(Size picture) const {
  LetterboxOptions letterbox;
  letterbox.minimum_rectangle = options_.rect;
  letterbox.stride = std::max(largest_stride_, 32);
  return letterbox_geometry(picture, options_.size, letterbox);
}

Size Detector::network_size(Size picture) const {
  return fit(picture).out;
}

Detector::Compiled& Detector::compiled(Size size) {
  constexpr size_t kKept = 4;  // a folder usually mixes portrait, landscape and a few odd sizes
  const auto found = std::ranges::find(compiled_, size, &Compiled::size);
  if (found != compiled_.end()) {
    compiled_.splice(compiled_.begin(), compiled_, found);
    return compiled_.front();
  }
  if (compiled_.size() == kKept) compiled_.pop_back();
  const Shape shape = {1, image::Image::kChannels, size.height, size.width};
  compiled_.push_front({size, Tensor(shape), engine::Engine(graph_, weights_, shape, {}, options_.engine)});
  return compiled_.front();
}

DetectionResult Detector::detect(const image::Image& image) {
  const Size picture = {image.width(), image.height()};
  if (image.empty()) throw Error(ErrorKind::kShape, "the picture is empty");
  const Letterbox geometry = fit(picture);
  Compiled& network = compiled(geometry.out);

  const auto start = Clock::now();
  image::fill_letterboxed(image, geometry, input_format(graph_), network.input.values().data());
  const auto filled = Clock::now();
  network.engine.run(network.input);
  const auto ran = Clock::now();

  DetectionResult result;
  result.network = geometry.out;
  const Tensor& prediction = network.engine.output(0);
  const RatioPad ratio_pad = assumed_ratio_pad(geometry.out, picture);
  for (const detect::InputDetection& found :
       detect::non_max_suppression(prediction.values().data(), classes_, prediction.dim(2), options_.nms))
    result.detections.push_back(detect::with_box(found, to_image(found.box, ratio_pad, picture)));
  result.times = {ms_between(start, filled), ms_between(filled, ran), ms_between(ran, Clock::now())};
  return result;
}

}  // namespace marrow::predict
