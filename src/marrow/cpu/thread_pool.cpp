#include "marrow/cpu/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <utility>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace marrow::cpu {
namespace {

// Longer than the gap between two layers, far shorter than the gap between two images.
constexpr std::chrono::microseconds kSpin{100};
constexpr int kPausesPerLook = 32;  // about half a microsecond
constexpr uint64_t kMaxItems = 0xffff;

thread_local const ThreadPool* current_pool = nullptr;
thread_local int current_thread = 0;

void pause_processor() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int affinity_count() {
  // The mask may be wider than the static cpu_set_t on very large machines.
  for (int cpus = CPU_SETSIZE; cpus <= (1 << 20); cpus *= 4) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(cpus));
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(cpus));
    const int failed = sched_getaffinity(0, bytes, set);
    const int count = failed == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (failed == 0) return std::max(count, 1);
  }
  return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
}

// Processors granted by a control group, or a large number when there is no limit.
double quota_in(const std::string& folder) {
  constexpr double kNoLimit = 1e9;
  std::string quota;
  double period = 0;
  if (std::ifstream v2(folder + "/cpu.max"); v2 >> quota >> period)
    return quota == "max" || period <= 0 ? kNoLimit : std::atof(quota.c_str()) / period;
  double v1_quota = 0;
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us");
  std::ifstream period_file(folder + "/cpu.cfs_period_us");
  if (quota_file >> v1_quota && period_file >> period && v1_quota > 0 && period > 0) return v1_quota / period;
  return kNoLimit;
}

double control_group_quota() {
  double quota = std::min(quota_in("/sys/fs/cgroup"), quota_in("/sys/fs/cgroup/cpu"));
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t colon = line.rfind(':');
    if (colon == std::string::npos) continue;
    const std::string path = line.substr(colon + 1);
    if (line.starts_with("0::")) quota = std::min(quota, quota_in("/sys/fs/cgroup" + path));
    if (line.find(":cpu") != std::string::npos)
      quota = std::min(quota, quota_in("/sys/fs/cgroup/cpu" + path));
  }
  return quota;
}

// What a thread does for a pool, until the object goes.
class Turn {
 public:
  Turn(const ThreadPool* pool, int thread) : outer_pool_(current_pool), outer_thread_(current_thread) {
    current_pool = pool;
    current_thread = thread;
  }
  ~Turn() {
    current_pool = outer_pool_;
    current_thread = outer_thread_;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  const ThreadPool* outer_pool_;
  int outer_thread_;
};

constexpr uint64_t pack(uint32_t generation, uint64_t next, uint64_t end) {
  return (uint64_t{generation} << 32) | (next << 16) | end;
}

}  // namespace

int available_threads() {
  const double quota = control_group_quota();
  const int affinity = affinity_count();
  return quota >= affinity ? affinity : std::max(1, static_cast<int>(quota + 0.999));
}

int thread_count(int wanted) {
  return wanted > 0 ? wanted : available_threads();
}

ThreadPool::ThreadPool(int threads)
    : threads_(thread_count(threads)), shares_(static_cast<size_t>(threads_)) {
  may_spin_ = threads_ == 1 || threads_ <= available_threads();
  for (int t = 1; t < threads_; ++t) workers_.emplace_back([this, t] { worker_loop(t); });
}

ThreadPool::~ThreadPool() {
  stopping_.store(true);
  generation_.fetch_add(1);
  {
    const std::lock_guard lock(sleep_mutex_);
    wake_.notify_all();
  }
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(int64_t chunks, Call call, const void* function) {
  if (chunks <= 0) return;
  const bool nested = current_pool == this;
  if (nested || threads_ == 1 || chunks == 1) {
    // With one thread or one chunk, callers still take turns: thread 0's scratch must not be used twice at a
    // time.
    std::unique_lock lock(callers_, std::defer_lock);
    if (!nested) lock.lock();
    const Turn turn(this, nested ? current_thread : 0);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) call(function, chunk, current_thread);
    return;
  }

  const std::lock_guard lock(callers_);
  const int64_t per_item = (chunks + static_cast<int64_t>(kMaxItems) - 1) / static_cast<int64_t>(kMaxItems);
  const auto items = static_cast<uint64_t>((chunks + per_item - 1) / per_item);
  region_ = {call, function, chunks, per_item};
  unfinished_.store(static_cast<int64_t>(items), std::memory_order_relaxed);
  const uint32_t generation = generation_.load(std::memory_order_relaxed) + 1;
  const auto threads = static_cast<uint64_t>(threads_);
  for (uint64_t t = 0; t < threads; ++t)
    shares_[t].word.store(pack(generation, items * t / threads, items * (t + 1) / threads),
                          std::memory_order_release);
  generation_.store(generation);  // seq_cst, as the sleepers' counter: one of the two sides sees the other
  if (sleepers_.load() > 0) {
    const std::lock_guard sleep_lock(sleep_mutex_);
    wake_.notify_all();
  }

  {
    const Turn turn(this, 0);
    work(generation, 0);
  }
  for (int looks = 0; unfinished_.load(std::memory_order_acquire) > 0; ++looks) {
    if (may_spin_ && looks % kPausesPerLook != kPausesPerLook - 1)
      pause_processor();
    else
      std::this_thread::yield();
  }
  if (has_failed_.exchange(false)) std::rethrow_exception(std::exchange(failure_, nullptr));
}

// The claim keeps the region open, so what describes it is stable until `finished` is reported.
void ThreadPool::call_item(int64_t item, int thread) noexcept {
  const int64_t first = item * region_.per_item;
  const int64_t last = std::min(first + region_.per_item, region_.chunks);
  try {
    for (int64_t chunk = first; chunk < last; ++chunk) region_.call(region_.function, chunk, thread);
  } catch (...) {
    if (!has_failed_.exchange(true)) failure_ = std::current_exception();
  }
}

void ThreadPool::work(uint32_t generation, int thread) {
  int64_t finished = 0;
  for (int turn = 0; turn < threads_; ++turn) {
    std::atomic<uint64_t>& share = shares_[static_cast<size_t>((thread + turn) % threads_)].word;
    uint64_t word = share.load(std::memory_order_acquire);
    for (;;) {
      const uint64_t next = (word >> 16) & kMaxItems;
      const uint64_t end = word & kMaxItems;
      if (static_cast<uint32_t>(word >> 32) != generation || next >= end) break;
      if (!share.compare_exchange_weak(word, pack(generation, next + 1, end), std::memory_order_acq_rel))
        continue;
      call_item(static_cast<int64_t>(next), thread);
      ++finished;
      word = share.load(std::memory_order_acquire);
    }
  }
  if (finished > 0) unfinished_.fetch_sub(finished, std::memory_order_acq_rel);
}

bool ThreadPool::spin_until_changed(uint32_t seen) const {
  if (!may_spin_) return false;
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (generation_.load(std::memory_order_acquire) != seen) return true;
      pause_processor();
    }
    std::this_thread::yield();  // another pool's worker may be waiting for this processor
  } while (std::chrono::steady_clock::now() < deadline);
  return false;
}

void ThreadPool::worker_loop(int thread) {
  current_pool = this;
  current_thread = thread;
  uint32_t seen = 0;
  for (;;) {
    if (!spin_until_changed(seen)) {
      std::unique_lock lock(sleep_mutex_);
      sleepers_.fetch_add(1);
      wake_.wait(lock, [&] { return generation_.load() != seen; });
      sleepers_.fetch_sub(1);
    }
    seen = generation_.load(std::memory_order_acquire);
    if (stopping_.load()) return;
    work(seen, thread);
  }
}

}  // namespace marrow::cpu
