// Several workers, each with a part of every batch, compute what one would of all of it.
#include "marrow/train/step/workers.h"

#include <gtest/gtest.h>

#include <functional>

#include "small_training.h"
#include "support/expect_near.h"
#include "support/thread_transport.h"

namespace marrow::testing {
namespace {

using train::ExecutorState;
using train::TrainingBatch;
using train::TrainingExecutor;
using train::Workers;
using train::WorkerSettings;
using Then = TrainingExecutor::Then;

constexpr int64_t kSide = 64;

// `images` pictures, each with one or two objects, and one that has none.
TrainingBatch drawn_boxes(int64_t images, uint64_t seed) {
  TrainingBatch batch;
  batch.images = Tensor({images, 3, kSide, kSide}, DType::kUInt8);
  Random random(seed, "pixels");
  for (uint8_t& pixel : batch.images.values<uint8_t>()) pixel = static_cast<uint8_t>(random.below(256));
  std::vector<float> rows;
  for (int64_t image = 0; image < images; ++image)
    for (int64_t object = 0; object < (image + 1) % 3; ++object) {
      const auto number = [&](double from, double to) {
        return static_cast<float>(from + (to - from) * random.uniform());
      };
      rows.insert(rows.end(), {static_cast<float>(image), static_cast<float>(random.below(kClasses)),
                               number(0.3, 0.7), number(0.3, 0.7), number(0.2, 0.5), number(0.2, 0.5)});
    }
  batch.targets = Tensor::from({static_cast<int64_t>(rows.size()) / 6, 6}, rows);
  return batch;
}

TrainingBatch drawn_classes(int64_t images, uint64_t seed) {
  TrainingBatch batch = drawn_boxes(images, seed);
  batch.targets = Tensor({images, 5});
  for (int64_t image = 0; image < images; ++image)
    batch.targets.values()[static_cast<size_t>(5 * image + image % 5)] = 1;
  return batch;
}

Tensor image_rows(const Tensor& tensor, int64_t begin, int64_t count) {
  Shape shape = tensor.shape();
  const auto row = tensor.byte_size() / static_cast<size_t>(shape[0]);
  shape[0] = count;
  Tensor part(shape, tensor.dtype());
  std::copy_n(tensor.bytes() + static_cast<size_t>(begin) * row, static_cast<size_t>(count) * row,
              part.bytes());
  return part;
}

TrainingBatch part_of(const TrainingBatch& batch, int64_t begin, int64_t count, bool classifies) {
  TrainingBatch part;
  part.is_part = true;
  part.images = image_rows(batch.images, begin, count);
  if (classifies) {
    part.targets = image_rows(batch.targets, begin, count);
    return part;
  }
  std::vector<float> rows;
  for (int64_t i = 0; i < batch.targets.dim(0); ++i) {
    const auto row = batch.targets.values().subspan(static_cast<size_t>(6 * i), 6);
    if (row[0] < static_cast<float>(begin) || row[0] >= static_cast<float>(begin + count)) continue;
    rows.insert(rows.end(), row.begin(), row.end());
    rows[rows.size() - 6] -= static_cast<float>(begin);
  }
  part.targets = Tensor::from({static_cast<int64_t>(rows.size()) / 6, 6}, rows);
  return part;
}

struct Trained {
  ExecutorState state;
  std::vector<double> terms;   // of all batches
  std::vector<double> losses;  // of an evaluation
};

struct Case {
  Graph graph = detector();
  train::Objective objective = loss::DetectionLossOptions();
  int64_t batch = 4;  // images
  std::vector<std::string> frozen = {};
  WorkerSettings workers = {};

  bool classifies() const { return std::holds_alternative<train::ClassificationObjective>(objective); }
  TrainingBatch drawn(uint64_t seed) const {
    return classifies() ? drawn_classes(batch, seed) : drawn_boxes(batch, seed);
  }
};

// Ten steps of two batches each, by one worker of several or alone.
Trained train_part(const Case& about, distributed::Communicator* communicator) {
  std::optional<Workers> workers;
  if (communicator != nullptr) workers.emplace(*communicator, about.workers);
  train::ExecutorSettings settings = settings_of(about.graph, about.objective);
  settings.frozen = about.frozen;
  settings.threads = 1;
  settings.workers = workers ? &*workers : nullptr;
  const auto executor = train::make_native_executor(about.graph, start_of(about.graph), settings);
  const int64_t rank = communicator == nullptr ? 0 : communicator->rank();
  const int64_t size = communicator == nullptr ? 1 : communicator->size();
  const int64_t begin = about.batch * rank / size, count = about.batch * (rank + 1) / size - begin;
  Trained trained;
  for (int64_t number = 0; number < 20; ++number) {
    TrainingBatch batch = about.drawn(static_cast<uint64_t>(number));
    if (communicator != nullptr) batch = part_of(batch, begin, count, about.classifies());
    const TrainingPlace place = {.seed = 4, .epoch = 0, .position = number * about.batch + begin};
    const bool steps = number % 2 == 1;
    for (const double term : executor->accumulate(batch, place, 1, steps ? Then::kUpdate : Then::kAccumulate))
      trained.terms.push_back(term);
    if (!steps) continue;
    EXPECT_TRUE(std::isfinite(executor->clip_gradients(10, 1)));
    executor->update(kRates);
  }
  TrainingBatch last = about.drawn(99);
  if (communicator != nullptr) last = part_of(last, begin, count, about.classifies());
  const Value output = about.graph.find(about.classifies() ? "logits" : "output0");
  const auto evaluation = executor->evaluate_average(last, std::span(&output, 1));
  EXPECT_EQ(evaluation.all_images, about.batch);
  trained.losses = evaluation.losses;
  trained.state = executor->state();
  return trained;
}

// Each number of workers gives what one gives, and the same bytes on all of them.
void expect_as_one(const Case& about, std::initializer_list<int> sizes, double tolerance = 1e-4) {
  const Trained one = train_part(about, nullptr);
  for (const int size : sizes) {
    std::vector<Trained> all(static_cast<size_t>(size));
    const std::vector<std::string> errors = run_workers(size, [&](distributed::Communicator& communicator) {
      all[static_cast<size_t>(communicator.rank())] = train_part(about, &communicator);
    });
    for (const std::string& error : errors) ASSERT_EQ(error, "");
    for (size_t i = 0; i < one.terms.size(); ++i)
      EXPECT_NEAR(all[0].terms[i], one.terms[i], tolerance * (1 + std::abs(one.terms[i]))) << i;
    for (size_t i = 0; i < one.losses.size(); ++i)
      EXPECT_NEAR(all[0].losses[i], one.losses[i], tolerance * (1 + std::abs(one.losses[i])));
    expect_near(all[0].state.weights, one.state.weights, tolerance);
    expect_near(all[0].state.average, one.state.average, tolerance);
    expect_near(all[0].state.optimizer, one.state.optimizer, tolerance);
    for (const Trained& other : all) {
      expect_same_bytes(other.state, all[0].state);
      EXPECT_EQ(other.terms, all[0].terms);
    }
  }
}

TEST(NativeWorkers, TrainADetectorAsOneDoes) {
  expect_as_one({}, {2, 4});
}

TEST(NativeWorkers, SharesMayBeUnevenOrEmpty) {
  expect_as_one({}, {3, 5});
}

TEST(NativeWorkers, TrainAClassifierAsOneDoes) {
  expect_as_one({.graph = classifier(), .objective = train::ClassificationObjective(), .batch = 6},
                {2, 4, 7});
}

TEST(NativeWorkers, FrozenLayersStayAsTheyAre) {
  expect_as_one({.frozen = {"stem."}}, {2});
}

TEST(NativeWorkers, RoundedGradientsAreNear) {
  expect_as_one({.workers = {.travel = distributed::Travel::kBfloat16}}, {2}, 2e-2);
}

// Each worker normalises by its own images, as one worker with a smaller batch does; all have the same
// weights.
TEST(NativeWorkers, WithoutSynchronisedNormsTheyStayTogether) {
  const Case about = {.workers = {.sync_batch_norm = false}};
  std::vector<Trained> all(2);
  for (const std::string& error : run_workers(2, [&](distributed::Communicator& communicator) {
         all[static_cast<size_t>(communicator.rank())] = train_part(about, &communicator);
       }))
    ASSERT_EQ(error, "");
  expect_same_bytes(all[0].state, all[1].state);
  EXPECT_FALSE(same_bytes(all[0].state.weights.at("stem.conv.weight"),
                          train_part(about, nullptr).state.weights.at("stem.conv.weight")));
}

TEST(NativeWorkers, TheFirstOnesStateIsEveryones) {
  const Graph graph = detector();
  std::vector<ExecutorState> all(3);
  for (const std::string& error : run_workers(3, [&](distributed::Communicator& communicator) {
         Workers workers(communicator, {});
         train::ExecutorSettings settings = settings_of(graph, loss::DetectionLossOptions());
         settings.workers = &workers;
         const auto seed = static_cast<uint64_t>(communicator.rank());
         const auto executor = train::make_native_executor(
             graph, {.weights = randomize(graph, seed), .average = randomize(graph, seed)}, settings);
         all[seed] = executor->state();
       }))
    ASSERT_EQ(error, "");
  for (const ExecutorState& other : all) expect_same_bytes(other, all[0]);
}

TEST(NativeWorkers, AnotherStateOfTheOptimizerIsNamed) {
  const Graph graph = detector();
  const std::vector<std::string> errors = run_workers(3, [&](distributed::Communicator& communicator) {
    Workers workers(communicator, {});
    train::ExecutorSettings settings = settings_of(graph, loss::DetectionLossOptions());
    settings.workers = &workers;
    ExecutorState start = start_of(graph);
    start.optimizer_steps = communicator.rank() == 2 ? 1 : 0;
    train::make_native_executor(graph, start, settings);
  });
  for (const std::string& error : errors)
    EXPECT_EQ(error.find("rank 2 of 3 (thread 2) has other weights or another state of the optimizer"), 0U)
        << error;
}

// A batch whose loss is not finite on one worker is of no use to any.
TEST(NativeWorkers, ALossThatIsNotFiniteIsSeenByAll) {
  const Graph graph = detector();
  std::vector<double> terms(2);
  for (const std::string& error : run_workers(2, [&](distributed::Communicator& communicator) {
         Workers workers(communicator, {});
         train::ExecutorSettings settings = settings_of(graph, loss::DetectionLossOptions());
         settings.workers = &workers;
         const auto executor = train::make_native_executor(graph, start_of(graph), settings);
         TrainingBatch batch = part_of(drawn_boxes(2, 1), communicator.rank(), 1, false);
         if (communicator.rank() == 1) {
           batch.images = batch.images.to_float();
           batch.images.values()[5] = NAN;
         }
         terms[static_cast<size_t>(communicator.rank())] = executor->accumulate(batch, {}).front();
         const std::string found = executor->first_non_finite(batch, {});
         EXPECT_FALSE(found.empty());
         EXPECT_EQ(found == "the input", communicator.rank() == 1) << found;
       }))
    EXPECT_EQ(error, "");
  for (const double term : terms) EXPECT_TRUE(std::isnan(term));
}

}  // namespace
}  // namespace marrow::testing
