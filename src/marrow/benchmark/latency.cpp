#include "marrow/benchmark/latency.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "marrow/base/stopwatch.h"

namespace marrow::benchmark {

Latency latency_of(std::span<const double> times_ms) {
  std::vector<double> sorted(times_ms.begin(), times_ms.end());
  std::ranges::sort(sorted);
  const size_t n = sorted.size();
  const auto rank95 = static_cast<size_t>(std::ceil(0.95 * static_cast<double>(n)));
  return {static_cast<int>(n), (sorted[(n - 1) / 2] + sorted[n / 2]) / 2, sorted[rank95 - 1], sorted[0]};
}

double time_ms(const std::function<void()>& work) {
  const Stopwatch clock;
  work();
  return clock.milliseconds();
}

Latency measure_latency(const Repetition& repetition, const std::function<void()>& work) {
  const Stopwatch warm_up;
  do work();
  while (warm_up.seconds() < repetition.warm_up_seconds);
  std::vector<double> times;
  const Stopwatch clock;
  while (static_cast<int>(times.size()) < std::max(repetition.least_runs, 1) ||
         clock.seconds() < repetition.seconds)
    times.push_back(time_ms(work));
  return latency_of(times);
}

}  // namespace marrow::benchmark
