// How many inputs run side by side: what took least time for each, by measurement. Several at once do not
// wait for each other between layers; on some processors their memory then falls out of the cache, and one at
// a time is quicker. One caller at a time.
#pragma once

#include <array>
#include <cstddef>
#include <map>

namespace marrow::serve {

class BatchSizes {
 public:
  // A power of two, at most `most`, which is at least 1. Each such size is tried a few times, and again now
  // and then, since what else the machine does changes.
  size_t choose(size_t most);
  // Of a run of so many side by side, the time divided by the number of inputs.
  void ran(size_t at_once, double seconds_each);

 private:
  static constexpr size_t kLastRuns = 8;
  static constexpr size_t kTrials = 4;      // before a size is judged
  static constexpr size_t kTryAgain = 200;  // choices later

  // A larger number takes at most so much of a smaller one's time, since each of them takes longer.
  static constexpr double kWorthwhile = 0.98;

  struct Measured {
    std::array<double, kLastRuns> seconds = {};  // for each input, of the last runs
    size_t runs = 0;
    size_t passed_over = 0;
    double usual() const;
  };
  std::map<size_t, Measured> sizes_;
};

}  // namespace marrow::serve
