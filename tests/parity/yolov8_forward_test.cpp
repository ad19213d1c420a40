// Whole YOLOv8 networks from their own checkpoints against recorded values: golden/yolov8/README.md,
// `forward`.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "marrow/model/import.h"
#include "marrow/weights/safetensors.h"
#include "support/executors.h"
#include "support/golden.h"
#include "support/largest_difference.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Absolute, as the README gives them.
constexpr double kMapTolerance = 1e-4;
constexpr double kBoxTolerance = 2e-2;  // pixels
constexpr double kScoreTolerance = 1e-4;

void compare_prediction(const Tensor& actual, const Tensor& expected) {
  ASSERT_EQ(actual.shape(), expected.shape());
  const auto rows = static_cast<size_t>(actual.dim(1)), anchors = static_cast<size_t>(actual.dim(2));
  for (size_t row = 0; row < rows; ++row)
    EXPECT_LE(testing::largest_difference(actual.values().subspan(row * anchors, anchors),
                                          expected.values().subspan(row * anchors, anchors)),
              row < 4 ? kBoxTolerance : kScoreTolerance)
        << "row " << row;
}

void compare_layer(const Tensor& actual, const json& expected) {
  ASSERT_EQ(actual.shape(), expected.at("shape").get<Shape>());
  const auto values = actual.values();
  const double count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0, absolute = 0;
  for (const float x : values) {
    squares += (x - mean) * (x - mean);
    absolute += std::abs(x);
  }
  const double abs_sum = expected.at("abs_sum");
  EXPECT_NEAR(mean, expected.at("mean").get<double>(), kMapTolerance);
  EXPECT_NEAR(absolute, abs_sum, kMapTolerance * abs_sum);
  const double std = expected.at("std");
  // Recorded without saying which; the two differ by 1 / (2 count).
  EXPECT_NEAR(std::sqrt(squares / (count - 1)), std, kMapTolerance + std / count);
  const auto first = expected.at("first8").get<std::vector<float>>(),
             last = expected.at("last8").get<std::vector<float>>();
  EXPECT_LE(testing::largest_difference(values.first(first.size()), first), kMapTolerance);
  EXPECT_LE(testing::largest_difference(values.last(last.size()), last), kMapTolerance);
}

void compare_network(const fs::path& description) {
  const json expected = testing::read_json(description);
  fs::path checkpoint = description, recorded = description;
  checkpoint.replace_extension(".pt");
  if (!fs::exists(checkpoint)) checkpoint.replace_extension(".safetensors");
  recorded.replace_filename(description.stem().string() + "_io.safetensors");
  model::TrainedModel trained = model::load_trained(checkpoint);
  const Weights io = weights::read_safetensors(recorded).tensors;

  EXPECT_EQ(trained.model.classes(), expected.at("nc"));
  for (const auto& [id, name] : expected.at("names").items())
    EXPECT_EQ(trained.model.names.at(std::stoul(id)), name);
  EXPECT_EQ(json(trained.model.strides), expected.at("stride"));
  EXPECT_EQ(json(trained.model.save), expected.at("save"));
  for (const Node& node : trained.model.graph.nodes)
    if (const auto* norm = std::get_if<BatchNorm>(&node.operation)) {
      EXPECT_EQ(norm->eps, expected.at("bn_eps"));
      EXPECT_EQ(norm->momentum, expected.at("bn_momentum"));
    }

  std::vector<std::string> names;
  for (const auto& entry : io)
    if (entry.first.starts_with("feat") || entry.first == "output0") names.push_back(entry.first);
  const size_t recorded_names = names.size();
  for (const json& layer : expected.at("layers")) {
    names.push_back("layer" + layer.at("layer").dump());
    trained.model.graph.taps.push_back(
        {names.back(), trained.model.layers.at(layer.at("layer")).outputs.back()});
  }
  for (const auto& run :
       testing::run_in_every_form(trained.model.graph, trained.weights, io.at("images"), names)) {
    SCOPED_TRACE(run.executor);
    for (size_t i = 0; i < names.size(); ++i) {
      SCOPED_TRACE(names[i]);
      if (i >= recorded_names)
        compare_layer(run.values[i], expected.at("layers").at(i - recorded_names));
      else if (names[i] == "output0")
        compare_prediction(run.values[i], io.at(names[i]));
      else
        EXPECT_LE(testing::largest_difference(run.values[i].values(), io.at(names[i]).values()),
                  kMapTolerance);
    }
    // The same network with batch norms folded by the reference: rounding differs, boxes and scores agree.
    if (io.contains("fused_output0"))
      compare_prediction(
          run.values.at(static_cast<size_t>(std::ranges::find(names, "output0") - names.begin())),
          io.at("fused_output0"));
  }
}

TEST(parity_yolov8_forward, EveryNetworkGivesTheRecordedValues) {
  const auto cases = testing::golden_files("yolov8/forward", {".json"});
  MARROW_NEEDS_GOLDEN(cases, "yolov8/forward");
  for (const fs::path& description : cases) {
    SCOPED_TRACE(description.string());
    compare_network(description);
  }
}

}  // namespace
}  // namespace marrow
