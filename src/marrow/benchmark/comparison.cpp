#include "marrow/benchmark/comparison.h"

#include <algorithm>
#include <cmath>

namespace marrow::benchmark {

std::vector<ComparedNetwork> time_in_turns(std::span<const passes::GraphWithWeights> networks,
                                           const TurnOptions& options,
                                           const std::function<void(double share)>& progress) {
  std::vector<NetworkRun> runs;
  runs.reserve(networks.size());
  for (const passes::GraphWithWeights& network : networks) runs.emplace_back(network, options.input);
  return time_in_turns(std::span(runs), options, progress);
}

std::vector<ComparedNetwork> time_in_turns(std::span<NetworkRun> runs, const TurnOptions& options,
                                           const std::function<void(double share)>& progress) {
  constexpr int kRunsOfTurn = 3;  // that count
  // The first run tells how many turns fit the time; its own number is not used.
  double once_ms = 0;
  for (NetworkRun& run : runs) once_ms += time_ms([&] { run.run(); });
  const double wanted_ms = options.seconds * 1000 * static_cast<double>(runs.size());
  const int turns =
      std::max(options.least_turns, static_cast<int>(std::ceil(wanted_ms / (once_ms * (kRunsOfTurn + 1)))));
  std::vector<std::vector<double>> times(runs.size());
  for (int turn = 0; turn < turns; ++turn) {
    for (size_t i = 0; i < runs.size(); ++i) {
      const size_t k = (i + static_cast<size_t>(turn)) % runs.size();
      runs[k].run();
      for (int repeat = 0; repeat < kRunsOfTurn; ++repeat)
        times[k].push_back(time_ms([&] { runs[k].run(); }));
    }
    if (progress) progress((turn + 1.0) / turns);
  }
  std::vector<ComparedNetwork> result;
  for (size_t i = 0; i < runs.size(); ++i)
    result.push_back({latency_of(times[i]), runs[i].macs(), runs[i].compile_ms()});
  return result;
}

}  // namespace marrow::benchmark
