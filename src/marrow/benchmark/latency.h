// Times of one thing done again and again.
#pragma once

#include <functional>
#include <span>

namespace marrow::benchmark {

struct Latency {
  int runs = 0;
  double median_ms = 0;
  double p95_ms = 0;  // nearest rank
  double best_ms = 0;
};

// REQUIRES: at least one time.
Latency latency_of(std::span<const double> times_ms);

// Runs `work` once.
double time_ms(const std::function<void()>& work);

struct Repetition {
  double warm_up_seconds = 0.3;
  double seconds = 2;
  int least_runs = 5;
};

// Runs `work` at least once and for warm_up_seconds, unmeasured; then until both `seconds` and `least_runs`
// are over.
Latency measure_latency(const Repetition& repetition, const std::function<void()>& work);

}  // namespace marrow::benchmark
