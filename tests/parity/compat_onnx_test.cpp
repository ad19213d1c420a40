// ONNX files that Ultralytics 8.4 wrote, read and run: golden-2/compat/README.md, `onnx`.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "marrow/detect/nms.h"
#include "marrow/model/onnx_model.h"
#include "marrow/predict/detector.h"
#include "marrow/weights/safetensors.h"
#include "support/executors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct OnnxTolerance {
  double pixels, scores;
};

Tensor first_images(const Tensor& bytes, int64_t count) {
  Shape shape = bytes.shape();
  shape[0] = std::min(count, shape[0]);
  Tensor images(shape);
  std::ranges::transform(bytes.values<uint8_t>().first(static_cast<size_t>(images.size())),
                         images.values().begin(),
                         [](uint8_t byte) { return static_cast<float>(byte) / 255; });
  return images;
}

// (N, 4 + classes, anchors)
void expect_decoded(const Tensor& found, const Tensor& wanted, const OnnxTolerance& tolerance) {
  ASSERT_EQ(found.shape(), wanted.shape());
  for (int64_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found.values()[i], wanted.values()[i],
                i / found.dim(2) % found.dim(1) < 4 ? tolerance.pixels : tolerance.scores)
        << i;
}

// Rows x1 y1 x2 y2 score class by falling score, zeros behind the last.
void expect_rows(const std::vector<detect::InputDetection>& found, std::span<const float> wanted,
                 const OnnxTolerance& tolerance) {
  for (size_t i = 0; 6 * i < wanted.size(); ++i) {
    SCOPED_TRACE("row " + std::to_string(i));
    const float* row = wanted.data() + 6 * i;
    if (i >= found.size()) {
      EXPECT_EQ(row[4], 0);
      continue;
    }
    const Box<InputPixels>& box = found[i].box;
    const std::array<float, 4> sides = {box.x1, box.y1, box.x2, box.y2};
    for (size_t side = 0; side < 4; ++side) EXPECT_NEAR(sides[side], row[side], tolerance.pixels);
    EXPECT_NEAR(found[i].confidence, row[4], tolerance.scores);
    EXPECT_EQ(found[i].class_id, static_cast<int>(row[5]));
  }
}

void expect_output(const model::TrainedModel& trained, const json& args, const Tensor& bytes,
                   const Tensor& wanted, const OnnxTolerance& tolerance) {
  const predict::DetectionOutput output = predict::detection_output(trained.model.graph, true);
  const Tensor images = first_images(bytes, wanted.dim(0));
  for (const auto& run :
       testing::run_in_every_form(trained.model.graph, trained.weights, images, {output.name})) {
    SCOPED_TRACE(run.executor);
    const Tensor& decoded = run.values.front();
    if (wanted.dim(2) != 6) {
      expect_decoded(decoded, wanted, tolerance);
      continue;
    }
    detect::NmsOptions nms;
    nms.suppress = output.suppress;
    nms.confidence = output.suppress ? args.value("conf", 0.25f) : -1;
    nms.iou = args.value("iou", nms.iou);
    nms.max_detections = static_cast<int>(wanted.dim(1));
    expect_rows(
        detect::find_detections(decoded.values().data(), trained.model.classes(), decoded.dim(2), nms),
        wanted.values().first(static_cast<size_t>(6 * wanted.dim(1))), tolerance);
  }
}

void expect_export(const fs::path& folder, const std::string& name, const json& recorded) {
  const model::TrainedModel trained = model::read_onnx_model(folder / (name + ".onnx"));
  const Weights io = weights::read_safetensors(folder / "io.safetensors").tensors;
  const bool half = name.find("fp16") != std::string::npos;
  const OnnxTolerance tolerance = half ? OnnxTolerance{0.5, 5e-3} : OnnxTolerance{1e-3, 1e-5};
  const json& args = recorded.at("args");
  expect_output(trained, args, io.at("images_u8"), io.at(name + ".output0"), tolerance);
  if (const auto other = io.find(name + ".output0_2"); other != io.end())
    expect_output(trained, args, io.at(name + ".images2_u8"), other->second, tolerance);
}

TEST(parity_compat_onnx, EveryExportIsReadAndComputesTheSame) {
  testing::for_each_golden("compat/onnx/onnx.json", [](const fs::path& path) {
    const json recorded = testing::read_json(path);
    ASSERT_FALSE(recorded.at("exports").empty());
    for (const auto& [name, one] : recorded.at("exports").items()) {
      SCOPED_TRACE(name);
      expect_export(path.parent_path(), name, one);
    }
  });
}

}  // namespace
}  // namespace marrow
