// Long pieces of work side by side, such as whole networks. Threads that have none sleep, so that others can
// have their processor; ThreadPool, whose threads wait awake, is for pieces of microseconds.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace marrow::cpu {

// One caller at a time.
class SideBySide {
 public:
  // The caller of run() is one of the threads; the others are started when they are first needed.
  explicit SideBySide(size_t threads) : most_(threads) {}
  ~SideBySide();
  SideBySide(const SideBySide&) = delete;
  SideBySide& operator=(const SideBySide&) = delete;

  // Calls work(i) once for every i of [0, count) and returns when all have finished. What the first of them
  // threw is thrown then.
  void run(size_t count, const std::function<void(size_t)>& work);

 private:
  void help();
  // Takes pieces until none is left. With the lock held.
  void take_pieces(std::unique_lock<std::mutex>& lock);

  const size_t most_;
  std::mutex mutex_;
  std::condition_variable begun_, finished_;
  const std::function<void(size_t)>* work_ = nullptr;
  size_t next_ = 0, count_ = 0, unfinished_ = 0;
  std::exception_ptr problem_;
  bool stopping_ = false;
  std::vector<std::thread> helpers_;
};

}  // namespace marrow::cpu
