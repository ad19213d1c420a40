#include "marrow/evaluate/engine_predictor.h"

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/graph/passes/deploy.h"

namespace marrow::evaluate {
namespace {

constexpr size_t kKept = 8;

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

}  // namespace

EnginePredictor::EnginePredictor(model::TrainedModel trained, const engine::EngineOptions& options)
    : trained_(std::move(trained)),
      output_(trained_.model.task == "classify" ? "logits" : "output0"),
      options_(options) {
  const Graph& graph = trained_.model.graph;
  const Node& node = graph.node(graph.find(output_));
  if (output_ == "output0" && !std::holds_alternative<DetectDecode>(node.operation))
    throw Error(ErrorKind::kModel, "the model has no detection head");
  // Once, for all the sizes to come.
  passes::GraphWithWeights model = passes::select_outputs({graph, trained_.weights}, std::span(&output_, 1));
  if (options.deploy) model = passes::deploy(model, {.threads = options.threads});
  options_.deploy = false;
  trained_.model.graph = std::move(model.graph);
  trained_.weights = std::move(model.weights);
}

engine::Engine& EnginePredictor::compiled(Size size) {
  const auto found = std::ranges::find(compiled_, size, &Compiled::size);
  if (found != compiled_.end()) {
    compiled_.splice(compiled_.begin(), compiled_, found);
  } else {
    compiled_.push_front({size, engine::Engine(trained_.model.graph, trained_.weights,
                                               {1, 3, size.height, size.width}, {}, options_)});
    if (compiled_.size() > kKept) compiled_.pop_back();
  }
  return compiled_.front().engine;
}

Tensor EnginePredictor::operator()(const Tensor& images) {
  const int64_t n = images.dim(0), height = images.dim(2), width = images.dim(3);
  engine::Engine& engine = compiled({static_cast<int>(width), static_cast<int>(height)});
  const InputFormat& format = input_format(trained_.model.graph);
  Tensor input({1, 3, height, width});
  const auto pixels = static_cast<size_t>(3 * height * width);
  Tensor predictions;
  for (int64_t i = 0; i < n; ++i) {
    fill_input(images.values<uint8_t>().subspan(static_cast<size_t>(i) * pixels, pixels), format,
               input.values());
    engine.run(input);
    const Tensor& output = engine.output(0);
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
