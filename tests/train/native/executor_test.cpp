// The executor behind the trainer's interface: batches of boxes and of classes, steps, state.
#include "marrow/graph/reference/executor.h"

#include "small_training.h"

namespace marrow::testing {
namespace {

using train::ExecutorSettings;
using train::ExecutorState;
using train::TrainingBatch;

// Two batches of different shapes an update.
void train_some(train::TrainingExecutor& executor, int first, int last) {
  for (int step = first; step < last; ++step) {
    const auto seed = static_cast<uint64_t>(step);
    executor.accumulate(boxes(64, 96, seed), {.seed = 4, .epoch = 0, .position = 4 * step});
    executor.accumulate(boxes(96, 64, seed + 100), {.seed = 4, .epoch = 0, .position = 4 * step + 2});
    EXPECT_TRUE(std::isfinite(executor.clip_gradients(10, 1)));
    executor.update(kRates);
  }
}

TEST(NativeExecutor, GoesOnFromItsStateToTheSameBytes) {
  const Graph graph = detector();
  for (const auto kind : {train::OptimizerKind::kSgd, train::OptimizerKind::kAdamW}) {
    const ExecutorSettings settings = settings_of(graph, loss::DetectionLossOptions(), kind);
    const auto whole = train::make_native_executor(graph, start_of(graph), settings);
    train_some(*whole, 0, 4);
    for (const int threads : {1, 3, 7}) {
      ExecutorSettings other = settings;
      other.threads = threads;
      const auto first = train::make_native_executor(graph, start_of(graph), other);
      train_some(*first, 0, 2);
      const auto second = train::make_native_executor(graph, first->state(), settings);
      train_some(*second, 2, 4);
      expect_same_bytes(second->state(), whole->state());
    }
  }
}

TEST(NativeExecutor, AddsTheGradientsOfSeveralBatches) {
  const Graph graph = detector();
  const auto executor = executor_of_boxes(graph);
  const TrainingBatch a = boxes(64, 96, 1), b = boxes(64, 64, 2);
  executor->accumulate(a, {});
  const Weights of_a = executor->gradients();
  executor->accumulate(b, {});
  const Weights of_both = executor->gradients();
  executor->drop_gradients();
  EXPECT_TRUE(executor->gradients().empty());
  executor->accumulate(b, {});
  const Weights of_b = executor->gradients();
  EXPECT_EQ(of_a.size(), of_both.size());
  for (const auto& [name, both] : of_both)
    for (size_t i = 0; i < static_cast<size_t>(both.size()); ++i)
      ASSERT_NEAR(both.values()[i], of_a.at(name).values()[i] + of_b.at(name).values()[i],
                  1e-5 * (1 + std::abs(both.values()[i])))
          << name;
}

TEST(NativeExecutor, ScalesGradientsAndNotTheTermsThatAreShown) {
  const Graph graph = detector();
  const auto executor = executor_of_boxes(graph);
  const std::vector<double> terms = executor->accumulate(boxes(64, 64, 1), {});
  const double norm = executor->clip_gradients(1e9, 1);
  executor->drop_gradients();
  EXPECT_EQ(executor->accumulate(boxes(64, 64, 1), {}, 1024), terms);
  EXPECT_NEAR(executor->clip_gradients(1e9, 1), 1024 * norm, 1e-4 * 1024 * norm);
}

TEST(NativeExecutor, TheAverageIsEvaluatedAsTheReferenceDoes) {
  const Graph graph = detector();
  const auto executor = executor_of_boxes(graph);
  train_some(*executor, 0, 2);
  const Value output = graph.find("output0");
  const TrainingBatch batch = boxes(64, 96, 3);
  const auto found = executor->evaluate_average(batch, std::span(&output, 1));
  Tensor images(batch.images.shape());
  for (size_t i = 0; i < images.values().size(); ++i)
    images.values()[i] = static_cast<float>(batch.images.values<uint8_t>()[i]) / 255;
  const Tensor wanted =
      reference::run_reference(graph, executor->state().average, images, std::span(&output, 1))[0];
  EXPECT_LE(relative_difference(found.outputs.at(0), wanted), 1e-4);
  EXPECT_EQ(found.losses.size(), 3u);
  // Another step gives another average.
  train_some(*executor, 2, 3);
  EXPECT_GT(relative_difference(executor->evaluate_average(batch, std::span(&output, 1)).outputs[0], wanted),
            1e-4);
}

TEST(NativeExecutor, LearnsTheClassesOfABatch) {
  const Graph graph = classifier();
  const auto executor = train::make_native_executor(graph, start_of(graph),
                                                    settings_of(graph, train::ClassificationObjective()));
  TrainingBatch batch;
  batch.images = noise({6, 3, 20, 20}, 3);
  batch.targets = Tensor({6, 5});
  for (size_t i = 0; i < 6; ++i) batch.targets.values()[5 * i + i % 5] = 1;
  double first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    last = executor->accumulate(batch, {.seed = 1, .epoch = step, .position = 0}).at(0);
    if (step == 0) first = last;
    executor->clip_gradients(10, 1);
    executor->update({.bias_lr = 0.1, .lr = 0.1, .momentum = 0.9, .accumulate = 1});
  }
  EXPECT_LT(last, first / 2);
}

TEST(NativeExecutor, SaysWhatIsNotFinite) {
  const Graph graph = detector();
  ExecutorState start = start_of(graph);
  const auto executor =
      train::make_native_executor(graph, start, settings_of(graph, loss::DetectionLossOptions()));
  TrainingBatch batch = boxes(64, 64, 1);
  EXPECT_EQ(executor->first_non_finite(batch, {}), "");
  batch.images = noise({2, 3, 64, 64}, 1);
  batch.images.values()[7] = NAN;
  EXPECT_EQ(executor->first_non_finite(batch, {}), "the input");
  EXPECT_FALSE(std::isfinite(executor->accumulate(batch, {}).at(0)));
  // Nothing was added: what there was stays.
  EXPECT_EQ(executor->non_finite_gradient(), "");
  start.weights["p8.conv.weight"] = start.weights.at("p8.conv.weight").clone();
  start.weights.at("p8.conv.weight").values()[3] = INFINITY;
  executor->load(start);
  EXPECT_EQ(executor->first_non_finite(boxes(64, 64, 1), {}), "parameter 'p8.conv.weight'");
  EXPECT_EQ(executor->non_finite_parameter(), "p8.conv.weight");
}

TEST(NativeExecutor, RefusesWhatDoesNotFit) {
  const Graph graph = detector();
  ExecutorSettings settings = settings_of(graph, loss::DetectionLossOptions());
  const auto executor = train::make_native_executor(graph, start_of(graph), settings);
  TrainingBatch batch = boxes(64, 64, 1);
  batch.targets.values()[1] = kClasses;
  EXPECT_THROW(executor->accumulate(batch, {}), Error);
  batch = boxes(64, 64, 1);
  batch.images = Tensor({2, 4, 64, 64}, DType::kUInt8);
  EXPECT_THROW(executor->accumulate(batch, {}), Error);
  settings.device = "cuda";
  EXPECT_THROW(train::make_native_executor(graph, start_of(graph), settings), Error);
  settings.device = "cpu";
  settings.frozen = {"no such layer"};
  EXPECT_THROW(train::make_native_executor(graph, start_of(graph), settings), Error);
}

}  // namespace
}  // namespace marrow::testing
