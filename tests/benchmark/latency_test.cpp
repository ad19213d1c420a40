#include "marrow/benchmark/latency.h"

#include <gtest/gtest.h>

#include <vector>

namespace marrow::benchmark {
namespace {

TEST(Latency, OfTimes) {
  std::vector<double> times;
  for (int i = 100; i >= 1; --i) times.push_back(i);
  const Latency latency = latency_of(times);
  EXPECT_EQ(latency.runs, 100);
  EXPECT_DOUBLE_EQ(latency.median_ms, 50.5);
  EXPECT_DOUBLE_EQ(latency.p95_ms, 95);
  EXPECT_DOUBLE_EQ(latency.best_ms, 1);
}

TEST(Latency, OfOneTime) {
  const Latency latency = latency_of(std::vector{3.0});
  EXPECT_DOUBLE_EQ(latency.median_ms, 3);
  EXPECT_DOUBLE_EQ(latency.p95_ms, 3);
}

TEST(Latency, WarmsUpOutsideTheMeasurement) {
  int calls = 0;
  const Latency latency =
      measure_latency({.warm_up_seconds = 0, .seconds = 0, .least_runs = 4}, [&] { ++calls; });
  EXPECT_EQ(latency.runs, 4);
  EXPECT_EQ(calls, 5);
}

}  // namespace
}  // namespace marrow::benchmark
