#include "marrow/evaluate/engine_predictor.h"

#include <algorithm>

#include "marrow/predict/detector.h"

namespace marrow::evaluate {
namespace {

constexpr size_t kKeptShapes = 8;

// Planes of samples, red first where they are colours, become the numbers of the network's input.
template <class Sample, class Stored>
void fill_planes(std::span<const Stored> planes, const InputFormat& format, const SampleFormat& samples,
                 std::span<float> chw) {
  const SampleValues values(format, samples);
  const size_t area = planes.size() / static_cast<size_t>(samples.channels);
  for (int c = 0; c < samples.channels; ++c) {
    const int plane = samples.is_colour() && format.order == ChannelOrder::kBgr ? 2 - c : c;
    std::ranges::transform(planes.subspan(static_cast<size_t>(plane) * area, area),
                           chw.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(c) * area),
                           [&](Stored value) { return values.value(c, static_cast<Sample>(value)); });
  }
}

std::vector<std::string> outputs_of(const model::Model& model, bool suppress) {
  if (model.task == "classify") return {"logits"};
  return predict::detection_outputs(model.graph, suppress);
}

// Puts one image's output into its place among those of `images`.
void put(const Tensor& output, int64_t image, int64_t images, Tensor& all) {
  if (!all.defined()) {
    Shape shape = output.shape();
    shape.front() = images;
    all = Tensor(shape);
  }
  std::ranges::copy(output.values(),
                    all.values().begin() + static_cast<std::ptrdiff_t>(image * output.size()));
}

}  // namespace

void fill_input(const Tensor& images, int64_t index, const Graph& graph, Tensor& input) {
  const SampleFormat samples = image_reading(graph).samples;
  const auto count = static_cast<size_t>(input.size()), first = static_cast<size_t>(index) * count;
  if (samples.bits == 16)
    fill_planes<uint16_t>(images.values<int32_t>().subspan(first, count), input_format(graph), samples,
                          input.values());
  else
    fill_planes<uint8_t>(images.values<uint8_t>().subspan(first, count), input_format(graph), samples,
                         input.values());
}

EnginePredictor::EnginePredictor(const model::TrainedModel& trained, const engine::EngineOptions& options,
                                 bool suppress)
    : network_({trained.model.graph, trained.weights}, outputs_of(trained.model, suppress), options,
               kKeptShapes) {}

BatchPredictions EnginePredictor::predict(const Tensor& images) {
  const int64_t n = images.dim(0), channels = images.dim(1), height = images.dim(2), width = images.dim(3);
  predict::CompiledNetwork::Compiled& network = network_.at({1, channels, height, width});
  BatchPredictions predictions{Tensor()};
  for (int64_t i = 0; i < n; ++i) {
    fill_input(images, i, network_.graph(), network.input);
    put(network.run(), i, n, predictions.decoded);
    if (network_.graph().outputs.size() > 1) put(network.engine.output(1), i, n, predictions.prototypes);
  }
  return predictions;
}

}  // namespace marrow::evaluate
