#include "marrow/evaluate/engine_predictor.h"

#include <algorithm>

#include "marrow/predict/detector.h"

namespace marrow::evaluate {
namespace {

constexpr size_t kKeptShapes = 8;

// Planes of bytes, red first, become the numbers of the network's input.
void fill_input(std::span<const uint8_t> planes, const InputFormat& format, std::span<float> chw) {
  const ByteValues values = byte_values(format);
  const size_t area = planes.size() / values.size();
  for (size_t c = 0; c < values.size(); ++c) {
    const size_t plane = format.order == ChannelOrder::kRgb ? c : 2 - c;
    std::ranges::transform(planes.subspan(plane * area, area),
                           chw.begin() + static_cast<std::ptrdiff_t>(c * area),
                           [&](uint8_t byte) { return values[c][byte]; });
  }
}

std::string output_of(const model::Model& model, bool suppress) {
  return model.task == "classify" ? "logits" : predict::detection_output(model.graph, suppress).name;
}

}  // namespace

EnginePredictor::EnginePredictor(const model::TrainedModel& trained, const engine::EngineOptions& options,
                                 bool suppress)
    : network_({trained.model.graph, trained.weights}, {output_of(trained.model, suppress)}, options,
               kKeptShapes) {}

Tensor EnginePredictor::operator()(const Tensor& images) {
  const int64_t n = images.dim(0), height = images.dim(2), width = images.dim(3);
  predict::CompiledNetwork::Compiled& network = network_.at({1, 3, height, width});
  const InputFormat& format = input_format(network_.graph());
  const auto pixels = static_cast<size_t>(3 * height * width);
  Tensor predictions;
  for (int64_t i = 0; i < n; ++i) {
    fill_input(images.values<uint8_t>().subspan(static_cast<size_t>(i) * pixels, pixels), format,
               network.input.values());
    const Tensor& output = network.run();
    if (i == 0) {
      Shape shape = output.shape();
      shape.front() = n;
      predictions = Tensor(shape);
    }
    std::ranges::copy(output.values(),
                      predictions.values().begin() + static_cast<std::ptrdiff_t>(i * output.size()));
  }
  return predictions;
}

}  // namespace marrow::evaluate
