// Whole training runs against golden/yolov8/train: from recorded weights, over a fixed batch, step by step.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "marrow/model/model.h"
#include "marrow/model/spec.h"
#include "marrow/train/ema.h"
#include "marrow/train/executor.h"
#include "marrow/train/loss.h"
#include "marrow/train/optimizer.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/largest_difference.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// golden/yolov8/README.md, "train". A run recorded with snapshots starts from random weights, where rounding
// grows: after one step its gradients' norm moves by 3e-5 with the vector instructions that LibTorch finds
// (ATEN_CPU_CAPABILITY, DNNL_MAX_CPU_ISA). EveryStepAloneMatches holds each of its steps by itself.
struct Tolerances {
  double first, second, late;  // steps 0, 1 and the others. Relative for losses and norms
  double weights;              // absolute
};
Tolerances tolerances_of(const json& run, bool has_snapshots) {
  if (has_snapshots) return {1e-5, 1e-4, 2e-3, 2e-3};
  if (run.at("optimizer") == "SGD") return {1e-4, 1e-4, 1e-4, 1e-4};
  return {1e-3, 1e-3, 1e-3, 1e-3};
}

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
  Recording(const fs::path& description)
      : stem_(description.parent_path() / description.stem()),
        run_(testing::read_json(description)),
        graph_(model::build_model(model::parse_model_spec(run_.at("model_yaml").dump(), description.string()))
                   .graph),
        model_(graph_, file("init")),
        average_(graph_, file("init")),
        optimizer_(model_,
                   train::parameter_groups(graph_, run_.at("weight_decay_group1"),
                                           kind_of(run_.at("optimizer")), Rules::k83),
                   {kind_of(run_.at("optimizer")), run_.at("momentum")}),
        ema_(average_),
        maps_(train::detection_maps(graph_)) {
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

template <class Check>
void for_each_recording(const Check& check) {
  const auto descriptions = testing::golden_files("yolov8/train", {".json"});
  MARROW_NEEDS_GOLDEN(descriptions, "yolov8/train");
  for (const fs::path& description : descriptions) {
    SCOPED_TRACE(description.string());
    Recording recording(description);
    check(recording);
  }
}

TEST(parity_train, GroupsHoldTheRecordedParametersInOrder) {
  for_each_recording([](Recording& recording) {
    const json& wanted = recording.run_.at("param_groups_in_order");
    const auto groups = recording.optimizer_.groups();
    ASSERT_EQ(wanted.size(), groups.size());
    for (size_t i = 0; i < groups.size(); ++i) {
      EXPECT_EQ(groups[i].names, wanted[i].at("params").get<std::vector<std::string>>()) << "group " << i;
      EXPECT_EQ(groups[i].weight_decay, wanted[i].at("weight_decay").get<double>()) << "group " << i;
    }
  });
}

TEST(parity_train, RunsFollowTheRecordedTrajectory) {
  for_each_recording([](Recording& recording) {
    const Tolerances tolerances = tolerances_of(recording.run_, recording.has("snapshots"));
    for (const json& step : recording.run_.at("steps")) {
      const int number = step.at("step");
      SCOPED_TRACE("step " + std::to_string(number));
      const double tolerance = number == 0   ? tolerances.first
                               : number == 1 ? tolerances.second
                                             : tolerances.late;
      const train::DetectionLossResult result = recording.forward_and_backward();
      const auto near = [&](double found, double wanted, const char* what) {
        EXPECT_NEAR(found, wanted, tolerance * std::abs(wanted)) << what;
      };
      for (int64_t k = 0; k < 3; ++k)
        near(result.items[k].item<double>(), step.at("loss_items").at(static_cast<size_t>(k)), "loss");
      near(result.loss.sum().item<double>(), step.at("loss_sum_x_batch"), "loss x batch");
      if (number == 0)
        for (const auto& [name, wanted] : recording.file("grad_step0")) {
          // A tensor's gradient is held to its largest entry.
          double largest = 0;
          for (const float x : wanted.values()) largest = std::max(largest, std::abs(static_cast<double>(x)));
          const torch::Tensor gradient = recording.model_.parameter(name).grad();
          ASSERT_TRUE(gradient.defined()) << name;
          EXPECT_LE(testing::largest_difference(train::from_torch(gradient), wanted), 1e-5 + 1e-4 * largest)
              << name;
        }
      near(recording.update(), step.at("grad_norm_before_clip"), "gradient norm");
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
      near(parameters, step.at("param_abs_sum"), "sum of parameters");
      near(variances, step.at("running_var_sum"), "sum of variances");
      // Positive and negative means cancel in the sum.
      EXPECT_NEAR(means, step.at("running_mean_sum").get<double>(), tolerance * all_means) << "sum of means";
      if (number == 0)
        expect_weights(recording.model_.weights(), recording.file("after_step0"),
                       std::min(tolerances.weights, 1e-4));
    }
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

// Each step from the recorded state before it, so that nothing grows.
TEST(parity_train, EveryStepAloneMatches) {
  int steps_compared = 0;
  for_each_recording([&](Recording& recording) {
    if (!recording.has("snapshots")) return;
    const Weights snapshots = recording.file("snapshots");
    const auto part = [&](int step, const std::string& prefix) {
      Weights found;
      const std::string start = "after_step" + std::to_string(step) + "/" + prefix;
      for (const auto& [name, tensor] : snapshots)
        if (name.starts_with(start)) found[name.substr(start.size())] = tensor;
      return found;
    };
    Weights known = recording.file("init");
    const int steps = static_cast<int>(recording.run_.at("steps").size());
    for (int step = 1; step < steps; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      train::Optimizer::State before;
      before.steps = step;
      for (const auto& [name, tensor] : part(step - 1, "momentum_buffer/"))
        before.tensors["momentum/" + name] = tensor;
      ASSERT_FALSE(before.tensors.empty());
      Weights weights = known;
      for (const auto& [name, tensor] : part(step - 1, ""))
        if (!name.starts_with("momentum_buffer/")) weights[name] = tensor;
      recording.model_.load(weights);
      recording.optimizer_.load(before);
      recording.forward_and_backward();
      recording.update();
      const Weights found = recording.model_.weights();
      for (const auto& [name, wanted] : part(step, "")) {
        if (name.starts_with("momentum_buffer/")) continue;
        EXPECT_LE(testing::largest_difference(found.at(name), wanted), 1e-4) << name;
      }
      for (const auto& [name, wanted] : part(step, "momentum_buffer/"))
        EXPECT_LE(relative_difference(recording.optimizer_.state().tensors.at("momentum/" + name), wanted),
                  1e-3)
            << name;
      ++steps_compared;
    }
  });
  EXPECT_TRUE(steps_compared > 0 || testing::golden_parts("yolov8/train").empty());
}

}  // namespace
}  // namespace marrow
