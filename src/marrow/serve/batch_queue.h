// Where the pictures of all requests wait for the engine. One thread runs them, for all networks, since each
// run already uses all threads. Pictures of one network and shape that wait at the same time run side by
// side; where one of them is done, the next that waits takes its place.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "marrow/serve/metrics.h"
#include "marrow/serve/network.h"

namespace marrow::serve {

// Pictures of one request, of any shapes.
struct Job {
  std::shared_ptr<Network> network;
  std::shared_ptr<ModelMetrics> metrics;
  std::vector<Tensor> inputs;    // (1, C, H, W)
  std::vector<Outputs> outputs;  // as many, when it is done
  std::string failure;           // why they are not there; "": they are
  bool late = false;             // it waited too long
  double queued = 0, ran = 0;    // seconds; of several pictures the longest

  std::function<bool()> unwanted;  // whether the client left; asked before a picture runs
  // Called once, by a thread of the queue's; not for a job that nobody wants. It must not throw or take long.
  std::function<void(Job&)> done;

  size_t left = 0;  // pictures that have not run; the queue's
};

class BatchQueue {
 public:
  explicit BatchQueue(const QueueOptions& options);
  // Drops what waits.
  ~BatchQueue();
  BatchQueue(const BatchQueue&) = delete;
  BatchQueue& operator=(const BatchQueue&) = delete;

  // Any thread.
  void add(std::shared_ptr<Job> job);
  const QueueOptions& options() const { return options_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    std::shared_ptr<Job> job;
    size_t picture;
    Clock::time_point since;
    const Shape& shape() const { return job->inputs[picture].shape(); }
    bool is_for(const Network& network, const Shape& input) const {
      return job->network.get() == &network && shape() == input;
    }
  };
  struct Run;

  void work();
  void drop_unwanted();
  std::vector<Waiting> take_batch();
  size_t waiting_like_first() const;
  size_t most_like_first() const;
  void run(std::vector<Waiting> batch);
  std::optional<Waiting> begin_next(Run& run);
  std::optional<Waiting> finish_and_begin_next(Run& run, const Waiting& waiting,
                                               const Network::RunOne& run_one);

  const QueueOptions options_;
  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<Waiting> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

// A model's place for the pictures of a request, from before they are decoded until they are answered.
// Any thread.
class Admission {
 public:
  Admission(std::shared_ptr<ModelMetrics> metrics, size_t most) : metrics_(std::move(metrics)), most_(most) {}
  ~Admission() { release(); }
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  // Places for so many in all. Throws HttpError{503} where there are not so many left.
  void grow_to(size_t pictures);
  // Gives up all of them.
  void release() { metrics_->leave(std::exchange(pictures_, 0)); }

 private:
  std::shared_ptr<ModelMetrics> metrics_;
  size_t most_;
  size_t pictures_ = 0;
};

}  // namespace marrow::serve
