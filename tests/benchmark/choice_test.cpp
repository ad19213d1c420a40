#include "marrow/benchmark/choice.h"

#include <gtest/gtest.h>

namespace marrow::benchmark {
namespace {

std::vector<Contender> with_map() {
  return {{"slow", 30, 9, 300, 0.50},
          {"near", 20, 8, 200, 0.495},
          {"fast", 10, 7, 100, 0.40},
          {"bad", 25, 6, 250, 0.30}};
}

std::vector<Contender> without_map() {
  std::vector<Contender> contenders = with_map();
  for (Contender& one : contenders) one.map50_95.reset();
  return contenders;
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(ParetoFront, LeavesOutWhatIsSlowerAndWorse) {
  EXPECT_EQ(pareto_front(with_map()), (std::vector<bool>{true, true, true, false}));
}

TEST(ParetoFront, WithoutMapCountsParameters) {
  EXPECT_EQ(pareto_front(without_map()), (std::vector<bool>{false, false, true, true}));
}

TEST(ParetoFront, KeepsEquals) {
  const std::vector<Contender> twins = {{"a", 1, 1, 1, {}}, {"b", 1, 1, 1, {}}};
  EXPECT_EQ(pareto_front(twins), (std::vector<bool>{true, true}));
}

TEST(Recommendation, NamesTheFastestNearTheBest) {
  const std::string text = recommendation(with_map(), {.within = 0.01, .budget_ms = 0});
  EXPECT_TRUE(says(text, "The fastest is fast (10.00 ms, mAP50-95 0.400).")) << text;
  EXPECT_TRUE(says(text, "within 0.010 of the best mAP50-95 (0.500) is near")) << text;
  EXPECT_TRUE(says(recommendation(with_map(), {.within = 0, .budget_ms = 0}), "(0.500) is slow"));
}

TEST(Recommendation, StaysWithinTheBudget) {
  EXPECT_TRUE(says(recommendation(with_map(), {.budget_ms = 26}), "The best under 26 ms is near"));
  EXPECT_TRUE(says(recommendation(with_map(), {.budget_ms = 5}), "None stays under 5 ms."));
}

TEST(Recommendation, WithoutMapSaysHowItChose) {
  const std::string text = recommendation(without_map(), {.budget_ms = 26});
  EXPECT_TRUE(says(text, "largest (by multiply-adds, as no mAP was measured) under 26 ms is bad")) << text;
  EXPECT_FALSE(says(text, "best mAP")) << text;
}

}  // namespace
}  // namespace marrow::benchmark
