// The training runs of golden/yolov8/train, through the interface that the trainer uses: from recorded
// weights, over a fixed batch, step by step.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "marrow/model/model.h"
#include "marrow/model/spec.h"
#include "marrow/train/step/training_executor.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/largest_difference.h"
#include "support/read_json.h"
#include "support/recorded_loss.h"

namespace marrow::testing {

inline train::OptimizerKind optimizer_kind(const std::string& name) {
  const auto found = std::ranges::find(train::kOptimizerNames, name);
  if (found == train::kOptimizerNames.end()) throw std::invalid_argument(name);
  return static_cast<train::OptimizerKind>(found - train::kOptimizerNames.begin());
}

// A recorded run with everything that it needs.
class RecordedRun {
 public:
  explicit RecordedRun(const std::filesystem::path& description)
      : stem_(description.parent_path() / description.stem()),
        run_(read_json(description)),
        graph_(model::build_model(model::parse_model_spec(run_.at("model_yaml").dump(), description.string()))
                   .graph) {
    const nlohmann::json& gains = run_.at("hyp");
    settings_.objective = loss::DetectionLossOptions{.box_gain = gains.at("box"),
                                                     .class_gain = gains.at("cls"),
                                                     .dfl_gain = gains.at("dfl"),
                                                     .rules = Rules::k83};
    settings_.optimizer = optimizer_kind(run_.at("optimizer"));
    settings_.groups =
        train::parameter_groups(graph_, run_.at("weight_decay_group1"), settings_.optimizer, Rules::k83);
    settings_.beta1 = run_.at("momentum");
    const Weights data = file("data");
    batch_.images = data.at("images_u8");
    batch_.targets = target_rows(data.at("batch_idx"), data.at("cls"), data.at("bboxes"));
  }

  const nlohmann::json& steps() const { return run_.at("steps"); }
  const nlohmann::json& description() const { return run_; }
  const Graph& graph() const { return graph_; }
  const train::ExecutorSettings& settings() const { return settings_; }
  const train::TrainingBatch& batch() const { return batch_; }

  bool has(const std::string& part) const {
    return std::filesystem::exists(stem_.string() + "_" + part + ".safetensors");
  }
  Weights file(const std::string& part) const {
    return weights::read_safetensors(stem_.string() + "_" + part + ".safetensors").tensors;
  }
  // After a step, what of it was recorded under the prefix.
  Weights snapshot(int step, const std::string& prefix = "") const {
    Weights found;
    const std::string start = "after_step" + std::to_string(step) + "/" + prefix;
    for (const auto& [name, tensor] : file("snapshots"))
      if (name.starts_with(start)) found[name.substr(start.size())] = tensor;
    return found;
  }

  train::ExecutorState start() const { return {.weights = file("init"), .average = file("init")}; }
  // Returns the norm of the gradients.
  double update(train::TrainingExecutor& executor) const {
    const double norm = executor.clip_gradients(run_.at("clip_norm"), 1);
    const double lr = run_.at("lr");
    executor.update({lr, lr, run_.at("momentum"), 1});
    return norm;
  }

 private:
  std::filesystem::path stem_;
  nlohmann::json run_;
  Graph graph_;
  train::ExecutorSettings settings_;
  train::TrainingBatch batch_;
};

// Counters are to be equal, the others within `tolerance`.
inline void expect_weights(const Weights& found, const Weights& wanted, double tolerance) {
  ASSERT_FALSE(wanted.empty());
  for (const auto& [name, tensor] : wanted) {
    ASSERT_TRUE(found.contains(name)) << name;
    if (tensor.dtype() == DType::kInt64)
      EXPECT_EQ(found.at(name).values<int64_t>()[0], tensor.values<int64_t>()[0]) << name;
    else
      EXPECT_LE(largest_difference(found.at(name), tensor), tolerance) << name;
  }
}

template <class Check>
void for_each_recorded_run(const Check& check) {
  const auto descriptions = golden_files("yolov8/train", {".json"});
  MARROW_NEEDS_GOLDEN(descriptions, "yolov8/train");
  for (const std::filesystem::path& description : descriptions) {
    SCOPED_TRACE(description.string());
    check(RecordedRun(description));
  }
}

}  // namespace marrow::testing
