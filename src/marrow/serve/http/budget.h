// Bytes that all requests together may hold. Any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

namespace marrow::serve {

class Budget {
 public:
  explicit Budget(size_t most) : most_(most) {}

  // false: there are not so many left, and nothing is taken.
  bool take(size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (bytes > most_ - held_) return false;
    held_ += bytes;
    return true;
  }
  void give_back(size_t bytes) {
    const std::lock_guard lock(mutex_);
    held_ -= bytes;
  }
  size_t held() const {
    const std::lock_guard lock(mutex_);
    return held_;
  }

 private:
  mutable std::mutex mutex_;
  const size_t most_;
  size_t held_ = 0;
};

// Part of a budget, given back when it goes.
class Share {
 public:
  explicit Share(std::shared_ptr<Budget> budget) : budget_(std::move(budget)) {}
  ~Share() { budget_->give_back(bytes_); }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

  // Makes it `bytes` large, if it is smaller; false where there are not so many left.
  bool grow_to(size_t bytes) {
    if (bytes <= bytes_) return true;
    if (!budget_->take(bytes - bytes_)) return false;
    bytes_ = bytes;
    return true;
  }

 private:
  std::shared_ptr<Budget> budget_;
  size_t bytes_ = 0;
};

}  // namespace marrow::serve
