#include "marrow/train/step/flat_optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "small_run.h"
#include "support/largest_difference.h"
#include "support/message_of.h"

namespace marrow::train {
namespace {

using testing::graph_with_all_roles;
using testing::message_of;
using testing::set_gradients;

TEST(FlatOptimizer, GivesTheSameBytesForAnyNumberOfThreads) {
  for (const OptimizerKind kind : kAllKinds) {
    SCOPED_TRACE(static_cast<int>(kind));
    SmallRun one(kind);
    one.steps(0, 5);
    for (const int threads : {2, 3, 7}) {
      SmallRun several(kind, threads);
      several.steps(0, 5);
      expect_same_bytes(several.parameters.all_weights(), one.parameters.all_weights());
      expect_same_bytes(several.parameters.all_average(), one.parameters.all_average());
      set_gradients(one.parameters, 5);
      set_gradients(several.parameters, 5);
      EXPECT_EQ(several.optimizer.clip_gradients(1, 0.7, several.pool),
                one.optimizer.clip_gradients(1, 0.7, one.pool));
      one.parameters.drop_gradients();
    }
  }
}

TEST(FlatOptimizer, FindsTheSameNormOnAllLevels) {
  SmallRun best(OptimizerKind::kSgd);
  set_gradients(best.parameters, 5);
  const double norm = best.optimizer.clip_gradients(1e9, 0.7, best.pool);
  EXPECT_GT(norm, 0);
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    SmallRun other(OptimizerKind::kSgd, 1, graph_with_all_roles(), {"fc."}, level);
    set_gradients(other.parameters, 5);
    EXPECT_EQ(other.optimizer.clip_gradients(1e9, 0.7, other.pool), norm) << cpu::simd_name(level);
  }
}

TEST(FlatOptimizer, GoesOnToTheBitFromASavedState) {
  for (const OptimizerKind kind : kAllKinds) {
    SCOPED_TRACE(static_cast<int>(kind));
    SmallRun straight(kind), first(kind), second(kind);
    straight.steps(0, 9);
    first.steps(0, 4);
    second.steps(0, 2);  // and is to forget it
    second.parameters.load(first.parameters.weights(), first.parameters.average());
    second.optimizer.load(first.optimizer.state());
    second.steps(4, 9);
    expect_same_bytes(second.parameters.all_weights(), straight.parameters.all_weights());
    expect_same_bytes(second.parameters.all_average(), straight.parameters.all_average());
    const FlatOptimizer::State wanted = straight.optimizer.state(), state = second.optimizer.state();
    EXPECT_EQ(state.steps, 9);
    EXPECT_EQ(state.average_updates, 9);
    EXPECT_EQ(state.momentum_product, wanted.momentum_product);
    ASSERT_EQ(state.tensors.size(), wanted.tensors.size());
    for (const auto& [name, tensor] : wanted.tensors)
      expect_same_bytes(state.tensors.at(name).values(), tensor.values());
  }
}

TEST(FlatOptimizer, HoldsTheMomentsThatItsRuleHas) {
  const auto slots = [](OptimizerKind kind) {
    SmallRun run(kind);
    EXPECT_TRUE(run.optimizer.state().tensors.empty());
    set_gradients(run.parameters, 0);
    run.optimizer.update(settings_of(0), run.pool);
    std::vector<std::string> names;
    for (const auto& [name, tensor] : run.optimizer.state().tensors) names.push_back(name);
    return names;
  };
  std::vector<std::string> first, second;
  for (const char* name : {"bn.bias", "bn.weight", "conv.bias", "conv.weight", "wide.weight"}) {
    first.push_back(std::string("momentum/") + name);
    second.push_back(std::string("variance/") + name);
  }
  EXPECT_EQ(slots(OptimizerKind::kSgd), first);
  std::vector<std::string> both = first;
  both.insert(both.end(), second.begin(), second.end());
  EXPECT_EQ(slots(OptimizerKind::kAdam), both);
  first.insert(first.end(), {"variance/conv.weight", "variance/wide.weight"});
  EXPECT_EQ(slots(OptimizerKind::kMuSgd), first);
}

TEST(FlatOptimizer, KeepsMomentsOfWhatIsNotTrainedNow) {
  SmallRun run(OptimizerKind::kSgd);
  const FlatOptimizer::State given = {
      {{"momentum/fc.bias", Tensor::from({7}, std::vector<float>(7, 2.5F))},
       {"momentum/conv.bias", Tensor::from({5}, std::vector<float>(5, 0.5F))}},
      3};
  run.optimizer.load(given);
  run.steps(0, 1);
  const FlatOptimizer::State state = run.optimizer.state();
  EXPECT_EQ(state.steps, 4);
  EXPECT_EQ(state.tensors.at("momentum/fc.bias").values()[6], 2.5F);
  EXPECT_NE(state.tensors.at("momentum/conv.bias").values()[0], 0.5F);
}

TEST(FlatOptimizer, RefusesAForeignStateAndKeepsItsOwn) {
  SmallRun run(OptimizerKind::kAdam);
  run.steps(0, 1);
  const auto message = [&](const char* name, Tensor tensor) {
    return message_of([&] { run.optimizer.load({{{name, std::move(tensor)}}, 5}); }, ErrorKind::kModel);
  };
  EXPECT_EQ(message("momentum/elsewhere.weight", Tensor({4})),
            "optimizer tensor 'momentum/elsewhere.weight' belongs to no parameter of the model");
  EXPECT_EQ(message("nonsense/conv.bias", Tensor({5})),
            "optimizer tensor 'nonsense/conv.bias' belongs to no parameter of the model");
  EXPECT_EQ(message("momentum/bn.running_mean", Tensor({5})),
            "optimizer tensor 'momentum/bn.running_mean' belongs to no parameter of the model");
  EXPECT_EQ(message("momentum/conv.bias", Tensor({6})),
            "optimizer tensor 'momentum/conv.bias' is (6); the model wants float32 (5)");
  EXPECT_EQ(message("variance/conv.bias", Tensor({5}, DType::kFloat64)),
            "optimizer tensor 'variance/conv.bias' is (5); the model wants float32 (5)");
  EXPECT_EQ(run.optimizer.state().steps, 1);
  EXPECT_EQ(run.optimizer.state().tensors.size(), 10U);

  std::vector<ParameterGroup> groups = {{"weight", 0, 1, {"conv.weights"}}};
  EXPECT_EQ(message_of([&] { FlatOptimizer(run.parameters, groups, OptimizerKind::kSgd, kBeta1); },
                       ErrorKind::kModel),
            "the model has no parameter 'conv.weights'. Did you mean 'conv.weight'?");
}

TEST(FlatOptimizer, LeavesParametersWithoutGradientToTheAverageAlone) {
  for (const OptimizerKind kind : kAllKinds) {
    SCOPED_TRACE(static_cast<int>(kind));
    SmallRun run(kind);
    run.steps(0, 1);
    const Weights before = run.parameters.weights(), average = run.parameters.average();
    // Stale gradients are in the buffers.
    run.parameters.set_has_gradient("conv.bias");
    run.optimizer.update(settings_of(1), run.pool);
    const Weights after = run.parameters.weights();
    const double share = 1 - 0.9999 * (1 - std::exp(-2.0 / 2000));
    for (const auto& [name, tensor] : after) {
      SCOPED_TRACE(name);
      const double moved = testing::largest_difference(tensor, before.at(name));
      if (name == "conv.bias")
        EXPECT_GT(moved, 1e-4);
      else
        EXPECT_EQ(moved, 0);
      if (name == "bn.num_batches_tracked") continue;
      const double w = tensor.values()[0], old = average.at(name).values()[0];
      EXPECT_NEAR(run.parameters.average().at(name).values()[0], old + share * (w - old), 2e-7);
    }
    EXPECT_EQ(run.optimizer.state().average_updates, 2);
  }
}

TEST(FlatOptimizer, AveragesWhatIsTrainedAndCopiesTheRest) {
  SmallRun run(OptimizerKind::kSgd);
  const Graph graph = graph_with_all_roles();
  const Weights before = run.parameters.average();
  run.optimizer.load({{}, 0, 1, 1999});
  run.parameters.value("slope")[0] = 0.75F;
  run.parameters.counter("bn.num_batches_tracked") = 7;
  set_gradients(run.parameters, 0);
  run.optimizer.update(settings_of(0), run.pool);
  EXPECT_EQ(run.optimizer.state().average_updates, 2000);
  const double keep = 0.9999 * (1 - std::exp(-1.0));
  const Weights weights = run.parameters.weights(), average = run.parameters.average();
  for (const char* name :
       {"conv.weight", "conv.bias", "bn.weight", "bn.running_var", "wide.weight", "fc.weight"})
    for (size_t i = 0; i < static_cast<size_t>(weights.at(name).size()); ++i)
      ASSERT_NEAR(average.at(name).values()[i],
                  keep * before.at(name).values()[i] + (1 - keep) * weights.at(name).values()[i], 2e-7)
          << name << ' ' << i;
  for (const char* name : {"slope", "bins", "edge.pad.weight"})
    EXPECT_EQ(testing::largest_difference(average.at(name), weights.at(name)), 0) << name;
  EXPECT_EQ(average.at("bn.num_batches_tracked").values<int64_t>()[0], 0);
}

TEST(FlatOptimizer, LeavesTheRoomBetweenParametersZero) {
  for (const OptimizerKind kind : kAllKinds) {
    SCOPED_TRACE(static_cast<int>(kind));
    SmallRun run(kind);
    run.steps(0, 3);
    int64_t gaps = 0;
    for (const FlatParameters::Entry& entry : run.parameters.entries())
      for (int64_t i = entry.begin + entry.size; i < entry.end(); ++i, ++gaps) {
        EXPECT_EQ(run.parameters.all_weights()[static_cast<size_t>(i)], 0) << entry.name;
        EXPECT_EQ(run.parameters.all_average()[static_cast<size_t>(i)], 0) << entry.name;
      }
    EXPECT_GT(gaps, 0);
  }
}

TEST(FlatOptimizer, ClipsTheGlobalNorm) {
  SmallRun run(OptimizerKind::kSgd);
  EXPECT_EQ(run.optimizer.clip_gradients(1, 1, run.pool), 0);
  set_gradients(run.parameters, 0);
  double squares = 0;
  for (const FlatParameters::Entry& entry : run.parameters.entries())
    if (entry.trained)
      for (const double g : run.parameters.gradient(entry.name)) squares += g * g;
  const double norm = std::sqrt(squares);
  EXPECT_NEAR(run.optimizer.clip_gradients(2 * norm, 1, run.pool), norm, 1e-12 * norm);
  EXPECT_EQ(run.parameters.gradient_scale(), 1);
  EXPECT_NEAR(run.optimizer.clip_gradients(norm / 4, 1, run.pool), norm, 1e-12 * norm);
  EXPECT_NEAR(run.parameters.gradient_scale(), 0.25, 1e-7);
  // What was scaled down, by another half: two roundings of every number.
  EXPECT_NEAR(run.optimizer.clip_gradients(1e9, 0.5, run.pool), norm / 8, 1e-7 * norm);
  EXPECT_EQ(run.parameters.gradient_scale(), 1);
  run.parameters.drop_gradients();

  run.parameters.gradient("conv.bias")[1] = std::numeric_limits<float>::infinity();
  run.parameters.set_has_gradient("conv.bias");
  EXPECT_FALSE(std::isfinite(run.optimizer.clip_gradients(1, 1, run.pool)));
}

TEST(FlatOptimizer, StepsByTheClippedGradients) {
  Graph graph;
  graph.parameters = {{"w", {2}, ParameterRole::kWeight, Init::constant(0)}};
  SmallRun run(OptimizerKind::kSgd, 1, graph, {});
  run.parameters.load(initialize(graph, 1), initialize(graph, 1));
  run.parameters.gradient("w")[0] = 30;
  run.parameters.gradient("w")[1] = -40;
  run.parameters.set_has_gradient("w");
  EXPECT_EQ(run.optimizer.clip_gradients(10, 1, run.pool), 50);
  run.optimizer.update({.bias_lr = 0, .lr = 0.5, .momentum = 0.25}, run.pool);
  // -lr (1 + momentum) g, g = (6, -8)
  EXPECT_NEAR(run.parameters.value("w")[0], -3.75, 1e-6);
  EXPECT_NEAR(run.parameters.value("w")[1], 5, 1e-6);
  EXPECT_EQ(run.parameters.gradient_scale(), 1);  // used up
  EXPECT_EQ(run.optimizer.clip_gradients(10, 1, run.pool), 0);
}

}  // namespace
}  // namespace marrow::train
