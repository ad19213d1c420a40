// Networks as Ultralytics 8.4 leaves them, from their own files against recorded values:
// golden-2/compat/README.md, `forward`. What a file says of its network decides, not what its YAML would
// give.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "marrow/detect/nms.h"
#include "marrow/graph/passes/pass.h"
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

// Of maps and scores, and of boxes in pixels.
constexpr double kCompatTolerance = 1e-4;
constexpr double kCompatBoxTolerance = 2e-2;

// What the graph with one pair of branches calls a recorded value: of the second pair "feat0" for
// "o2o_feat0", kOneToOneOutput for "o2o_output0_xyxy"; "" for what is recorded of the other pair and of later
// stages.
std::string recorded_value(const std::string& name, bool one_to_one) {
  if (one_to_one)
    return name.starts_with("o2o_feat") ? name.substr(4)
           : name == "o2o_output0_xyxy" ? std::string(kOneToOneOutput)
                                        : "";
  return name.starts_with("feat") || name == "output0" || name == "logits" ? name : "";
}

// Boxes (N, 4 + classes, anchors) from centre and size to corners.
void to_corner_form(Tensor& decoded) {
  const int64_t anchors = decoded.dim(2), rows = decoded.dim(1);
  for (int64_t image = 0; image < decoded.dim(0); ++image)
    for (int64_t i = 0; i < anchors; ++i) {
      const auto at = [&](int64_t row) -> float& {
        return decoded.values()[(image * rows + row) * anchors + i];
      };
      for (int64_t axis = 0; axis < 2; ++axis) {
        const float centre = at(axis), size = at(2 + axis);
        at(axis) = centre - size / 2;
        at(2 + axis) = centre + size / 2;
      }
    }
}

void compare_with_file(const fs::path& folder, const json& info, bool one_to_one) {
  const model::TrainedModel trained = model::load_trained(folder / "model.pt");
  if (trained.model.task != "classify") {
    EXPECT_EQ(json(trained.model.strides), info.at("stride"));
  }
  EXPECT_EQ(trained.model.names.size(), info.at("names").size());
  const Weights io = weights::read_safetensors(folder / "io.safetensors").tensors;
  const Tensor& bytes = io.at("images_u8");
  Tensor images(bytes.shape());
  std::ranges::transform(bytes.values<uint8_t>(), images.values().begin(),
                         [](uint8_t byte) { return static_cast<float>(byte) / 255; });
  std::vector<std::string> recorded, names;
  for (const auto& [name, tensor] : io)
    if (const std::string value = recorded_value(name, one_to_one); !value.empty()) {
      recorded.push_back(name);
      names.push_back(value);
    }
  ASSERT_FALSE(names.empty());
  const passes::GraphWithWeights network =
      passes::keep_one_decode({trained.model.graph, trained.weights}, one_to_one);
  for (auto& run : testing::run_in_every_form(network.graph, network.weights, images, names))
    for (size_t i = 0; i < names.size(); ++i) {
      SCOPED_TRACE(run.executor + ", " + names[i]);
      Tensor& found = run.values[i];
      const Tensor& wanted = io.at(recorded[i]);
      if (recorded[i].ends_with("_xyxy")) to_corner_form(found);
      ASSERT_EQ(found.shape(), wanted.shape());
      const bool decoded = recorded[i].find("output0") != std::string::npos;
      const auto rows = static_cast<size_t>(decoded ? found.dim(1) : 1);
      const size_t per_row = found.values().size() / rows;
      for (size_t row = 0; row < rows; ++row)
        EXPECT_LE(testing::largest_difference(found.values().subspan(row * per_row, per_row),
                                              wanted.values().subspan(row * per_row, per_row)),
                  rows > 1 && row < 4 ? kCompatBoxTolerance : kCompatTolerance)
            << "row " << row;
    }
}

// The rows (K, 6) that an end-to-end head chooses from its recorded boxes; the tensor's name ends in what was
// asked for, "_agnostic_max20".
void expect_chosen(const Weights& io, const std::string& name, const Tensor& recorded) {
  SCOPED_TRACE(name);
  constexpr std::string_view kMost = "_max";
  const size_t most = name.find(kMost);
  Tensor decoded = io.at("o2o_output0_xyxy").clone();
  const int64_t anchors = decoded.dim(2), rows = recorded.dim(1);
  for (int64_t axis = 0; axis < 2; ++axis)
    for (int64_t i = 0; i < anchors; ++i) {
      float &low = decoded.values()[axis * anchors + i], &high = decoded.values()[(2 + axis) * anchors + i];
      std::tie(low, high) = std::pair{(low + high) / 2, high - low};
    }
  detect::NmsOptions options;
  options.suppress = false;
  options.confidence = -1;
  if (most != name.npos) options.max_detections = std::stoi(name.substr(most + kMost.size()));
  options.agnostic = name.find("_agnostic") != name.npos;
  const auto found = detect::find_detections(decoded.values().data(), static_cast<int>(decoded.dim(1)) - 4,
                                             anchors, options);
  ASSERT_EQ(static_cast<int64_t>(found.size()), rows);
  for (int64_t i = 0; i < rows; ++i) {
    const float* row = recorded.values().data() + 6 * i;
    const detect::InputDetection& one = found[static_cast<size_t>(i)];
    EXPECT_NEAR(one.box.x1, row[0], kCompatBoxTolerance);
    EXPECT_NEAR(one.box.y1, row[1], kCompatBoxTolerance);
    EXPECT_NEAR(one.box.x2, row[2], kCompatBoxTolerance);
    EXPECT_NEAR(one.box.y2, row[3], kCompatBoxTolerance);
    EXPECT_EQ(one.confidence, row[4]);
    EXPECT_EQ(one.class_id, static_cast<int>(row[5])) << i;
  }
}

TEST(parity_compat_forward, EndToEndHeadsChooseTheRecordedBoxes) {
  const auto cases = testing::golden_files("compat/forward", {"model.pt"});
  MARROW_NEEDS_GOLDEN(cases, "compat/forward");
  for (const fs::path& file : cases) {
    SCOPED_TRACE(file.string());
    const Weights io = weights::read_safetensors(file.parent_path() / "io.safetensors").tensors;
    int compared = 0;
    for (const auto& [name, tensor] : io)
      if (name.starts_with("e2e_output")) {
        expect_chosen(io, name, tensor);
        ++compared;
      }
    EXPECT_EQ(compared > 0, io.contains("o2o_output0_xyxy"));
  }
}

TEST(parity_compat_forward, EveryFileGivesItsOwnNetwork) {
  const auto cases = testing::golden_files("compat/forward", {"model.pt"});
  MARROW_NEEDS_GOLDEN(cases, "compat/forward");
  for (const fs::path& file : cases) {
    SCOPED_TRACE(file.string());
    const json info = testing::read_json(file.parent_path() / "info.json");
    compare_with_file(file.parent_path(), info, false);
    if (weights::read_safetensors(file.parent_path() / "io.safetensors").tensors.contains("o2o_feat0"))
      compare_with_file(file.parent_path(), info, true);
  }
}

}  // namespace
}  // namespace marrow
