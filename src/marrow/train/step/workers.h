// The other workers of a run, as a training step sees them. Each has a part of every batch; together they
// compute what one worker would of all of it.
//
// One thread at a time, and the same calls in the same order on every worker.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "marrow/distributed/communicator.h"
#include "marrow/loss/whole_batch.h"
#include "marrow/train/step/flat_optimizer.h"
#include "marrow/train/step/flat_parameters.h"

namespace marrow::train {

struct WorkerSettings {
  bool sync_batch_norm = true;  // batch norms see the whole batch, not a worker's part
  distributed::Travel travel = distributed::Travel::kFloat32;  // of gradients
};

class Workers {
 public:
  // `communicator` outlives this.
  Workers(distributed::Communicator& communicator, const WorkerSettings& settings)
      : communicator_(communicator), settings_(settings) {}

  distributed::Communicator& communicator() const { return communicator_; }
  const WorkerSettings& settings() const { return settings_; }

  // Of the batch of which this worker has so many images, maybe none.
  loss::WholeBatch whole_batch(int64_t images);

  // The first worker's parameters, average and moments become everyone's. Throws Error{kModel} naming a
  // worker whose counters or steps are others. `graph`: of the parameters.
  void share_state(const Graph& graph, FlatParameters& parameters, FlatOptimizer& optimizer);

  // The mean over the workers of running statistics, where batch norms are not synchronised; of none that is
  // `frozen`.
  void average_statistics(FlatParameters& parameters, const std::vector<std::string>& frozen);

 private:
  distributed::Communicator& communicator_;
  WorkerSettings settings_;
};

// Adds up the workers' gradients while the backward pass goes on: a bucket, some neighbours in the flat
// buffer, travels as soon as all of it is there.
class GradientSum {
 public:
  static constexpr int64_t kBucket = 1 << 18;  // floats, at least, unless a test wants others

  // Both outlive this.
  GradientSum(FlatParameters& parameters, Workers& workers, int64_t bucket_floats = kBucket);
  ~GradientSum();  // after what is under way
  GradientSum(const GradientSum&) = delete;
  GradientSum& operator=(const GradientSum&) = delete;

  // A backward pass begins, after which the gradients are complete: those of an entry once the pass, which
  // goes from the last step of the program down to 0, has reached a step.
  struct Completion {
    size_t entry = 0;  // of parameters.entries()
    size_t step = 0;
  };
  void begin(std::span<const Completion> completions);
  void reached(size_t step);
  // All gradients are sums when it returns.
  void finish();

 private:
  struct Bucket {
    int64_t begin = 0, end = 0;
    size_t step = 0;
  };
  void send_next();

  FlatParameters& parameters_;
  Workers& workers_;
  std::vector<Bucket> buckets_;    // the last of the buffer first, as backward passes go
  std::vector<size_t> bucket_of_;  // by entry
  size_t next_ = 0;
  std::vector<distributed::Communicator::Pending> pending_;
};

}  // namespace marrow::train
