// Whole networks that segment, find keypoints or turned boxes, from their own checkpoints, against
// golden/tasks/forward: raw maps, the decode, and what is found at every setting.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "marrow/detect/results.h"
#include "marrow/model/import.h"
#include "marrow/predict/detector.h"
#include "marrow/predict/read_prediction.h"
#include "marrow/weights/safetensors.h"
#include "support/executors.h"
#include "support/golden.h"
#include "support/largest_difference.h"
#include "support/nms_settings.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kTaskMaps = 1e-4;
constexpr double kTaskPixels = 2e-2;
constexpr double kTaskScores = 1e-4;

// As forward/<task>_io.json describes it.
struct RecordedTask {
  explicit RecordedTask(const fs::path& path)
      : description(testing::read_json(path)),
        io(weights::read_safetensors(fs::path(path).replace_extension(".safetensors")).tensors),
        trained(
            model::load_trained(path.parent_path() / (description.at("task").get<std::string>() + ".pt"))),
        decode(*predict::detection_output(trained.model.graph, true).decode) {}

  Size network() const {
    const Tensor& images = io.at("images");
    return {static_cast<int>(images.dim(3)), static_cast<int>(images.dim(2))};
  }
  Size picture() const {
    return {description.at("original_hw").at(1).get<int>(), description.at("original_hw").at(0).get<int>()};
  }

  json description;
  Weights io;
  model::TrainedModel trained;
  DetectDecode decode;
};

void for_each_recorded_task(const std::function<void(const RecordedTask&)>& test) {
  testing::for_each_golden("tasks/forward", [&](const fs::path& folder) {
    const auto cases = testing::files_below(folder, {"_io.json"});
    ASSERT_FALSE(cases.empty());
    for (const fs::path& path : cases) {
      SCOPED_TRACE(path.string());
      test(RecordedTask(path));
    }
  });
}

// Places in pixels, all else by itself.
bool is_place(const DetectDecode& decode, int row) {
  if (row < 4) return true;
  const int numbers = numbers_of_point(decode.extra);
  return numbers > 1 && row >= 4 + decode.classes && (row - 4 - decode.classes) % numbers < 2;
}

TEST(parity_task_forward, EveryNetworkGivesTheRecordedMapsAndRows) {
  for_each_recorded_task([](const RecordedTask& task) {
    std::vector<std::string> names, recorded;
    for (const auto& entry : task.io) {
      std::string name = entry.first;
      const bool is_map = name.starts_with("feat") || name.starts_with("coefficients") ||
                          name.starts_with("angles") || name.starts_with("keypoints_raw") ||
                          name == "prototypes" || name == "output0";
      if (!is_map) continue;
      recorded.push_back(name);
      if (name.starts_with("keypoints_raw"))
        name = "keypoints" + name.substr(std::string("keypoints_raw").size());
      names.push_back(name);
    }
    EXPECT_EQ(task.trained.model.task, task.description.at("task"));
    for (const auto& run : testing::run_in_every_form(task.trained.model.graph, task.trained.weights,
                                                      task.io.at("images"), names)) {
      SCOPED_TRACE(run.executor);
      for (size_t i = 0; i < names.size(); ++i) {
        SCOPED_TRACE(names[i]);
        const Tensor& wanted = task.io.at(recorded[i]);
        ASSERT_EQ(run.values[i].shape(), wanted.shape());
        if (names[i] != "output0") {
          EXPECT_LE(testing::largest_difference(run.values[i], wanted), kTaskMaps);
          continue;
        }
        const auto anchors = static_cast<size_t>(wanted.dim(2));
        for (int row = 0; row < task.decode.rows(); ++row)
          EXPECT_LE(testing::largest_difference(
                        run.values[i].values().subspan(static_cast<size_t>(row) * anchors, anchors),
                        wanted.values().subspan(static_cast<size_t>(row) * anchors, anchors)),
                    is_place(task.decode, row) ? kTaskPixels : kTaskScores)
              << "row " << row;
      }
    }
  });
}

// The findings of one setting, from the recorded rows, so that every suppression is exact.
class FindingsOfSetting {
 public:
  FindingsOfSetting(const RecordedTask& task, size_t number)
      : task_(task), prefix_("case" + std::to_string(number) + ".") {
    options_.nms = testing::nms_options(settings(task.description.at("settings").at(number)));
    options_.outlines = true;
  }

  predict::ImageFindings find(predict::MaskSize masks) {
    options_.masks = masks;
    const Tensor& output = task_.io.at("output0");
    predict::ImagePrediction image = {.decode = task_.decode,
                                      .prediction = output.values().data(),
                                      .anchors = output.dim(2),
                                      .prototypes = {},
                                      .network = task_.network(),
                                      .picture = task_.picture(),
                                      .ratio_pad = assumed_ratio_pad(task_.network(), task_.picture())};
    if (task_.io.contains("prototypes")) {
      const Tensor& maps = task_.io.at("prototypes");
      image.prototypes = {maps.values().data(),
                          static_cast<int>(maps.dim(1)),
                          {static_cast<int>(maps.dim(3)), static_cast<int>(maps.dim(2))}};
    }
    return predict::read_prediction(image, options_);
  }

  void expect_rows(const predict::ImageFindings& found) const {
    const Tensor &rows = at("det"), &anchors = at("anchor_idx");
    ASSERT_EQ(std::ssize(found.detections), rows.dim(0));
    const auto columns = static_cast<size_t>(rows.dim(1));
    for (size_t i = 0; i < found.detections.size(); ++i) {
      EXPECT_EQ(found.detections[i].anchor, anchors.values<int64_t>()[i]);
      EXPECT_NEAR(found.detections[i].confidence, rows.values()[i * columns + 4], kTaskScores);
      EXPECT_EQ(found.detections[i].class_id, static_cast<int>(rows.values()[i * columns + 5]));
    }
  }
  void expect_boxes(const predict::ImageFindings& found) const {
    const Tensor& boxes = at("boxes_original");
    for (size_t i = 0; i < found.detections.size(); ++i)
      for (size_t k = 0; k < 4; ++k)
        EXPECT_NEAR(found.detections[i].box.corners()[k], boxes.values()[4 * i + k], kTaskPixels);
  }
  void expect_masks(const detect::DetectionExtras& extras, const std::string& name) const {
    SCOPED_TRACE(name);
    std::vector<Mask> masks;
    for (const MaskPart& part : extras.masks) masks.push_back(whole(part, extras.mask_size));
    const Tensor& wanted = at(name);
    ASSERT_EQ(std::ssize(masks), wanted.dim(0));
    const auto pixels = wanted.values<uint8_t>();
    for (size_t i = 0; i < masks.size(); ++i) {
      int64_t different = 0;
      for (size_t k = 0; k < masks[i].pixels.size(); ++k)
        different += masks[i].pixels[k] != pixels[i * masks[i].pixels.size() + k];
      EXPECT_LE(different, 2) << i;
    }
  }
  // The recorded ones are those of the recorded masks; a mask may differ by a pixel.
  void expect_outlines(const std::vector<detect::Outline>& outlines) const {
    ASSERT_EQ(std::ssize(outlines), at("det").dim(0));
    for (size_t i = 0; i < outlines.size(); ++i) {
      const Tensor& wanted = at("polygon" + std::to_string(i));
      ASSERT_EQ(std::ssize(outlines[i]), wanted.dim(0)) << i;
      for (size_t k = 0; k < outlines[i].size(); ++k) {
        EXPECT_NEAR(outlines[i][k].x, wanted.values()[2 * k], kTaskPixels);
        EXPECT_NEAR(outlines[i][k].y, wanted.values()[2 * k + 1], kTaskPixels);
      }
    }
  }
  void expect_keypoints(const std::vector<detect::Keypoints>& keypoints) const {
    const Tensor& wanted = at("keypoints_original");
    ASSERT_EQ(std::ssize(keypoints), wanted.dim(0));
    size_t place = 0;
    for (const detect::Keypoints& points : keypoints)
      for (const auto& [x, y, visibility] : points) {
        EXPECT_NEAR(x, wanted.values()[place++], kTaskPixels);
        EXPECT_NEAR(y, wanted.values()[place++], kTaskPixels);
        if (wanted.dim(2) == 3) {
          EXPECT_NEAR(visibility, wanted.values()[place++], kTaskScores);
        }
      }
  }
  void expect_rotated(const std::vector<RotatedBox<ImagePixels>>& boxes) const {
    const Tensor &rows = at("xywhr_original"), &corners = at("corners_original");
    ASSERT_EQ(std::ssize(boxes), rows.dim(0));
    for (size_t i = 0; i < boxes.size(); ++i) {
      const float found[] = {boxes[i].cx, boxes[i].cy, boxes[i].width, boxes[i].height, boxes[i].angle};
      for (size_t k = 0; k < 5; ++k)
        EXPECT_NEAR(found[k], rows.values()[5 * i + k], k == 4 ? kTaskScores : kTaskPixels);
      for (size_t k = 0; k < 4; ++k) {
        EXPECT_NEAR(boxes[i].corners()[k].x, corners.values()[8 * i + 2 * k], kTaskPixels);
        EXPECT_NEAR(boxes[i].corners()[k].y, corners.values()[8 * i + 2 * k + 1], kTaskPixels);
      }
    }
  }
  const Tensor& at(const std::string& name) const { return task_.io.at(prefix_ + name); }

 private:
  // Predict's names for them.
  static json settings(const json& given) {
    json named;
    for (const auto& [key, value] : given.items()) {
      if (key == "detections") continue;
      named[key == "conf" ? "conf_thres" : key == "iou" ? "iou_thres" : key] = value;
    }
    return named;
  }

  const RecordedTask& task_;
  std::string prefix_;
  predict::ReadOptions options_;
};

TEST(parity_task_forward, EverySettingFindsWhatIsRecorded) {
  for_each_recorded_task([](const RecordedTask& task) {
    for (size_t number = 0; number < task.description.at("settings").size(); ++number) {
      SCOPED_TRACE("case " + std::to_string(number));
      FindingsOfSetting setting(task, number);
      const predict::ImageFindings found = setting.find(predict::MaskSize::kInput);
      setting.expect_rows(found);
      if (task.decode.extra == DetectExtra::kAngle) {
        setting.expect_rotated(found.extras.rotated);
        continue;
      }
      setting.expect_boxes(found);
      if (task.decode.extra != DetectExtra::kCoefficients) {
        setting.expect_keypoints(found.extras.keypoints);
        continue;
      }
      setting.expect_masks(found.extras, "masks_input");
      setting.expect_masks(setting.find(predict::MaskSize::kImage).extras, "masks_original_retina");
      setting.expect_outlines(found.extras.outlines);
    }
  });
}

}  // namespace
}  // namespace marrow
