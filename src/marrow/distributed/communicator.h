// What the workers of a run do together: sums, and what one of them sends to all.
//
// Every worker makes the same calls in the same order. A thread of its own carries them out, one after
// another, so that a sum that was begun goes on while the caller computes. Terms are added in the order of
// ranks, whatever arrives first: a result is a function of the terms, to the bit, and the same on every
// worker.
//
// Each call throws Error{kFile} naming the worker and the reason when another one ends, says that it fails,
// or does not answer in time; all later calls do, too. One thread calls.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "marrow/distributed/collectives.h"

namespace marrow::distributed {

// Of what was sent so far.
struct Traffic {
  int64_t bytes = 0;
  double sum_seconds = 0;       // that sums of begin_sum() were under way
  double sum_wait_seconds = 0;  // of these, those that the caller waited
  double call_seconds = 0;      // that the caller was in all other calls
};

class Communicator {
 public:
  // `connect` runs in the communicator's thread, as all that the transport does.
  Communicator(const std::function<std::unique_ptr<Transport>()>& connect, CommunicatorOptions options = {});
  // Leaves: together with the others, or at once after fail() or an error.
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(names_.size()); }
  bool is_first() const { return rank_ == 0; }
  // "rank 1 of 4 (host node3, process 4711)"
  const std::string& name(int rank) const { return names_.at(static_cast<size_t>(rank)); }

  class Pending {
   public:
    void wait();

   private:
    friend class Communicator;
    Communicator* owner_ = nullptr;
    std::shared_ptr<struct CommunicatorTask> task_;
    double Traffic::*counts_as_ = &Traffic::call_seconds;
  };
  // The values become their sum over all workers by the time that wait() returns; until then they are left
  // alone.
  Pending begin_sum(std::span<float> values, Travel travel = Travel::kFloat32);

  void sum(std::span<double> values);
  double sum(double value);
  // The first worker's bytes, or number, on all.
  void broadcast(std::span<std::byte> bytes);
  double from_first(double value);
  // Everyone's, in the order of ranks, on the first worker; nothing on the others.
  std::vector<std::string> gather(std::string_view bytes);
  void barrier();

  // Tells the others why this worker ends, so that they say it, too. The destructor leaves at once then.
  void fail(std::string_view reason) noexcept;

  Traffic traffic() const;

 private:
  void connect_here(const std::function<std::unique_ptr<Transport>()>& connect);
  void thread_loop(const std::function<std::unique_ptr<Transport>()>& connect);
  Pending begin(std::function<void()> work);
  void run(std::function<void()> work) { begin(std::move(work)).wait(); }
  void part();

  CommunicatorOptions options_;
  int rank_ = 0;
  std::vector<std::string> names_;  // of all

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<CommunicatorTask>> tasks_;
  std::exception_ptr failure_;  // the first
  bool has_failed_ = false;     // fail()
  bool ending_ = false;
  Traffic traffic_;
  std::atomic<bool> is_awaited_ = false;  // the caller waits for what the thread does

  std::unique_ptr<Collectives> collectives_;  // the thread's own

  std::thread thread_;  // last
};

}  // namespace marrow::distributed
