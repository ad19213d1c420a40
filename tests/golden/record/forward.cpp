// A small YOLOv8 with its own backbone: a checkpoint of ours, raw maps, decoded output and statistics of
// every layer by the reference executor.
#include <numeric>

#include "marrow/graph/reference/executor.h"
#include "marrow/model/checkpoint.h"
#include "marrow/model/model.h"
#include "marrow/model/spec.h"
#include "record.h"

namespace marrow::golden {
namespace {

const json kModel = {
    {"nc", 3},
    {"backbone",
     {{-1, 1, "Conv", {8, 3, 2}},
      {-1, 1, "Conv", {8, 3, 2}},
      {-1, 1, "C2f", {8, true}},
      {-1, 1, "Conv", {16, 3, 2}},
      {-1, 1, "C2f", {16, true}},
      {-1, 1, "Conv", {24, 3, 2}},
      {-1, 1, "SPPF", {16, 5}}}},
    {"head",
     {{-1, 1, "nn.Upsample", {"None", 2, "nearest"}},
      {{-1, 4}, 1, "Concat", {1}},
      {-1, 1, "C2f", {8}},
      {-1, 1, "Conv", {16, 3, 2}},
      {{-1, 6}, 1, "Concat", {1}},
      {-1, 1, "C2f", {16}},
      {{9, 12}, 1, "Detect", {"nc"}}}},
};
const std::vector<std::string> kNames = {"red", "green blue", "caf\xc3\xa9"};

json statistics(int layer, const Tensor& map) {
  const auto values = map.values();
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0, absolute = 0;
  for (const float x : values) {
    squares += (x - mean) * (x - mean);
    absolute += std::abs(static_cast<double>(x));
  }
  return {{"layer", layer},
          {"shape", map.shape()},
          {"mean", mean},
          {"std", std::sqrt(squares / count)},
          {"abs_sum", absolute},
          {"first8", std::vector<float>(values.begin(), values.begin() + 8)},
          {"last8", std::vector<float>(values.end() - 8, values.end())}};
}

}  // namespace

void record_forward(const fs::path& root) {
  const fs::path folder = root / "yolov8" / "forward";
  fs::create_directories(folder);
  model::Model model =
      model::build_model(model::parse_model_spec(kModel.dump(), "forward.yaml"), {.names = kNames});
  Tensor images({1, 3, 64, 48});
  Draws draws("forward/images");
  for (float& value : images.values()) value = static_cast<float>(draws.uniform());
  const Weights weights =
      reference::measure_batch_statistics(model.graph, random_weights(model.graph, "forward"), images);
  model::save_checkpoint(folder / "yolov8_small.safetensors", model, weights);

  std::vector<Value> targets;
  Weights io = {{"images", images}};
  for (const auto& list : {model.graph.outputs, model.graph.taps})
    for (const NamedValue& named : list)
      if (named.name == "output0" || named.name.starts_with("feat"))
        io[named.name] = reference::run_reference(model.graph, weights, images, named.name);
  write_tensors(folder / "yolov8_small_io.safetensors", io);

  json layers = json::array(), names;
  for (const model::Layer& layer : model.layers) {
    if (layer.index + 1 == static_cast<int>(model.layers.size())) break;
    const Value value = layer.outputs.back();
    layers.push_back(statistics(
        layer.index, reference::run_reference(model.graph, weights, images, std::span(&value, 1)).at(0)));
  }
  for (size_t i = 0; i < kNames.size(); ++i) names[std::to_string(i)] = kNames[i];
  int64_t parameters = 0;
  for (const Parameter& parameter : model.graph.parameters)
    if (parameter.counted()) parameters += element_count(parameter.shape);
  write_json(folder / "yolov8_small.json", {{"yaml", kModel},
                                            {"nc", kNames.size()},
                                            {"names", names},
                                            {"stride", {8.0, 16.0}},
                                            {"save", {4, 6, 9, 12}},
                                            {"params", parameters},
                                            {"num_state_dict_tensors", model.graph.parameters.size()},
                                            {"bn_eps", 1e-3},
                                            {"bn_momentum", 0.03},
                                            {"layers", layers}});
}

}  // namespace marrow::golden
