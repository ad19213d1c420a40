// Batches made of items by several threads, and handed over in order.
//
// Threads take items in order, at most `ahead` batches before the consumer, so memory is bounded and the next
// batch is always the one nearest to ready. The owner decides what a batch is: it keeps `ahead` slots,
// batch b in slot b % ahead.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace marrow::loader {

class OrderedWork {
 public:
  struct Tasks {
    // Makes the batch's slot ready and says how many items it has. One call a batch, one at a time, in order;
    // the slot is not in use.
    std::function<int64_t(int64_t batch)> open;
    // Any thread; items of a batch write different parts of its slot.
    std::function<void(int64_t batch, int64_t item)> run;
  };

  // Batches [first, end). workers = 0: everything happens in wait(). ahead >= 1.
  OrderedWork(int workers, int64_t first, int64_t end, int64_t ahead, Tasks tasks);
  // Items that run are finished, nothing new is begun.
  ~OrderedWork();
  OrderedWork(const OrderedWork&) = delete;
  OrderedWork& operator=(const OrderedWork&) = delete;

  // The following two are for one consumer thread.
  //
  // Returns when the consumer's next batch is complete: first, first + 1, ... What a task threw is thrown
  // here, for the first item that failed, and again at every later call.
  void wait();
  // The consumer is done with that batch's slot.
  void release();

  bool finished() const { return next_ == end_; }
  double waited_seconds() const { return waited_seconds_; }  // in wait(), so far

 private:
  struct Progress {
    int64_t items = 0;
    int64_t done = 0;
    int64_t failed_item = 0;
    std::exception_ptr failure;
  };

  void worker_loop();
  bool take_item(int64_t& batch, int64_t& item);
  void run_item(int64_t batch, int64_t item);
  void make_here();

  const int64_t end_;
  const int64_t ahead_;
  const Tasks tasks_;
  int64_t next_;  // the consumer's
  double waited_seconds_ = 0;

  std::mutex mutex_;
  std::condition_variable work_, ready_;
  std::map<int64_t, Progress> progress_;  // of open batches
  int64_t released_;                      // batches below are gone
  int64_t taking_;                        // the batch that items are taken from
  int64_t taken_ = 0;                     // of its items
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace marrow::loader
