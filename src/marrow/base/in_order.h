// Results that several threads make, handed on in the order of their numbers.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

namespace marrow {

// Any thread.
template <class Result>
class InOrder {
 public:
  // `take` gets the results, one at a time, by a thread that gives one. At most `most` of them are kept.
  InOrder(size_t most, std::function<void(Result)> take) : most_(most), take_(std::move(take)) {}

  // Numbers begin with 0, and each is given once. Waits while results with smaller numbers are that far
  // behind. Throws what `take` throws.
  void give(size_t number, Result result) {
    std::unique_lock lock(mutex_);
    kept_.emplace(number, std::move(result));
    if (!taking_) {
      taking_ = true;
      while (!ended_ && !kept_.empty() && kept_.begin()->first == next_) {
        Result first = std::move(kept_.begin()->second);
        kept_.erase(kept_.begin());
        lock.unlock();
        take_(std::move(first));
        lock.lock();
        ++next_;
        taken_.notify_all();
      }
      taking_ = false;
    }
    taken_.wait(lock, [&] { return ended_ || number < next_ + most_; });
  }

  // Nothing is taken any more, and nobody waits: one that should come will not.
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    taken_.notify_all();
  }

 private:
  const size_t most_;
  const std::function<void(Result)> take_;
  std::mutex mutex_;
  std::condition_variable taken_;
  std::map<size_t, Result> kept_;
  size_t next_ = 0;
  bool taking_ = false, ended_ = false;
};

}  // namespace marrow
