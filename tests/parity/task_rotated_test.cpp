// Turned boxes against golden/tasks/primitives and golden/tasks/nms.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numbers>
#include <string>

#include "marrow/detect/rotated_nms.h"
#include "marrow/geometry/probiou.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/nms_settings.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Turned = RotatedBox<void, double>;

constexpr double kTurnedTolerance = 1e-5;  // the recording's own
// Recorded in float32, where the value near 1 is uncertain.
constexpr double kNearOne = 2e-4;

Turned turned(const Tensor& rows, size_t i) {
  const auto v = rows.values().subspan(5 * i, 5);
  return {v[0], v[1], v[2], v[3], v[4]};
}

double tolerance_of(double iou) {
  return iou > 0.99 ? kNearOne : kTurnedTolerance;
}

TEST(parity_task_rotated, ProbabilisticIou) {
  testing::for_each_golden("tasks/primitives/rotated.safetensors", [](const fs::path& path) {
    const Weights golden = weights::read_safetensors(path).tensors;
    const Tensor &first = golden.at("obb1"), &second = golden.at("obb2");
    for (size_t i = 0; i < static_cast<size_t>(first.dim(0)); ++i) {
      SCOPED_TRACE(i);
      const Turned a = turned(first, i), b = turned(second, i);
      const double exact = golden.at("probiou_f64").values<double>()[i];
      EXPECT_NEAR(probiou(GaussianBox(a), GaussianBox(b)), exact, 1e-9);
      EXPECT_NEAR(exact, golden.at("probiou").values()[i], tolerance_of(exact));
      const double floored = golden.at("probiou_floor_f64").values<double>()[i];
      const ProbiouAndGradient found = probiou_gradient(a, b, 0.01);
      EXPECT_NEAR(found.iou, floored, 1e-9);
      for (size_t k = 0; k < 5; ++k)
        EXPECT_NEAR(found.gradient[k], golden.at("probiou_floor_grad_obb1").values()[5 * i + k],
                    floored > 0.99 ? 2e-4 : 1e-5)
            << k;
      for (const double threshold : {0.1, 0.5, 0.9})
        EXPECT_EQ(probiou_exceeds(GaussianBox(a), GaussianBox(b), threshold), exact > threshold);
    }
    const Tensor &rows = golden.at("batch_obb1"), &columns = golden.at("batch_obb2");
    const Tensor& matrix = golden.at("batch_probiou");
    for (size_t i = 0; i < static_cast<size_t>(matrix.dim(0)); ++i)
      for (size_t j = 0; j < static_cast<size_t>(matrix.dim(1)); ++j) {
        const double iou = probiou(GaussianBox(turned(rows, i)), GaussianBox(turned(columns, j)));
        EXPECT_NEAR(iou, matrix.values()[i * static_cast<size_t>(matrix.dim(1)) + j], tolerance_of(iou));
      }
  });
}

TEST(parity_task_rotated, Corners) {
  testing::for_each_golden("tasks/primitives/rotated.safetensors", [](const fs::path& path) {
    const Weights golden = weights::read_safetensors(path).tensors;
    const Tensor &boxes = golden.at("corners_xywhr"), &corners = golden.at("corners");
    for (size_t i = 0; i < static_cast<size_t>(boxes.dim(0)); ++i) {
      const auto found = turned(boxes, i).corners();
      for (size_t k = 0; k < 4; ++k) {
        EXPECT_NEAR(found[k].x, corners.values()[8 * i + 2 * k], kTurnedTolerance);
        EXPECT_NEAR(found[k].y, corners.values()[8 * i + 2 * k + 1], kTurnedTolerance);
      }
    }
  });
}

TEST(parity_task_rotated, SuppressionOfEverySetting) {
  testing::for_each_golden("tasks/nms", [](const fs::path& folder) {
    int compared = 0;
    for (const fs::path& path : testing::files_below(folder, {".json"})) {
      const json description = testing::read_json(path);
      const Weights golden =
          weights::read_safetensors(fs::path(path).replace_extension(".safetensors")).tensors;
      const Tensor& prediction = golden.at("pred");
      const int64_t channels = prediction.dim(1), anchors = prediction.dim(2);
      const int classes = description.at("nc");
      ASSERT_EQ(channels, 4 + classes + 1);
      for (const json& row : description.at("cases")) {
        const detect::NmsOptions options = testing::nms_options(row.at("settings"));
        for (int64_t image = 0; image < prediction.dim(0); ++image) {
          const std::string prefix =
              "case" + std::to_string(row.at("case").get<int>()) + ".img" + std::to_string(image) + ".";
          SCOPED_TRACE(path.filename().string() + " " + prefix + row.at("settings").dump());
          const auto found = detect::rotated_suppression(
              prediction.values().data() + image * channels * anchors, classes, anchors, options);
          const Tensor &rows = golden.at(prefix + "det"), &places = golden.at(prefix + "anchor_idx");
          ASSERT_EQ(std::ssize(found), rows.dim(0));
          for (size_t i = 0; i < found.size(); ++i) {
            ASSERT_EQ(found[i].anchor, places.values<int64_t>()[i]) << i;
            const auto& [box, confidence, class_id, anchor] = found[i];
            const float wanted[] = {
                box.cx, box.cy, box.width, box.height, confidence, static_cast<float>(class_id), box.angle};
            for (size_t k = 0; k < 7; ++k) EXPECT_NEAR(wanted[k], rows.values()[7 * i + k], 1e-4) << i;
          }
          ++compared;
        }
      }
    }
    EXPECT_GT(compared, 0);
  });
}

}  // namespace
}  // namespace marrow
