#include "marrow/benchmark/end_to_end.h"

#include <fmt/format.h>

#include <functional>
#include <memory>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/data/tools/synth.h"
#include "marrow/image/convert.h"
#include "marrow/image/decode.h"
#include "marrow/image/encode.h"
#include "marrow/predict/classifier.h"
#include "marrow/predict/detector.h"

namespace marrow::benchmark {
namespace {

// A still life as large as a video frame, in a file of the kind that the model reads.
std::string drawn_file(const SampleFormat& samples) {
  data::SynthOptions options;
  options.image_size = 1920;
  options.objects = 20;
  const image::Image drawn = data::draw_synth_image(options, 0).image;
  if (samples == SampleFormat()) return image::encode_jpeg(drawn.pixels());
  return image::encode_tiff(image::stand_in(drawn, samples).pixels());
}

struct Run {
  predict::PredictTimes times;
  Size network;
};

// What a model does with a decoded image.
std::function<Run(const image::Image&)> predictor(const model::TrainedModel& trained,
                                                  const EndToEndOptions& options) {
  const Graph& graph = trained.model.graph;
  if (trained.model.task == "detect") {
    auto detector = std::make_shared<predict::Detector>(
        graph, trained.weights,
        predict::DetectorOptions{.size = options.size, .rect = options.rect, .engine = options.engine});
    return [detector](const image::Image& image) {
      const predict::DetectionResult result = detector->detect(image);
      return Run{result.times, result.network};
    };
  }
  if (trained.model.task == "classify") {
    auto classifier = std::make_shared<predict::Classifier>(
        graph, trained.weights,
        predict::ClassifierOptions{.crop = options.size.width, .engine = options.engine});
    const Size size = {options.size.width, options.size.width};
    return [classifier, size](const image::Image& image) {
      return Run{classifier->classify(image, 5).times, size};
    };
  }
  throw Error(ErrorKind::kUnsupported,
              fmt::format("a model for '{}' can be timed alone, but not the whole way", trained.model.task));
}

}  // namespace

EndToEnd measure_end_to_end(const model::TrainedModel& trained, const EndToEndOptions& options) {
  const auto predict = predictor(trained, options);
  const ImageReading reading = image_reading(trained.model.graph);
  const std::string name = options.source.empty() ? "the drawn image" : options.source.string();
  const std::string file = options.source.empty() ? drawn_file(reading.samples)
                                                  : read_file(options.source, image::kMaxImageFileBytes);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(file));

  image::DecodeOptions how{.fit = {}, .reading = reading};
  if (options.fast_decode && trained.model.task == "detect")
    how.fit = {options.size.width, options.size.height};
  EndToEnd result;
  result.bytes = static_cast<int64_t>(bytes.size());
  std::vector<double> decode, preprocess, network, postprocess;
  const auto once = [&] {
    image::DecodedImage decoded;
    decode.push_back(time_ms([&] { decoded = image::decode_image(bytes, name, how); }));
    result.picture = decoded.full;
    const auto [times, size] = predict(decoded.image);
    result.network = size;
    preprocess.push_back(times.preprocess_ms);
    network.push_back(times.inference_ms);
    postprocess.push_back(times.postprocess_ms);
  };
  result.total = measure_latency({.seconds = options.seconds}, once);
  result.decode_ms = latency_of(decode).median_ms;
  result.preprocess_ms = latency_of(preprocess).median_ms;
  result.network_ms = latency_of(network).median_ms;
  result.postprocess_ms = latency_of(postprocess).median_ms;
  return result;
}

}  // namespace marrow::benchmark
