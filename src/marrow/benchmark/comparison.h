// Several networks timed in turns, so that a noisy machine is fair to all.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "marrow/benchmark/latency.h"
#include "marrow/benchmark/network_run.h"

namespace marrow::benchmark {

struct TurnOptions {
  NetworkRunOptions input;
  double seconds = 2;  // for each network
  int least_turns = 3;
};

struct ComparedNetwork {
  Latency latency;
  int64_t macs = 0;  // of the batch
  double compile_ms = 0;
};

// All networks are compiled first. Then each has a turn of a few runs, the first of which only warms the
// caches up, in an order that rotates, until the time is over. `progress` is called with the share of the
// time that is over, 0 to 1.
std::vector<ComparedNetwork> time_in_turns(std::span<const passes::GraphWithWeights> networks,
                                           const TurnOptions& options,
                                           const std::function<void(double share)>& progress = {});
// The same for networks that are compiled already, each for an input of its own; of the options, `input` is
// not read.
std::vector<ComparedNetwork> time_in_turns(std::span<NetworkRun> runs, const TurnOptions& options,
                                           const std::function<void(double share)>& progress = {});

}  // namespace marrow::benchmark
