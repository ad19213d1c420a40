// Fork-join threads for kernels: a region of about a microsecond while the pool is busy, asleep when it is
// not.
//
// Workers spin for a bounded time after a region and then sleep, so that the hundred regions of one inference
// follow each other quickly and an idle program uses no processor. Each thread starts on its own contiguous
// share of the chunks and takes from the others' when it is done; which thread runs a chunk is therefore not
// fixed, and a chunk must write only what no other chunk writes.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace marrow::cpu {

// The processors this process may use: the affinity mask, further limited by the control group's quota
// (rounded up). At least 1.
int available_threads();
// As many as are wanted; 0: these.
int thread_count(int wanted);

class ThreadPool {
 public:
  // 0: all (thread_count). The caller of parallel_for is one of the threads, so `threads - 1` are started.
  // More threads than processors is correct, if slow.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Calls function(chunk, thread) once for every chunk of [0, chunks) and returns when all have finished.
  // `thread` is in [0, threads()) and no two calls that overlap in time share one: index per-thread scratch
  // with it. A call from inside a chunk of the same pool runs inline. Several callers take turns. Allocates
  // nothing. Of what chunks throw one comes out, when none runs any more; no chunk has to run after that.
  template <class Function>
  void parallel_for(int64_t chunks, const Function& function) {
    run(
        chunks,
        [](const void* f, int64_t chunk, int thread) { (*static_cast<const Function*>(f))(chunk, thread); },
        &function);
  }

 private:
  using Call = void (*)(const void* function, int64_t chunk, int thread);

  // A thread's remaining share of the current region, [next, end) with the region's number, in one word, so
  // that a worker that arrives late cannot take a chunk of a region that is over.
  struct alignas(64) Share {
    std::atomic<uint64_t> word{0};
  };
  struct Region {
    Call call = nullptr;
    const void* function = nullptr;
    int64_t chunks = 0;
    int64_t per_item = 1;  // chunks a claimed item stands for
  };

  void run(int64_t chunks, Call call, const void* function);
  void work(uint32_t generation, int thread);
  void worker_loop(int thread);
  void call_item(int64_t item, int thread) noexcept;
  bool spin_until_changed(uint32_t seen) const;

  int threads_ = 1;
  bool may_spin_ = true;
  std::vector<Share> shares_;
  Region region_;
  alignas(64) std::atomic<uint32_t> generation_{0};
  alignas(64) std::atomic<int64_t> unfinished_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> has_failed_{false};
  std::exception_ptr failure_;  // of the region; the first of them
  std::mutex callers_;          // held for a whole region
  std::mutex sleep_mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
};

}  // namespace marrow::cpu
