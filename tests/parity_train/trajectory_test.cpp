// Whole training runs against golden/yolov8/train: from recorded weights, over a fixed batch, step by step.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "marrow/model/model.h"
#include "marrow/model/spec.h"
#include "marrow/train/torch/ema.h"
#include "marrow/train/torch/executor.h"
#include "marrow/train/torch/loss.h"
#include "marrow/train/torch/optimizer.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/largest_difference.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// golden/yolov8/README.md, "train". Relative for losses, norms and sums; absolute for weights.
struct Tolerances {
  double early;        // steps 0 and 1
  double second_norm;  // of the gradients in step 1
  double late;         // the other steps
  double weights;
};
// A run recorded with snapshots starts from random weights, where rounding grows. All were recorded in
// float32: that second norm lies 1.3e-5 from what float64 gives on any processor.
Tolerances tolerances_of(const json& run, bool has_snapshots) {
  if (has_snapshots) return {1e-5, 1.5e-5, 2e-3, 2e-3};
  if (run.at("optimizer") == "SGD") return {1e-4, 1e-4, 1e-4, 1e-4};
  return {1e-3, 1e-3, 1e-3, 1e-3};
}
// Of one step by itself, in float32: what LibTorch's kernels for different processors round.
constexpr Tolerances kAlone = {1e-5, 1e-5, 1e-5, 1e-6};

train::OptimizerKind kind_of(const std::string& name) {
  const auto found = std::ranges::find(train::kOptimizerNames, name);
  if (found == train::kOptimizerNames.end()) throw std::invalid_argument(name);
  return static_cast<train::OptimizerKind>(found - train::kOptimizerNames.begin());
}

void expect_weights(const Weights& found, const Weights& wanted, double tolerance) {
  ASSERT_FALSE(wanted.empty());
  for (const auto& [name, tensor] : wanted) {
    ASSERT_TRUE(found.contains(name)) << name;
    if (tensor.dtype() == DType::kInt64)
      EXPECT_EQ(found.at(name).values<int64_t>()[0], tensor.values<int64_t>()[0]) << name;
    else
      EXPECT_LE(testing::largest_difference(found.at(name), tensor), tolerance) << name;
  }
}

// One recorded run with everything that it needs.
class Recording {
 public:
  Recording(const fs::path& description, torch::ScalarType type)
      : stem_(description.parent_path() / description.stem()),
        run_(testing::read_json(description)),
        graph_(model::build_model(model::parse_model_spec(run_.at("model_yaml").dump(), description.string()))
                   .graph),
        model_(graph_, file("init"), {.compute_type = type}),
        average_(graph_, file("init"), {.compute_type = type}),
        optimizer_(model_,
                   train::parameter_groups(graph_, run_.at("weight_decay_group1"),
                                           kind_of(run_.at("optimizer")), Rules::k83),
                   {kind_of(run_.at("optimizer")), run_.at("momentum")}),
        ema_(average_),
        maps_(loss::detection_maps(graph_)) {
    const Weights data = file("data");
    images_ = train::to_torch(data.at("images_u8"));
    targets_ = {train::to_torch(data.at("batch_idx")), train::to_torch(data.at("cls")),
                train::to_torch(data.at("bboxes"))};
    const json& gains = run_.at("hyp");
    loss_options_ = {.box_gain = gains.at("box"),
                     .class_gain = gains.at("cls"),
                     .dfl_gain = gains.at("dfl"),
                     .rules = Rules::k83};
  }

  bool has(const std::string& part) const { return fs::exists(stem_.string() + "_" + part + ".safetensors"); }
  Weights file(const std::string& part) const {
    return weights::read_safetensors(stem_.string() + "_" + part + ".safetensors").tensors;
  }

  train::DetectionLossResult forward_and_backward() {
    model_.zero_gradients();
    train::DetectionLossResult result =
        train::DetectionLoss(graph_, loss_options_)(model_.train(images_, maps_, {}), targets_);
    result.loss.sum().backward();
    return result;
  }
  // Returns the norm of the gradients.
  double update() {
    const double norm = optimizer_.clip_gradients(run_.at("clip_norm"));
    const double lr = run_.at("lr");
    optimizer_.step({lr, lr, run_.at("momentum"), 1});
    ema_.update(model_);
    return norm;
  }

  fs::path stem_;
  json run_;
  Graph graph_;
  train::TorchExecutor model_, average_;
  train::Optimizer optimizer_;
  train::Ema ema_;
  std::vector<Value> maps_;
  torch::Tensor images_;
  train::DetectionTargets targets_;
  train::DetectionLossOptions loss_options_;
};

// Of numbers computed in `type`.
template <class Check>
void for_each_recording(torch::ScalarType type, const Check& check) {
  const auto descriptions = testing::golden_files("yolov8/train", {".json"});
  MARROW_NEEDS_GOLDEN(descriptions, "yolov8/train");
  for (const fs::path& description : descriptions) {
    SCOPED_TRACE(description.string());
    Recording recording(description, type);
    check(recording);
  }
}

// What was recorded of the step before clipping: a tensor's gradient is held to its largest entry.
void expect_first_gradients(const Recording& recording) {
  for (const auto& [name, wanted] : recording.file("grad_step0")) {
    double largest = 0;
    for (const float x : wanted.values()) largest = std::max(largest, std::abs(static_cast<double>(x)));
    const torch::Tensor gradient = recording.model_.parameter(name).grad();
    ASSERT_TRUE(gradient.defined()) << name;
    EXPECT_LE(testing::largest_difference(train::from_torch(gradient), wanted), 1e-5 + 1e-4 * largest)
        << name;
  }
}

// Makes one step from the state that the recording is in, and compares it with the recorded one.
void expect_step(Recording& recording, const json& step, const Tolerances& tolerances) {
  const int number = step.at("step");
  SCOPED_TRACE("step " + std::to_string(number));
  const double tolerance = number < 2 ? tolerances.early : tolerances.late;
  const auto near = [](double found, double wanted, double relative, const char* what) {
    EXPECT_NEAR(found, wanted, relative * std::abs(wanted)) << what;
  };
  const train::DetectionLossResult result = recording.forward_and_backward();
  for (int64_t k = 0; k < 3; ++k)
    near(result.items[k].item<double>(), step.at("loss_items").at(static_cast<size_t>(k)), tolerance, "loss");
  near(result.loss.sum().item<double>(), step.at("loss_sum_x_batch"), tolerance, "loss x batch");
  if (number == 0) expect_first_gradients(recording);
  near(recording.update(), step.at("grad_norm_before_clip"), number == 1 ? tolerances.second_norm : tolerance,
       "gradient norm");
  EXPECT_EQ(recording.ema_.updates(), step.at("ema_updates").get<int64_t>());

  double parameters = 0, means = 0, variances = 0, all_means = 0;
  for (const Parameter& p : recording.graph_.parameters) {
    const torch::Tensor value = recording.model_.parameter(p.name).to(torch::kFloat64);
    if (p.counted()) parameters += value.abs().sum().item<double>();
    if (p.role == ParameterRole::kRunningVar) variances += value.sum().item<double>();
    if (p.role != ParameterRole::kRunningMean) continue;
    means += value.sum().item<double>();
    all_means += value.abs().sum().item<double>();
  }
  near(parameters, step.at("param_abs_sum"), tolerance, "sum of parameters");
  near(variances, step.at("running_var_sum"), tolerance, "sum of variances");
  // Positive and negative means cancel in the sum.
  EXPECT_NEAR(means, step.at("running_mean_sum").get<double>(), tolerance * all_means) << "sum of means";
  if (number == 0) expect_weights(recording.model_.weights(), recording.file("after_step0"), 1e-4);
}

TEST(parity_train, GroupsHoldTheRecordedParametersInOrder) {
  for_each_recording(torch::kFloat32, [](Recording& recording) {
    const json& wanted = recording.run_.at("param_groups_in_order");
    const auto groups = recording.optimizer_.groups();
    ASSERT_EQ(wanted.size(), groups.size());
    for (size_t i = 0; i < groups.size(); ++i) {
      EXPECT_EQ(groups[i].names, wanted[i].at("params").get<std::vector<std::string>>()) << "group " << i;
      EXPECT_EQ(groups[i].weight_decay, wanted[i].at("weight_decay").get<double>()) << "group " << i;
    }
  });
}

// In float64: a run in float32 drifts from the recorded one by what LibTorch's kernels for this processor
// round.
TEST(parity_train, RunsFollowTheRecordedTrajectory) {
  for_each_recording(torch::kFloat64, [](Recording& recording) {
    const Tolerances tolerances = tolerances_of(recording.run_, recording.has("snapshots"));
    for (const json& step : recording.run_.at("steps")) expect_step(recording, step, tolerances);
    expect_weights(recording.model_.weights(), recording.file("final"), tolerances.weights);
    expect_weights(recording.average_.weights(), recording.file("ema"), tolerances.weights);

    const Weights outputs = recording.file("eval_out");
    const Value output = recording.graph_.find("output0");
    for (auto& [executor, name] : {std::pair{&recording.model_, "final_eval_output0"},
                                   std::pair{&recording.average_, "ema_eval_output0"}}) {
      const Tensor found = train::from_torch(executor->evaluate(recording.images_, std::span(&output, 1))[0]);
      EXPECT_LE(relative_difference(found, outputs.at(name)), tolerances.weights) << name;
    }
  });
}

// In float32, each step from the recorded state before it, so that nothing grows: the first one of every run,
// the others where snapshots were recorded.
TEST(parity_train, EveryStepAloneMatches) {
  int steps_compared = 0;
  for_each_recording(torch::kFloat32, [&](Recording& recording) {
    const json& steps = recording.run_.at("steps");
    expect_step(recording, steps.at(0), kAlone);
    if (!recording.has("snapshots")) return;
    const Weights snapshots = recording.file("snapshots");
    const auto part = [&](size_t step, const std::string& prefix) {
      Weights found;
      const std::string start = "after_step" + std::to_string(step) + "/" + prefix;
      for (const auto& [name, tensor] : snapshots)
        if (name.starts_with(start)) found[name.substr(start.size())] = tensor;
      return found;
    };
    const Weights known = recording.file("init");
    for (size_t step = 1; step < steps.size(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      train::Optimizer::State before;
      before.steps = static_cast<int64_t>(step);
      for (const auto& [name, tensor] : part(step - 1, "momentum_buffer/"))
        before.tensors["momentum/" + name] = tensor;
      ASSERT_FALSE(before.tensors.empty());
      Weights weights = known;
      for (const auto& [name, tensor] : part(step - 1, ""))
        if (!name.starts_with("momentum_buffer/")) weights[name] = tensor;
      recording.model_.load(weights);
      recording.optimizer_.load(before);
      expect_step(recording, steps.at(step), kAlone);
      const Weights found = recording.model_.weights();
      for (const auto& [name, wanted] : part(step, "")) {
        if (name.starts_with("momentum_buffer/")) continue;
        EXPECT_LE(testing::largest_difference(found.at(name), wanted), kAlone.weights) << name;
      }
      for (const auto& [name, wanted] : part(step, "momentum_buffer/"))
        EXPECT_LE(relative_difference(recording.optimizer_.state().tensors.at("momentum/" + name), wanted),
                  1e-4)
            << name;
      ++steps_compared;
    }
  });
  EXPECT_TRUE(steps_compared > 0 || testing::golden_parts("yolov8/train").empty());
}

}  // namespace
}  // namespace marrow
