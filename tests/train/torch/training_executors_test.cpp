// Everything that computes training steps, held to the one interface: on LibTorch, which may have CUDA, and
// on our own kernels.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "marrow/model/spec.h"
#include "marrow/train/native/native_executor.h"
#include "marrow/train/torch/torch_training_executor.h"
#include "support/graphs.h"
#include "train/tiny_classes.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

constexpr TrainingPlace kBatchPlace{.seed = 5, .epoch = 1, .position = 8};
constexpr IterationSettings kSettings{.bias_lr = 0.01, .lr = 0.01, .momentum = 0.9, .accumulate = 1};

std::unique_ptr<TrainingExecutor> make_torch(const Graph& graph, const ExecutorState& start,
                                             const ExecutorSettings& settings) {
  return std::make_unique<TorchTrainingExecutor>(graph, start, settings);
}

std::unique_ptr<TrainingExecutor> make_cuda(const Graph& graph, const ExecutorState& start,
                                            ExecutorSettings settings) {
  forbid_tf32();
  settings.device = "cuda";
  return make_torch(graph, start, settings);
}

// A small network, what it is trained for, and a batch.
struct Training {
  Graph graph;
  Objective objective;
  TrainingBatch batch;
  Value output;

  std::unique_ptr<TrainingExecutor> executor(const MakeExecutor& make) const {
    ExecutorState start;
    start.weights = start.average = initialize(graph, 1);
    return make(graph, start,
                {.objective = objective,
                 .groups = parameter_groups(graph, 5e-4, OptimizerKind::kSgd),
                 .optimizer = OptimizerKind::kSgd,
                 .threads = 1});
  }
};

Training detection() {
  const Graph graph = model::build_model(model::parse_model_spec(testing::kTinyModel, "tiny.yaml")).graph;
  const std::vector<float> rows = {0,   1,   .5F, .5F, .4F, .3F, 1,   0,   .3F,
                                   .6F, .2F, .5F, 1,   1,   .7F, .2F, .3F, .3F};
  return {graph,
          loss::DetectionLossOptions(),
          {testing::noise({3, 3, 64, 96}, 2), Tensor::from({3, 6}, rows), Tensor({0, 5})},
          graph.find("output0")};
}

Training classification() {
  const Graph graph =
      model::build_model(model::parse_model_spec(testing::kTinyClassifier, "tiny.yaml")).graph;
  const std::vector<float> targets = {1, 0, 0, 0, .25F, .75F, .1F, .9F, 0, 0, 0, 1};
  return {graph,
          ClassificationObjective(),
          {testing::noise({4, 3, 32, 32}, 3), Tensor::from({4, 3}, targets)},
          graph.find("logits")};
}

struct Named {
  const char* name;
  MakeExecutor make;
  double repeated = 0;  // the relative difference of two equal steps
};
constexpr const char* kCuda = "LibTorchOnCuda";
void PrintTo(const Named& named, std::ostream* out) {
  *out << named.name;
}

class TrainingExecutors : public ::testing::TestWithParam<Named> {
 protected:
  void SetUp() override {
    if (GetParam().name == kCuda && !torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device is here";
  }
  const Training detection_ = detection();
};

void expect_same(const Weights& found, const Weights& wanted, double difference) {
  ASSERT_EQ(found.size(), wanted.size());
  for (const auto& [name, tensor] : wanted) {
    ASSERT_TRUE(found.contains(name)) << name;
    const Tensor& other = found.at(name);
    ASSERT_EQ(other.byte_size(), tensor.byte_size()) << name;
    if (difference == 0 || tensor.dtype() != DType::kFloat32)
      EXPECT_TRUE(std::equal(tensor.bytes(), tensor.bytes() + tensor.byte_size(), other.bytes())) << name;
    else
      EXPECT_LE(relative_difference(other, tensor), difference) << name;
  }
}

// What is shown does not depend on the loss's scale, nor do steps, once gradients are scaled back.
TEST_P(TrainingExecutors, TakeBackTheLossScale) {
  const auto plain = detection_.executor(GetParam().make), scaled = detection_.executor(GetParam().make);
  const std::vector<double> found = scaled->accumulate(detection_.batch, kBatchPlace, 1024);
  const std::vector<double> wanted = plain->accumulate(detection_.batch, kBatchPlace);
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_NEAR(found[i], wanted[i], GetParam().repeated * wanted[i]);
  const double norm = plain->clip_gradients(10, 1);
  EXPECT_NEAR(scaled->clip_gradients(10, 1.0 / 1024), norm, 1e-5 * norm);
}

TEST_P(TrainingExecutors, GoOnFromTheirStateToTheSameBytes) {
  const auto first = detection_.executor(GetParam().make), second = detection_.executor(GetParam().make);
  const auto step = [&](TrainingExecutor& executor) {
    executor.accumulate(detection_.batch, kBatchPlace);
    executor.clip_gradients(10, 1);
    executor.update(kSettings);
  };
  step(*first);
  const ExecutorState between = first->state();
  EXPECT_EQ(between.optimizer_steps, 1);
  EXPECT_EQ(between.average_updates, 1);
  second->accumulate(detection_.batch, kBatchPlace);  // is dropped
  second->load(between);
  step(*first);
  step(*second);
  expect_same(second->state().weights, first->state().weights, GetParam().repeated);
  expect_same(second->state().average, first->state().average, GetParam().repeated);
  expect_same(second->state().optimizer, first->state().optimizer, GetParam().repeated);
  // A state is a copy.
  EXPECT_EQ(between.optimizer_steps, 1);
  EXPECT_NE(relative_difference(between.weights.at("model.0.conv.weight"),
                                first->state().weights.at("model.0.conv.weight")),
            0);
}

TEST_P(TrainingExecutors, NameWhatIsNotFinite) {
  const auto executor = detection_.executor(GetParam().make);
  executor->accumulate(detection_.batch, kBatchPlace);
  EXPECT_EQ(executor->first_non_finite(detection_.batch, kBatchPlace), "");
  EXPECT_EQ(executor->non_finite_parameter(), "");
  EXPECT_EQ(executor->non_finite_gradient(), "");
  executor->accumulate(detection_.batch, kBatchPlace, std::numeric_limits<double>::infinity());
  EXPECT_NE(executor->non_finite_gradient(), "");
  EXPECT_FALSE(std::isfinite(executor->clip_gradients(10, 1)));
  executor->drop_gradients();
  EXPECT_EQ(executor->non_finite_gradient(), "");

  ExecutorState state = executor->state();
  state.weights.at("model.3.conv.weight").values()[1] = std::numeric_limits<float>::quiet_NaN();
  executor->load(state);
  EXPECT_EQ(executor->non_finite_parameter(), "model.3.conv.weight");
  EXPECT_EQ(executor->first_non_finite(detection_.batch, kBatchPlace), "parameter 'model.3.conv.weight'");
  EXPECT_FALSE(std::isfinite(executor->accumulate(detection_.batch, kBatchPlace).at(0)));
}

INSTANTIATE_TEST_SUITE_P(Of, TrainingExecutors,
                         ::testing::Values(Named{"LibTorch", make_torch}, Named{kCuda, make_cuda, 1e-5},
                                           Named{"OurKernels", make_native_executor}),
                         [](const auto& info) { return info.param.name; });

// Two steps of two batches each.
TEST(OurKernels, GoTheWayOfLibTorch) {
  for (const Training& training : {detection(), classification()}) {
    const auto executor = training.executor(make_native_executor), other = training.executor(make_torch);
    for (int step = 0; step < 2; ++step) {
      for (int i = 0; i < 2; ++i) {
        const std::vector<double> losses = executor->accumulate(training.batch, kBatchPlace);
        const std::vector<double> wanted = other->accumulate(training.batch, kBatchPlace);
        ASSERT_EQ(losses.size(), wanted.size());
        for (size_t k = 0; k < losses.size(); ++k) EXPECT_NEAR(losses[k], wanted[k], 1e-4 * wanted[k]);
      }
      const double norm = executor->clip_gradients(10, 1), wanted = other->clip_gradients(10, 1);
      EXPECT_NEAR(norm, wanted, 1e-3 * wanted);
      executor->update(kSettings);
      other->update(kSettings);
    }
    const auto found = executor->evaluate_average(training.batch, std::span(&training.output, 1));
    const auto wanted = other->evaluate_average(training.batch, std::span(&training.output, 1));
    ASSERT_EQ(found.outputs.size(), 1u);
    EXPECT_LT(relative_difference(found.outputs[0], wanted.outputs[0]), 1e-3);
    ASSERT_EQ(found.losses.size(), wanted.losses.size());
    for (size_t k = 0; k < wanted.losses.size(); ++k)
      EXPECT_NEAR(found.losses[k], wanted.losses[k], 1e-3 * wanted.losses[k]);
  }
}

}  // namespace
}  // namespace marrow::train
