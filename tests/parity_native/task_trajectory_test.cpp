// Ten steps of training on masks, keypoints and turned boxes, and four of end-to-end heads, through the
// interface that the trainer uses, against golden/tasks/train and golden/compat/train.
#include <gtest/gtest.h>

#include <cmath>

#include "marrow/model/import.h"
#include "marrow/train/native/native_executor.h"
#include "support/recorded_runs.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// golden/tasks/README.md, "train".
struct TaskTolerance {
  double losses = 1e-4;  // relative
  double weights = 2e-4;
};

class RecordedTaskRun {
 public:
  explicit RecordedTaskRun(const fs::path& description)
      : stem_((description.parent_path() / description.stem()).string()),
        run_(testing::read_json(description)),
        graph_(model::build_model(model::parse_model_spec(run_.at("model_yaml").dump(), description.string()))
                   .graph),
        start_(model::load_trained(description.parent_path() / run_.at("init_from").get<std::string>())
                   .weights) {
    const Weights data = file("data");
    batch_.images = data.at("images_u8");
    batch_.targets = testing::target_rows(data.at("batch_idx"), data.at("cls"), data.at("bboxes"));
    if (data.contains("masks")) batch_.masks = data.at("masks");
    if (data.contains("keypoints")) batch_.keypoints = data.at("keypoints");
    if (run_.at("hyp").contains("overlap_mask")) batch_.overlapping = run_.at("hyp").at("overlap_mask");
  }

  std::unique_ptr<train::TrainingExecutor> executor() const {
    train::ExecutorSettings settings;
    settings.objective = objective();
    settings.optimizer = testing::optimizer_kind(run_.at("optimizer"));
    settings.groups =
        train::parameter_groups(graph_, run_.at("weight_decay_group1"), settings.optimizer, Rules::k84);
    return train::make_native_executor(graph_, {.weights = start_, .average = start_}, settings);
  }
  double update(train::TrainingExecutor& executor) const {
    const double norm = executor.clip_gradients(run_.at("clip_norm"), 1);
    const double lr = run_.at("lr");
    executor.update({lr, lr, run_.at("momentum"), 1});
    return norm;
  }
  TaskTolerance tolerance() const { return task() == "obb" ? TaskTolerance{1e-3, 1e-3} : TaskTolerance{}; }
  // The recorded run is one of float32, and its own loss is this far, relative, from the same run's in
  // double. A norm of gradients, which follow the weights more steeply, is up to ten times as far.
  double rounding_of_norm(size_t step) const {
    return 10 * run_.at("rounding_reference").at("per_step_loss_rel_fp32_vs_fp64").at(step).get<double>();
  }
  std::string task() const { return run_.at("task"); }
  const json& description() const { return run_; }
  const train::TrainingBatch& batch() const { return batch_; }
  const Graph& graph() const { return graph_; }
  Weights file(const std::string& part) const {
    return weights::read_safetensors(stem_ + "_" + part + ".safetensors").tensors;
  }

 private:
  train::Objective objective() const {
    const json& gains = run_.at("hyp");
    const loss::DetectionLossOptions detection = {.box_gain = gains.at("box"),
                                                  .class_gain = gains.at("cls"),
                                                  .dfl_gain = gains.at("dfl"),
                                                  .rules = Rules::k84};
    if (task() == "segment") return train::SegmentObjective{detection};
    if (task() == "pose")
      return loss::PoseLossOptions{
          .detection = detection, .pose_gain = gains.at("pose"), .visibility_gain = gains.at("kobj")};
    return loss::TurnedLossOptions{.detection = detection, .angle_gain = gains.at("angle")};
  }

  std::string stem_;
  json run_;
  Graph graph_;
  Weights start_;
  train::TrainingBatch batch_;
};

double norm_of(const Tensor& tensor) {
  double squares = 0;
  for (const float x : tensor.values()) squares += double{x} * double{x};
  return std::sqrt(squares);
}

TEST(parity_native_tasks, RunsFollowTheRecordedTrajectory) {
  const auto descriptions = testing::golden_files("tasks/train", {".json"});
  MARROW_NEEDS_GOLDEN(descriptions, "tasks/train");
  for (const fs::path& description : descriptions) {
    SCOPED_TRACE(description.string());
    const RecordedTaskRun run(description);
    const TaskTolerance tolerance = run.tolerance();
    const auto executor = run.executor();
    const json& steps = run.description().at("steps");
    for (size_t i = 0; i < steps.size(); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      const auto near = [&](double found, double wanted, const std::string& what, double rounding = 0) {
        EXPECT_NEAR(found, wanted, (tolerance.losses + rounding) * std::abs(wanted)) << what;
      };
      const std::vector<double> terms = executor->accumulate(run.batch(), {});
      // In the order of the loss, which the file's keys keep.
      const auto items =
          nlohmann::ordered_json::parse(std::ifstream(description)).at("steps")[i].at("loss_items");
      ASSERT_EQ(terms.size(), items.size());
      double sum = 0;
      size_t k = 0;
      for (const auto& [name, wanted] : items.items()) near(terms[k++], wanted.get<double>(), name);
      for (const double term : terms) sum += term;
      near(sum * static_cast<double>(run.batch().images.dim(0)), steps[i].at("loss_sum_x_batch"), "sum");
      if (i == 0) {
        const Weights gradients = executor->gradients();
        for (const auto& [name, wanted] : run.description().at("grad_norm_per_tensor_step0").items()) {
          ASSERT_TRUE(gradients.contains(name)) << name;
          EXPECT_NEAR(norm_of(gradients.at(name)), wanted.get<double>(),
                      1e-4 + 10 * tolerance.losses * wanted.get<double>())
              << name;
        }
      }
      near(run.update(*executor), steps[i].at("grad_norm_before_clip"), "gradient norm",
           run.rounding_of_norm(i));
    }
    const train::ExecutorState state = executor->state();
    testing::expect_weights(state.weights, run.file("final"), tolerance.weights);
    for (const auto& [name, wanted] : run.description().at("ema_abs_sum_per_tensor").items()) {
      double sum = 0;
      for (const float x : state.average.at(name).to_float().values()) sum += std::abs(double{x});
      EXPECT_NEAR(sum, wanted.get<double>(), tolerance.weights * (1 + std::abs(wanted.get<double>())))
          << name;
    }
  }
}

// As dual_training_test.cpp has them, which computes the two branches in programs of their own.
TEST(parity_native_tasks, EndToEndHeadsTrainThroughTheExecutor) {
  std::vector<fs::path> descriptions = testing::golden_files("compat/train", {".json"});
  std::erase_if(descriptions,
                [](const fs::path& path) { return !testing::read_json(path).contains("model_yaml"); });
  MARROW_NEEDS_GOLDEN(descriptions, "compat/train");
  for (const fs::path& description : descriptions) {
    SCOPED_TRACE(description.string());
    const json run = testing::read_json(description);
    const auto file = [&](const std::string& name) {
      return weights::read_safetensors(description.parent_path() / (name + ".safetensors")).tensors;
    };
    const Graph graph =
        model::build_model(model::parse_model_spec(run.at("model_yaml").dump(), description.string())).graph;
    train::ExecutorSettings settings;
    settings.objective = train::DualObjective{.detection = {.box_gain = run.at("hyp").at("box"),
                                                            .class_gain = run.at("hyp").at("cls"),
                                                            .dfl_gain = run.at("hyp").at("dfl"),
                                                            .rules = Rules::k84},
                                              .epochs = run.at("hyp").at("epochs")};
    settings.optimizer = testing::optimizer_kind(run.at("optimizer"));
    settings.groups = train::parameter_groups(graph, run.at("weight_decay"), settings.optimizer, Rules::k84);
    const auto executor =
        train::make_native_executor(graph, {.weights = file("init"), .average = file("init")}, settings);
    const Weights data = file("data");
    const train::TrainingBatch batch = {
        .images = data.at("images_u8"),
        .targets = testing::target_rows(data.at("batch_idx"), data.at("cls"), data.at("bboxes"))};
    const bool exact = settings.optimizer == train::OptimizerKind::kSgd;
    const double losses[] = {1e-4, exact ? 1e-4 : 1e-3, exact ? 1e-4 : 2e-3, exact ? 1e-4 : 5e-3};
    for (size_t i = 0; i < run.at("steps").size(); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      const json& shown = run.at("steps")[i].at("loss_items(one2one, no batch factor)");
      const std::vector<double> terms = executor->accumulate(batch, {.epoch = static_cast<int64_t>(i)});
      const double wanted[] = {shown.at("box_loss"), shown.at("cls_loss"), shown.at("l1_loss")};
      const double whole = wanted[0] + wanted[1] + wanted[2];
      for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(terms.at(k), wanted[k], losses[i] * whole);
      if (i == 0) {
        const Weights gradients = executor->gradients();
        for (const auto& [name, gradient] : file("grad_step0")) {
          const auto values = gradient.values();
          const double largest =
              std::abs(*std::ranges::max_element(values, {}, [](float x) { return std::abs(x); }));
          ASSERT_TRUE(gradients.contains(name)) << name;
          EXPECT_LE(testing::largest_difference(gradients.at(name), gradient), 1e-5 + 1e-4 * largest) << name;
        }
      }
      executor->clip_gradients(run.at("clip_norm"), 1);
      const double lr = run.at("lr");
      executor->update({lr, lr, run.at("momentum"), 1});
    }
    // dual_training_test.cpp says why the last weights of SGD are held to this.
    testing::expect_weights(executor->state().weights, file(description.stem().string() + "_final"),
                            exact ? 5e-4 : 1e-2);
  }
}

}  // namespace
}  // namespace marrow
