// Model YAMLs and files as public forks of YOLOv8 write them: golden-2/dialects/README.md.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "marrow/base/files.h"
#include "marrow/model/import.h"
#include "marrow/model/placed_state.h"
#include "marrow/model/spec.h"
#include "marrow/model/summary.h"
#include "marrow/weights/safetensors.h"
#include "support/executors.h"
#include "support/golden.h"
#include "support/largest_difference.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kSide = 128;                   // pixels of the image that strides are measured with
constexpr double kForkMapTolerance = 1e-4;   // of the largest |feat0|
constexpr double kForkDeepTolerance = 5e-4;  // ShuffleNet V2 in one line
constexpr double kForkPixelTolerance = 2e-2;
constexpr double kForkScoreTolerance = 1e-4;
// Entries of EfficientNet-PyTorch's head and classifier: a convolution, a batch norm, a linear layer.
constexpr int kUnusedEntries = 1 + 5 + 2;

void for_each_dialect(const std::function<void(const fs::path& folder, const json& entry)>& test) {
  testing::for_each_golden("dialects/expected.json", [&](const fs::path& path) {
    const json cases = testing::read_json(path);
    ASSERT_FALSE(cases.empty());
    for (const auto& [name, entry] : cases.items()) {
      SCOPED_TRACE(name);
      test(path.parent_path(), entry);
    }
  });
}

model::ModelSpec spec_of(const fs::path& folder, const json& entry, const json& result) {
  const fs::path file = folder / entry.at("file").get<std::string>();
  const std::string scale = result.at("scale").is_null() ? "" : result.at("scale").get<std::string>();
  return model::parse_model_spec(read_file(file, 1 << 20), file.filename().string(), scale);
}

json shape_row(const Graph& graph, Value value) {
  return {graph.node(value).channels, graph.node(value).stride};
}

void expect_fork_layer(const model::Model& model, const model::Layer& layer,
                       const model::LayerSummary& summary, const json& row, int64_t unused) {
  EXPECT_EQ(layer.index, row.at("module").get<int>());
  EXPECT_EQ(layer.from_list ? json(layer.from) : json(layer.from.at(0)), row.at("from"));
  EXPECT_EQ(layer.module, row.at("type").get<std::string>());
  EXPECT_EQ(summary.parameters, row.at("params").get<int64_t>() - unused);
  const Graph& graph = model.graph;
  if (row.contains("maps")) {
    EXPECT_EQ(row.at("index"), "0-4");
    json maps = {layer.first_map ? shape_row(graph, *layer.first_map) : json()};
    for (const Value map : layer.outputs) maps.push_back(shape_row(graph, map));
    EXPECT_EQ(maps, row.at("maps"));
    return;
  }
  EXPECT_EQ(layer.logical, row.at("index").get<int>());
  if (!row.contains("channels")) return;
  EXPECT_EQ(graph.node(layer.outputs.at(0)).channels, row.at("channels").get<int>());
  // Of the map for an image of kSide; a map of 33 rows has a stride of its own.
  EXPECT_EQ(std::round(kSide / row.at("stride").get<double>()),
            static_cast<double>(summary.outputs.at(0).at(2)));
}

void expect_fork_counts(const model::Model& model, const json& result) {
  const model::Summary summary = model::summarize(model, kSide, kSide);
  const int64_t unused = result.value("params_unused", int64_t{0});
  EXPECT_EQ(summary.parameters, result.at("params").get<int64_t>() - unused);
  EXPECT_EQ(summary.state_tensors, result.at("state_entries").get<int>() - (unused > 0 ? kUnusedEntries : 0));
  EXPECT_EQ(json(model.strides), result.at("strides"));
  const json& rows = result.at("layers");
  ASSERT_EQ(model.layers.size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    SCOPED_TRACE(fmt::format("layer {}", i));
    expect_fork_layer(model, model.layers[i], summary.layers[i], rows[i], i == 0 ? unused : 0);
  }
}

// Every name and shape of the forks' state dict is one of ours, once it has our name.
void expect_fork_keys(const model::ModelSpec& spec, const model::Model& model, const json& sample) {
  Weights theirs;
  for (const auto& [name, shape] : sample.items()) theirs.emplace(name, Tensor(shape.get<Shape>()));
  const model::PlacedState placed = model::placed_state(spec, theirs);
  EXPECT_EQ(placed.state.size(), theirs.size());
  for (const auto& [name, tensor] : placed.state) {
    // EfficientNet-PyTorch's head, which feeds nothing.
    if (name.starts_with("model.0.features.8.") || name.starts_with("model.0.classifier.")) continue;
    const Parameter* parameter = model.graph.find_parameter(name);
    ASSERT_NE(parameter, nullptr) << name;
    EXPECT_EQ(parameter->shape, tensor.shape()) << name;
  }
}

TEST(parity_dialects, EveryYamlHasTheForksCounts) {
  for_each_dialect([](const fs::path& folder, const json& entry) {
    for (const json& result : entry.at("results")) {
      SCOPED_TRACE(result.at("scale").dump());
      const model::ModelSpec spec = spec_of(folder, entry, result);
      const model::Model model = model::build_model(spec);
      EXPECT_EQ(model.classes(), entry.at("nc").get<int>());
      expect_fork_counts(model, result);
      if (&result == &entry.at("results").front() && entry.contains("key_sample"))
        expect_fork_keys(spec, model, entry.at("key_sample"));
    }
  });
}

void expect_fork_outputs(const model::TrainedModel& trained, const fs::path& io_file, double map_tolerance) {
  const Weights io = weights::read_safetensors(io_file).tensors;
  const Tensor& bytes = io.at("images_u8");
  Tensor images(bytes.shape());
  std::ranges::transform(bytes.values<uint8_t>(), images.values().begin(),
                         [](uint8_t byte) { return static_cast<float>(byte) / 255; });
  const Tensor &wanted_map = io.at("feat0"), &wanted = io.at("output0");
  double largest = 0;
  for (const float value : wanted_map.values())
    largest = std::max(largest, std::abs(static_cast<double>(value)));
  for (const auto& run :
       testing::run_in_every_form(trained.model.graph, trained.weights, images, {"feat0", "output0"})) {
    SCOPED_TRACE(run.executor);
    ASSERT_EQ(run.values[0].shape(), wanted_map.shape());
    ASSERT_EQ(run.values[1].shape(), wanted.shape());
    EXPECT_LE(testing::largest_difference(run.values[0].values(), wanted_map.values()),
              map_tolerance * largest);
    const auto rows = static_cast<size_t>(wanted.dim(1));
    const size_t per_row = wanted.values().size() / rows;
    for (size_t row = 0; row < rows; ++row)
      EXPECT_LE(testing::largest_difference(run.values[1].values().subspan(row * per_row, per_row),
                                            wanted.values().subspan(row * per_row, per_row)),
                row < 4 ? kForkPixelTolerance : kForkScoreTolerance)
          << "row " << row;
  }
}

TEST(parity_dialects, EveryFileGivesTheForksNumbers) {
  for_each_dialect([](const fs::path& folder, const json& entry) {
    if (!entry.contains("weights")) return;
    const json& files = entry.at("weights");
    const fs::path io = folder / files.at("io").get<std::string>();
    const bool deep = entry.at("results")[0].at("layers")[0].at("type") == "shufflenetv2";
    const double tolerance = deep ? kForkDeepTolerance : kForkMapTolerance;
    expect_fork_outputs(model::load_trained(folder / files.at("checkpoint").get<std::string>()), io,
                        tolerance);
    if (files.contains("state_dict")) {
      SCOPED_TRACE("state dict");
      expect_fork_outputs(model::load_trained(folder / files.at("state_dict").get<std::string>(),
                                              {.model = folder / entry.at("file").get<std::string>()}),
                          io, tolerance);
    }
  });
}

}  // namespace
}  // namespace marrow
