// OpenCV's dnn module beside our engine: the network written as ONNX and run by marrow-check-onnx, one run at
// a time, which stands still in between.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "marrow/benchmark/latency.h"
#include "marrow/benchmark/network_run.h"
#include "support/child.h"

namespace marrow::cli {

class OpenCvTurns {
 public:
  // Throws Error{kUnsupported} where OpenCV is not built in or cannot read the network, and what
  // onnx::export_model throws.
  OpenCvTurns(const passes::GraphWithWeights& network, const benchmark::NetworkRunOptions& options);
  ~OpenCvTurns();
  OpenCvTurns(const OpenCvTurns&) = delete;
  OpenCvTurns& operator=(const OpenCvTurns&) = delete;

  const std::string& name() const { return name_; }  // "OpenCV 4.6.0"
  double difference() const { return difference_; }  // of its output from ours, of the largest value
  double run_ms();

 private:
  std::string read_line();

  std::filesystem::path stem_;  // of the files that it reads
  int socket_ = -1;
  std::optional<Child> child_;
  std::string name_;
  double difference_ = 0;
};

struct InTurns {
  benchmark::Latency ours, theirs;
};

// A few runs of each, of which the first only warms the caches up, again and again for `seconds`.
InTurns time_in_turns(benchmark::NetworkRun& ours, OpenCvTurns& theirs, double seconds);

}  // namespace marrow::cli
