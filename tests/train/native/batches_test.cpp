// Batches of every kind that a loader, or a mistake, may bring: they leave nothing behind.
#include "small_training.h"

namespace marrow::testing {
namespace {

using train::TrainingBatch;
using train::TrainingExecutor;

struct TrainedStep {
  std::vector<double> terms;
  Weights gradients;
  train::ExecutorState after;
};

TrainedStep step_of(TrainingExecutor& executor, const TrainingBatch& batch) {
  TrainedStep step;
  step.terms = executor.accumulate(batch, {.seed = 2, .epoch = 1, .position = 4});
  step.gradients = executor.gradients();
  executor.clip_gradients(10, 1);
  executor.update(kRates);
  step.after = executor.state();
  return step;
}

void expect_same(const TrainedStep& found, const TrainedStep& wanted) {
  EXPECT_EQ(found.terms, wanted.terms);
  expect_same_bytes(found.gradients, wanted.gradients);
  expect_same_bytes(found.after, wanted.after);
}

// What an executor makes of a batch, whatever it met before, is what a fresh one makes.
void expect_fresh(TrainingExecutor& executor, const Graph& graph, const TrainingBatch& batch) {
  executor.load(start_of(graph));
  const TrainedStep wanted = step_of(*executor_of_boxes(graph), batch);
  expect_same(step_of(executor, batch), wanted);
  for (const double term : wanted.terms) EXPECT_TRUE(std::isfinite(term));
}

TrainingBatch images_alone(Shape shape) {
  return {.images = noise(shape, 5), .targets = Tensor({0, 6})};
}

TEST(NativeBatches, OfNoObjectsTeachTheBackground) {
  const Graph graph = detector();
  const auto executor = executor_of_boxes(graph);
  TrainingBatch batch = boxes(64, 96, 1);
  batch.targets = Tensor({0, 6});
  const TrainedStep step = step_of(*executor, batch);
  EXPECT_EQ(step.terms[0], 0);
  EXPECT_GT(step.terms[1], 0);
  EXPECT_EQ(step.terms[2], 0);
  for (const char* level : {"p8", "p16"}) {
    const std::string name = std::string(level) + ".sides.weight";
    for (const float x : step.gradients.at(name).values()) EXPECT_EQ(x, 0) << name;
  }
  for (const char* level : {"p8", "p16"}) {
    double sum = 0;
    for (const float x : step.gradients.at(std::string(level) + ".classes.bias").values()) sum += x;
    EXPECT_GT(sum, 0) << level;
  }
  expect_fresh(*executor, graph, batch);
}

TEST(NativeBatches, OfOneImageAreBatches) {
  const Graph graph = detector();
  const auto executor = executor_of_boxes(graph);
  TrainingBatch batch = boxes(64, 96, 1);
  const size_t one = batch.images.values<uint8_t>().size() / 2;
  Tensor image({1, 3, 64, 96}, DType::kUInt8);
  std::ranges::copy(batch.images.values<uint8_t>().first(one), image.values<uint8_t>().begin());
  batch.images = image;
  batch.targets = Tensor::from({2, 6}, batch.targets.values().first(12));
  expect_fresh(*executor, graph, batch);
}

// More shapes than programs are kept; all share their memory.
TEST(NativeBatches, OfAnotherSizeEachTime) {
  const Graph graph = detector();
  const auto executor = executor_of_boxes(graph);
  for (const int round : {0, 1})
    for (int64_t i = 0; i < 10; ++i) {
      SCOPED_TRACE(::testing::Message() << "round " << round << ", size " << i);
      expect_fresh(*executor, graph, boxes(32 + 16 * (i * 7 % 5), 32 + 16 * (i * 3 % 10), 3));
    }
}

// Maps of the deepest level are 1x1, of one image: its batch norms see one value a channel.
TEST(NativeBatches, OfOnePixelAtTheDeepestLevel) {
  const Graph graph = detector();
  const auto executor = executor_of_boxes(graph);
  for (const int64_t images : {1, 2})
    for (const int64_t side : {1, 16}) {
      SCOPED_TRACE(::testing::Message() << images << " images of " << side);
      TrainingBatch batch = images_alone({images, 3, side, side});
      batch.targets = Tensor::from({1, 6}, std::vector<float>{0, 1, 0.5F, 0.5F, 0.9F, 0.9F});
      expect_fresh(*executor, graph, batch);
      EXPECT_EQ(executor->non_finite_parameter(), "");
    }
}

TEST(NativeBatches, WithNaNsLeaveNothingInMemory) {
  const Graph graph = detector();
  const auto executor = executor_of_boxes(graph);
  const TrainingBatch good = boxes(64, 96, 1);
  for (const float bad : {NAN, INFINITY, 3e38F}) {
    SCOPED_TRACE(bad);
    TrainingBatch batch = images_alone({2, 3, 64, 96});
    batch.targets = good.targets;
    std::ranges::fill(batch.images.values(), bad);
    bool finite = true;
    for (const double term : executor->accumulate(batch, {})) finite &= std::isfinite(term);
    EXPECT_FALSE(finite);
    expect_fresh(*executor, graph, good);
    // Gradients overflow where the loss does not.
    executor->accumulate(good, {}, 1e300);
    EXPECT_NE(executor->non_finite_gradient(), "");
    expect_fresh(*executor, graph, good);
  }
}

TEST(NativeBatches, ThatDoNotFitChangeNothing) {
  const Graph graph = detector();
  const auto executor = executor_of_boxes(graph);
  const TrainingBatch good = boxes(64, 64, 1);
  const train::ExecutorState before = executor->state();
  const auto with_target = [&](size_t column, float value) {
    TrainingBatch batch = good;
    batch.targets = good.targets.clone();
    batch.targets.values()[column] = value;
    return batch;
  };
  const auto with_targets = [&](const Tensor& targets) {
    TrainingBatch batch = good;
    batch.targets = targets;
    return batch;
  };
  const auto with_images = [&](const Tensor& images) {
    TrainingBatch batch = good;
    batch.images = images;
    return batch;
  };
  TrainingBatch with_region = good;
  with_region.ignored = Tensor::from({1, 5}, std::vector<float>{2, 0.5F, 0.5F, 0.1F, 0.1F});
  const std::vector<std::pair<const char*, TrainingBatch>> cases = {
      {"an image that is not there", with_target(0, 2)},
      {"an image below 0", with_target(0, -1)},
      {"an image that is no number", with_target(0, NAN)},
      {"a class too many", with_target(1, kClasses)},
      {"a class below 0", with_target(1, -1)},
      {"a class that is no number", with_target(1, NAN)},
      {"an endless class", with_target(1, INFINITY)},
      {"rows too short", with_targets(Tensor({3, 5}))},
      {"no rows at all", with_targets({})},
      {"targets of integers", with_targets(Tensor({3, 6}, DType::kInt64))},
      {"a region of an image that is not there", with_region},
      {"undefined images", with_images({})},
      {"no images", with_images(Tensor({0, 3, 64, 64}))},
      {"images without rows", with_images(Tensor({2, 3, 0, 64}))},
      {"images without columns", with_images(Tensor({2, 3, 64, 0}))},
      {"four channels", with_images(Tensor({2, 4, 64, 64}))},
      {"one image without its dimension", with_images(Tensor({3, 64, 64}))},
      {"images of int64", with_images(Tensor({2, 3, 64, 64}, DType::kInt64))},
      {"images of double", with_images(Tensor({2, 3, 64, 64}, DType::kFloat64))},
  };
  for (const auto& [what, batch] : cases) {
    SCOPED_TRACE(what);
    try {
      executor->accumulate(batch, {});
      ADD_FAILURE() << "was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kShape) << error.what();
    }
    EXPECT_TRUE(executor->gradients().empty());
  }
  expect_same_bytes(executor->state(), before);
  expect_fresh(*executor, graph, good);
}

TEST(NativeBatches, OfClassesThatDoNotFitChangeNothing) {
  const Graph graph = classifier();
  const auto executor = train::make_native_executor(graph, start_of(graph),
                                                    settings_of(graph, train::ClassificationObjective()));
  const train::ExecutorState before = executor->state();
  TrainingBatch batch{.images = noise({3, 3, 20, 20}, 3), .targets = Tensor()};
  for (const Tensor& targets :
       {Tensor(), Tensor({2, 5}), Tensor({3, 4}), Tensor({15}), Tensor({3, 5}, DType::kFloat64)}) {
    batch.targets = targets;
    EXPECT_THROW(executor->accumulate(batch, {}), Error) << to_string(targets.shape());
  }
  expect_same_bytes(executor->state(), before);
}

}  // namespace
}  // namespace marrow::testing
