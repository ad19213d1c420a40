// Non-maximum suppression against golden/yolov8/nms: same set, same order, same values.
#include "marrow/detect/nms.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/nms_settings.h"
#include "support/read_json.h"

namespace marrow {
namespace {

using nlohmann::json;

void expect_detections(const std::vector<detect::InputDetection>& found, const Tensor& rows,
                       const Tensor& anchors) {
  ASSERT_EQ(static_cast<int64_t>(found.size()), rows.dim(0));
  std::span<const float> wanted = rows.values();
  for (size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE("detection " + std::to_string(i));
    ASSERT_EQ(found[i].anchor, anchors.values<int64_t>()[i]);
    for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(found[i].box.corners()[k], wanted[i * 6 + k], 1e-4);
    EXPECT_NEAR(found[i].confidence, wanted[i * 6 + 4], 1e-4);
    EXPECT_EQ(found[i].class_id, static_cast<int>(wanted[i * 6 + 5]));
  }
}

// Every X.json with an X.safetensors beside it.
TEST(parity_nms, EverySetting) {
  testing::for_each_golden("yolov8/nms", [](const std::filesystem::path& folder) {
    int compared = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".json") continue;
      auto golden =
          weights::read_safetensors(std::filesystem::path(entry.path()).replace_extension(".safetensors"));
      const Tensor& prediction = golden.tensors.at("pred");
      int64_t batch = prediction.dim(0), channels = prediction.dim(1), anchors = prediction.dim(2);
      const json description = testing::read_json(entry.path());
      for (const json& row : description.at("cases")) {
        detect::NmsOptions options = testing::nms_options(row.at("settings"));
        for (int64_t image = 0; image < batch; ++image) {
          std::string prefix =
              "case" + std::to_string(row.at("case").get<int>()) + ".img" + std::to_string(image) + ".";
          SCOPED_TRACE(entry.path().filename().string() + " " + prefix + row.at("settings").dump());
          const float* one = prediction.values().data() + image * channels * anchors;
          expect_detections(
              detect::non_max_suppression(one, static_cast<int>(channels) - 4, anchors, options),
              golden.tensors.at(prefix + "det"), golden.tensors.at(prefix + "anchor_idx"));
          ++compared;
        }
      }
    }
    EXPECT_GT(compared, 0);
  });
}

// Every file with boxes and scores; "keep_iou0.5000" is what stays at that threshold.
TEST(parity_nms, PrimitiveWithTies) {
  testing::for_each_golden("yolov8/nms", [](const std::filesystem::path& folder) {
    const std::string kPrefix = "keep_iou";
    int compared = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".safetensors") continue;
      auto golden = weights::read_safetensors(entry.path());
      if (!golden.tensors.count("scores")) continue;
      std::span<const float> numbers = golden.tensors.at("boxes").values();
      std::vector<Box<InputPixels>> boxes;
      for (size_t i = 0; i + 4 <= numbers.size(); i += 4) {
        boxes.push_back({numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3]});
      }
      for (const auto& [name, keep] : golden.tensors) {
        if (name.rfind(kPrefix, 0) != 0) continue;
        SCOPED_TRACE(name);
        float threshold = std::stof(name.substr(kPrefix.size()));
        auto kept = detect::greedy_nms(boxes, golden.tensors.at("scores").values(), threshold);
        EXPECT_TRUE(std::ranges::equal(kept, keep.values<int64_t>()));
        ++compared;
      }
    }
    EXPECT_GT(compared, 0);
  });
}

}  // namespace
}  // namespace marrow
