// Gradients are summed bucket by bucket, each as soon as the pass back has reached the last step that adds to
// it.
#include <gtest/gtest.h>

#include "marrow/train/step/workers.h"
#include "support/thread_transport.h"
#include "train/step/small_parameters.h"

namespace marrow::train {
namespace {

using distributed::Communicator;

// The steps of a program: a parameter's number is its step, but for the last one, which no step adds to.
std::vector<GradientSum::Completion> completions_of(const FlatParameters& parameters) {
  std::vector<GradientSum::Completion> completions;
  for (size_t i = 0; i < parameters.entries().size(); ++i)
    if (parameters.entries()[i].trained) completions.push_back({i, i});
  completions.pop_back();
  return completions;
}

TEST(GradientSum, AddsUpEveryGradientOnceWhateverTheBuckets) {
  const Graph graph = testing::graph_with_all_roles();
  for (const int64_t bucket : {int64_t{1}, int64_t{100}, GradientSum::kBucket})
    for (const std::string& error : testing::run_workers(3, [&](Communicator& communicator) {
           Workers workers(communicator, {});
           FlatParameters parameters(graph);
           GradientSum sum(parameters, workers, bucket);
           for (int round = 0; round < 2; ++round) {
             testing::set_gradients(parameters, 10 * round + communicator.rank());
             sum.begin(completions_of(parameters));
             for (size_t step = parameters.entries().size(); step-- > 0;) sum.reached(step);
             sum.finish();
             for (const FlatParameters::Entry& entry : parameters.entries()) {
               if (!entry.trained) continue;
               const auto size = static_cast<size_t>(entry.size);
               std::vector<float> wanted = testing::gradient_of(entry.name, size, 10 * round);
               for (const int rank : {1, 2}) {
                 const std::vector<float> more = testing::gradient_of(entry.name, size, 10 * round + rank);
                 for (size_t i = 0; i < size; ++i) wanted[i] += more[i];
               }
               const auto found = parameters.gradient(entry.name);
               EXPECT_EQ(std::vector<float>(found.begin(), found.end()), wanted) << entry.name;
             }
           }
         }))
      EXPECT_EQ(error, "");
}

// What a step may still add to must not travel.
TEST(GradientSum, ABucketWaitsForTheFirstStepOfItsParameters) {
  const Graph graph = testing::graph_with_all_roles();
  for (const std::string& error : testing::run_workers(2, [&](Communicator& communicator) {
         Workers workers(communicator, {});
         FlatParameters parameters(graph);
         GradientSum sum(parameters, workers, 1);
         std::ranges::fill(parameters.all_gradients(), 0.0F);
         const std::vector<GradientSum::Completion> completions = completions_of(parameters);
         sum.begin(completions);
         for (size_t step = parameters.entries().size(); step-- > 0;) {
           for (const auto& [entry, own] : completions)
             if (own == step) {
               const FlatParameters::Entry& one = parameters.entries()[entry];
               std::ranges::fill(parameters.gradient(one.name), 1.0F);
             }
           sum.reached(step);
         }
         sum.finish();
         for (const auto& [entry, own] : completions)
           for (const float value : parameters.gradient(parameters.entries()[entry].name))
             ASSERT_EQ(value, 2.0F);
       }))
    EXPECT_EQ(error, "");
}

}  // namespace
}  // namespace marrow::train
