#include "marrow/cpu/side_by_side.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace marrow::cpu {

SideBySide::~SideBySide() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  begun_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void SideBySide::run(size_t count, const std::function<void(size_t)>& work) {
  try {
    while (helpers_.size() + 1 < std::min(count, most_)) helpers_.emplace_back([this] { help(); });
  } catch (const std::system_error&) {  // no more threads: those that are there do all
  }
  std::unique_lock lock(mutex_);
  work_ = &work;
  next_ = 0;
  count_ = unfinished_ = count;
  if (count > 1) begun_.notify_all();
  take_pieces(lock);
  finished_.wait(lock, [&] { return unfinished_ == 0; });
  if (problem_) std::rethrow_exception(std::exchange(problem_, nullptr));
}

void SideBySide::help() {
  std::unique_lock lock(mutex_);
  while (true) {
    begun_.wait(lock, [&] { return stopping_ || next_ < count_; });
    if (stopping_) return;
    take_pieces(lock);
  }
}

void SideBySide::take_pieces(std::unique_lock<std::mutex>& lock) {
  while (next_ < count_) {
    const size_t piece = next_++;
    lock.unlock();
    std::exception_ptr problem;
    try {
      (*work_)(piece);
    } catch (...) {
      problem = std::current_exception();
    }
    lock.lock();
    if (problem && !problem_) problem_ = problem;
    if (--unfinished_ == 0) finished_.notify_one();
  }
}

}  // namespace marrow::cpu
