// Items that one thread makes and another takes, a few at a time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

namespace marrow::video {

// What happens to an item that finds the queue full.
enum class WhenFull {
  kWait,        // its maker waits: nothing is lost
  kDropOldest,  // the oldest goes: what is taken is new
};

// Any thread.
template <class Item>
class FrameQueue {
 public:
  FrameQueue(size_t capacity, WhenFull when_full) : capacity_(capacity), when_full_(when_full) {}

  // False once nobody takes any more.
  bool push(Item item) {
    std::unique_lock lock(mutex_);
    if (when_full_ == WhenFull::kWait)
      changed_.wait(lock, [&] { return items_.size() < capacity_ || closed_; });
    if (closed_) return false;
    if (items_.size() >= capacity_) {
      items_.pop_front();
      ++dropped_;
    }
    items_.push_back(std::move(item));
    changed_.notify_all();
    return true;
  }

  // Waits for one; nothing after the last. Throws what end() was given.
  std::optional<Item> pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !items_.empty() || ended_ || closed_; });
    if (items_.empty()) {
      if (problem_) std::rethrow_exception(std::exchange(problem_, nullptr));
      return {};
    }
    std::optional<Item> item(std::move(items_.front()));
    items_.pop_front();
    changed_.notify_all();
    return item;
  }

  // Takes one where there is one.
  std::optional<Item> try_pop() {
    {
      const std::scoped_lock lock(mutex_);
      if (items_.empty() && !ended_ && !closed_) return {};
    }
    return pop();
  }

  // By the maker, after the last item: why there is no other, or nothing.
  void end(std::exception_ptr problem = nullptr) {
    const std::scoped_lock lock(mutex_);
    ended_ = true;
    problem_ = std::move(problem);
    changed_.notify_all();
  }

  // By the taker: no item is wanted any more.
  void close() {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    items_.clear();
    changed_.notify_all();
  }

  int64_t dropped() const {
    const std::scoped_lock lock(mutex_);
    return dropped_;
  }
  bool ended() const {
    const std::scoped_lock lock(mutex_);
    return (ended_ || closed_) && items_.empty();
  }

 private:
  const size_t capacity_;
  const WhenFull when_full_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;
  std::exception_ptr problem_;
  bool ended_ = false, closed_ = false;
  int64_t dropped_ = 0;
};

}  // namespace marrow::video
