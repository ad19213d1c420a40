#include "marrow/loader/ordered_work.h"

#include <cassert>
#include <system_error>
#include <utility>

#include "marrow/base/stopwatch.h"

namespace marrow::loader {

OrderedWork::OrderedWork(int workers, int64_t first, int64_t end, int64_t ahead, Tasks tasks)
    : end_(end), ahead_(ahead), tasks_(std::move(tasks)), next_(first), released_(first), taking_(first) {
  assert(ahead >= 1 && first <= end && workers >= 0);
  try {
    for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { worker_loop(); });
  } catch (const std::system_error&) {
    // No more threads to be had: those there are, or the consumer itself, do the work.
  }
}

OrderedWork::~OrderedWork() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

// False when the batch turns out to be empty. Opens the batch when its first item is taken: under the lock,
// so that batches open in order and nobody sees half of one.
bool OrderedWork::take_item(int64_t& batch, int64_t& item) {
  Progress& progress = progress_[taking_];
  if (taken_ == 0) {
    try {
      progress.items = tasks_.open(taking_);
    } catch (...) {
      progress.failure = std::current_exception();
    }
  }
  batch = taking_;
  const bool taken = taken_ < progress.items;
  if (taken) item = taken_++;
  if (taken_ == progress.items) {
    ++taking_;
    taken_ = 0;
  }
  if (!taken) ready_.notify_one();
  return taken;
}

void OrderedWork::run_item(int64_t batch, int64_t item) {
  std::exception_ptr failure;
  try {
    tasks_.run(batch, item);
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  Progress& progress = progress_.at(batch);
  if (failure != nullptr && (progress.failure == nullptr || item < progress.failed_item)) {
    progress.failure = failure;
    progress.failed_item = item;
  }
  if (++progress.done == progress.items) ready_.notify_one();
}

void OrderedWork::worker_loop() {
  for (;;) {
    int64_t batch = 0, item = 0;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [&] { return stopping_ || (taking_ < end_ && taking_ < released_ + ahead_); });
      if (stopping_) return;
      if (!take_item(batch, item)) continue;
    }
    run_item(batch, item);
  }
}

// The consumer's next batch, without threads.
void OrderedWork::make_here() {
  while (taking_ == next_) {
    int64_t batch = 0, item = 0;
    std::unique_lock lock(mutex_);
    if (!take_item(batch, item)) return;
    lock.unlock();
    run_item(batch, item);
  }
}

void OrderedWork::wait() {
  assert(!finished());
  const Stopwatch clock;
  if (threads_.empty()) make_here();
  std::exception_ptr failure;
  {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] {
      const auto found = progress_.find(next_);
      return taking_ > next_ && found != progress_.end() && found->second.done == found->second.items;
    });
    failure = progress_.at(next_).failure;
  }
  waited_seconds_ += clock.seconds();
  if (failure != nullptr) std::rethrow_exception(failure);
}

void OrderedWork::release() {
  {
    const std::lock_guard lock(mutex_);
    progress_.erase(next_);
    released_ = ++next_;
  }
  work_.notify_all();
}

}  // namespace marrow::loader
