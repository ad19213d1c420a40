#include "marrow/predict/detector.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/base/in_order.h"
#include "marrow/base/stopwatch.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/image/network_input.h"
#include "marrow/predict/input_size.h"
#include "marrow/predict/join_tiles.h"
#include "marrow/predict/readable.h"

namespace marrow::predict {
namespace {

constexpr size_t kMostAtOnce = 4;  // each has memory of its own

engine::EngineOptions with_least_score(engine::EngineOptions options, float least_score) {
  options.least_score = least_score;
  return options;
}

ReadOptions whole_image(const DetectorOptions& options) {
  return {options.nms, options.masks, options.outlines};
}

Size size_of(const image::Image& image) {
  return {image.width(), image.height()};
}

}  // namespace

DetectionOutput detection_output(const Graph& graph, bool suppress) {
  const auto find = [&](bool one_to_one) {
    DetectionOutput found{.suppress = !one_to_one};
    for (const NamedValue& output : graph.outputs)
      if (const auto* decode = std::get_if<DetectDecode>(&graph.node(output.value).operation);
          decode != nullptr && (output.name == kOneToOneOutput) == one_to_one) {
        found.name = output.name;
        found.decode = decode;
      }
    return found;
  };
  const DetectionOutput overlapping = find(false), single = find(true);
  if (overlapping.decode == nullptr && single.decode == nullptr)
    throw Error(ErrorKind::kModel, "this model has no detection head");
  if (!suppress && single.decode == nullptr)
    throw Error(
        ErrorKind::kUsage,
        "this model has no end-to-end head, whose boxes need no suppression; YOLO26 and YOLOv10 have one");
  return overlapping.decode == nullptr || !suppress ? single : overlapping;
}

std::vector<std::string> detection_outputs(const Graph& graph, bool suppress) {
  const DetectionOutput output = detection_output(graph, suppress);
  if (output.decode->extra != DetectExtra::kCoefficients) return {output.name};
  const Node& prototypes = graph.node(graph.find(kPrototypesOutput));
  if (prototypes.channels != output.decode->extra_channels || prototypes.stride <= 0)
    fail_model(fmt::format("masks have {} coefficients; '{}' is no map of so many channels",
                           output.decode->extra_channels, kPrototypesOutput));
  return {output.name, std::string(kPrototypesOutput)};
}

Detector::Detector(const Graph& graph, const Weights& weights, const DetectorOptions& options)
    : options_(options),
      network_({graph, weights}, detection_outputs(graph, options.nms.suppress),
               with_least_score(options.engine, detect::least_confidence(options.nms))),
      side_by_side_(std::make_unique<cpu::SideBySide>(kMostAtOnce)) {
  const DetectionOutput output = detection_output(graph, options.nms.suppress);
  options_.nms.suppress = output.suppress;
  decode_ = *output.decode;
  require_joinable(decode_, options_.tiles);
  const int multiple = input_multiple(decode_);
  options_.size = {rounded_up(options_.size.width, multiple), rounded_up(options_.size.height, multiple)};
}

Letterbox Detector::fit(Size picture) const {
  LetterboxOptions letterbox;
  letterbox.minimum_rectangle = options_.rect;
  letterbox.stride = input_multiple(decode_);
  return letterbox_geometry(picture, options_.size, letterbox);
}

Size Detector::network_size(Size picture) const {
  return fit(picture).out;
}

DetectionResult Detector::detect(const image::Image& image) {
  require_readable(image, network_.graph());
  const Size picture = size_of(image);
  const std::vector<Tile> tiles = tiles_of(picture, options_.tiles);
  if (tiles.size() == 1) return detect_part(image, compiled(image, 1), whole_image(options_));
  DetectionResult result;
  std::vector<ImageFindings> found;
  for (const auto& [x, y, size] : tiles) {
    const image::Image tile = image::copy_image(image.region(x, y, size.width, size.height));
    DetectionResult part = detect_part(tile, compiled(tile, 1), {options_.nms, MaskSize::kImage});
    found.push_back({std::move(part.detections), std::move(part.extras)});
    result.network = part.network;
    result.times.preprocess_ms += part.times.preprocess_ms;
    result.times.inference_ms += part.times.inference_ms;
    result.times.postprocess_ms += part.times.postprocess_ms;
  }
  const Stopwatch clock;
  ImageFindings all = join_findings(std::move(found), tiles, picture, decode_.extra, options_.nms);
  if (options_.outlines) add_outlines(all.extras, picture);
  result.detections = std::move(all.detections);
  result.extras = std::move(all.extras);
  result.times.postprocess_ms += clock.milliseconds();
  return result;
}

void Detector::detect_each(const std::function<const image::Image*()>& next,
                           const std::function<void(DetectionResult)>& take) {
  const bool one_by_one = options_.tiles.side > 0 || most_at_once() == 1;
  const image::Image* image = next();
  while (image != nullptr) {
    const image::Image* following = one_by_one ? nullptr : next();
    if (following != nullptr && size_of(*image) == size_of(*following)) {
      image = detect_alike(*image, *following, next, take);
      continue;
    }
    take(detect(*image));
    image = one_by_one ? next() : following;
  }
}

const image::Image* Detector::detect_alike(const image::Image& first, const image::Image& second,
                                           const std::function<const image::Image*()>& next,
                                           const std::function<void(DetectionResult)>& take) {
  const size_t at_once = most_at_once();
  // Fewer images leave engines without work: one form of the network serves them all.
  CompiledNetwork::Compiled& network = compiled(first, at_once);
  const Size size = size_of(first);  // which is gone once it was taken
  std::mutex asking;                 // with what follows it
  std::deque<const image::Image*> known = {&first, &second};
  const image::Image* other = nullptr;
  size_t asked = 0;
  bool ended = false;
  InOrder<DetectionResult> results(2 * at_once, take);

  const auto begin = [&]() -> std::optional<std::pair<size_t, const image::Image*>> {
    const std::lock_guard lock(asking);
    if (ended) return {};
    ended = true;  // unless there is another, and nothing is thrown
    const image::Image* image = nullptr;
    if (known.empty()) {
      image = next();
    } else {
      image = known.front();
      known.pop_front();
    }
    if (image != nullptr && size_of(*image) != size) std::swap(other, image);
    if (image == nullptr) return {};
    require_readable(*image, network_.graph());
    ended = false;
    return std::pair(asked++, image);
  };
  side_by_side_->run(at_once, [&](size_t i) {
    try {
      while (const auto begun = begin()) {
        DetectionResult result = detect_part(*begun->second, network.at(i), whole_image(options_));
        for (double* ms :
             {&result.times.preprocess_ms, &result.times.inference_ms, &result.times.postprocess_ms})
          *ms /= static_cast<double>(at_once);
        results.give(begun->first, std::move(result));
      }
    } catch (...) {
      results.end();
      const std::lock_guard lock(asking);
      ended = true;
      throw;
    }
  });
  return other;
}

size_t Detector::most_at_once() const {
  const int threads = cpu::thread_count(options_.engine.threads);
  size_t most = std::min(static_cast<size_t>(threads), kMostAtOnce);
  while (static_cast<size_t>(threads) % most != 0) --most;  // so that every thread has work
  return most;
}

CompiledNetwork::Compiled& Detector::compiled(const image::Image& image, size_t side_by_side) {
  const Size input = network_size(size_of(image));
  return network_.at({1, image.channels(), input.height, input.width}, side_by_side);
}

DetectionResult Detector::detect_part(const image::Image& image, CompiledNetwork::Compiled& network,
                                      const ReadOptions& options) const {
  const Size picture = size_of(image);
  const Letterbox geometry = fit(picture);
  DetectionResult result;
  result.network = geometry.out;
  Stopwatch clock;
  image::fill_letterboxed(image, geometry, input_format(network_.graph()), network.input.values().data());
  result.times.preprocess_ms = clock.lap_milliseconds();
  const Tensor& prediction = network.run();
  result.times.inference_ms = clock.lap_milliseconds();

  ImagePrediction image_prediction = {.decode = decode_,
                                      .prediction = prediction.values().data(),
                                      .anchors = prediction.dim(2),
                                      .prototypes = {},
                                      .network = geometry.out,
                                      .picture = picture,
                                      .ratio_pad = assumed_ratio_pad(geometry.out, picture)};
  if (decode_.extra == DetectExtra::kCoefficients)
    image_prediction.prototypes = prototypes_of(network.engine.output(1));
  ImageFindings found = read_prediction(image_prediction, options);
  result.detections = std::move(found.detections);
  result.extras = std::move(found.extras);
  result.times.postprocess_ms = clock.lap_milliseconds();
  return result;
}

}  // namespace marrow::predict
