#include "marrow/benchmark/latency.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

namespace marrow::benchmark {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Latency latency_of(std::span<const double> times_ms) {
  std::vector<double> sorted(times_ms.begin(), times_ms.end());
  std::ranges::sort(sorted);
  const size_t n = sorted.size();
  const auto rank95 = static_cast<size_t>(std::ceil(0.95 * static_cast<double>(n)));
  return {static_cast<int>(n), (sorted[(n - 1) / 2] + sorted[n / 2]) / 2, sorted[rank95 - 1], sorted[0]};
}

double time_ms(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

Latency measure_latency(const Repetition& repetition, const std::function<void()>& work) {
  const auto begin = Clock::now();
  do work();
  while (seconds_since(begin) < repetition.warm_up_seconds);
  std::vector<double> times;
  const auto start = Clock::now();
  while (static_cast<int>(times.size()) < std::max(repetition.least_runs, 1) ||
         seconds_since(start) < repetition.seconds)
    times.push_back(time_ms(work));
  return latency_of(times);
}

}  // namespace marrow::benchmark
