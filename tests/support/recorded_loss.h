// Recorded detection losses: predictions, targets, and what came of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "marrow/loss/options.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow::testing {

// golden/yolov8/README.md, "loss".
inline constexpr double kLoss = 1e-5;              // relative
inline constexpr double kGradientAbsolute = 1e-5;  // and
inline constexpr double kGradientRelative = 1e-4;
inline constexpr double kScores = 1e-4;
// Of the parts that it is made of: relative and absolute.
inline constexpr double kPrimitives = 1e-5;

class RecordedTensors {
 public:
  explicit RecordedTensors(const std::filesystem::path& path)
      : tensors_(weights::read_safetensors(path).tensors) {}
  const Tensor& operator[](const std::string& name) const { return tensors_.at(name); }
  bool has(const std::string& name) const { return tensors_.contains(name); }

 private:
  Weights tensors_;
};

// (T, 6) float32, an object a row, of recorded "batch_idx", "cls" and "bboxes"; (T, 7) of turned boxes.
inline Tensor target_rows(const Tensor& images, const Tensor& classes, const Tensor& boxes) {
  const Tensor image = images.to_float(), label = classes.to_float(), box = boxes.to_float();
  const auto numbers = static_cast<size_t>(box.dim(1)), columns = numbers + 2;
  Tensor rows({image.size(), static_cast<int64_t>(columns)});
  for (size_t i = 0; i < static_cast<size_t>(image.size()); ++i) {
    rows.values()[columns * i] = image.values()[i];
    rows.values()[columns * i + 1] = label.values()[i];
    std::ranges::copy(box.values().subspan(numbers * i, numbers),
                      rows.values().subspan(columns * i + 2).begin());
  }
  return rows;
}

struct RecordedLoss : RecordedTensors {
  nlohmann::json description;
  int classes = 0, reg_max = 0;
  std::vector<int> strides;
  loss::DetectionLossOptions options;

  // One of an array of descriptions; the tensors lie beside them.
  RecordedLoss(const nlohmann::json& case_, const std::filesystem::path& folder, Rules rules)
      : RecordedTensors(folder / (case_.at("name").get<std::string>() + ".safetensors")), description(case_) {
    for (const double stride : description.at("strides")) strides.push_back(static_cast<int>(stride));
    classes = description.at("nc");
    reg_max = static_cast<int>((maps().at(0).dim(1) - classes) / 4);
    const nlohmann::json& gains = description.at("hyp");
    options = {.box_gain = gains.at("box"),
               .class_gain = gains.at("cls"),
               .dfl_gain = gains.at("dfl"),
               .rules = rules};
    // 8.3's cases name it "tal_topk".
    options.assigner.top_k = description.value("topk", description.value("tal_topk", 10));
    options.assigner.top_k_after = description.value("topk2", 0);
    if (!description.contains("class_counts")) return;
    std::vector<int64_t> counts;
    for (const nlohmann::json& count : description.at("class_counts")) counts.push_back(count.get<int64_t>());
    options.class_weights = loss::class_weights(counts, description.at("cls_pw"));
    for (size_t c = 0; c < counts.size(); ++c)
      EXPECT_NEAR(options.class_weights.at(c), description.at("class_weights").at(c).get<double>(), 1e-6);
  }

  // (N, 4 * reg_max + classes, H, W), one a level.
  std::vector<Tensor> maps(const std::string& prefix = "") const {
    std::vector<Tensor> maps;
    while (has(prefix + "feat" + std::to_string(maps.size())))
      maps.push_back((*this)[prefix + "feat" + std::to_string(maps.size())]);
    return maps;
  }
  Tensor targets() const { return target_rows((*this)["batch_idx"], (*this)["cls"], (*this)["bboxes"]); }

  // Of two branches; the second's maps begin with "o2o_".
  bool is_dual() const { return has("o2o_feat0"); }
  double share() const {
    const double share = loss::one_to_many_share(description.at("updates"), description.at("hyp_epochs"));
    EXPECT_NEAR(share, description.at("o2m").get<double>(), 1e-6);
    return share;
  }
};

// Runs `test` on every case that the file describes, in every golden folder that has it.
inline void for_each_recorded_loss(const std::filesystem::path& part, Rules rules,
                                   const std::function<void(const RecordedLoss&)>& test) {
  for_each_golden(part, [&](const std::filesystem::path& path) {
    const nlohmann::json cases = read_json(path);
    ASSERT_FALSE(cases.empty());
    for (const nlohmann::json& description : cases) {
      SCOPED_TRACE(description.at("name").get<std::string>());
      test(RecordedLoss(description, path.parent_path(), rules));
    }
  });
}

}  // namespace marrow::testing
