// How long something takes, by a clock that nobody sets.
#pragma once

#include <chrono>
#include <utility>

namespace marrow {

class Stopwatch {
 public:
  // Since it was made.
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  double milliseconds() const { return 1e3 * seconds(); }

  // Since it was made, or since the last lap.
  double lap_milliseconds() {
    const auto before = std::exchange(lap_, Clock::now());
    return std::chrono::duration<double, std::milli>(lap_ - before).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
  Clock::time_point lap_ = start_;
};

}  // namespace marrow
