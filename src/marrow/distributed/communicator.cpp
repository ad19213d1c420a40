#include "marrow/distributed/communicator.h"

#include <utility>

#include "marrow/base/stopwatch.h"
#include "marrow/base/talk.h"

namespace marrow::distributed {

struct CommunicatorTask {
  std::function<void()> work;
  bool done = false;
};

Communicator::Communicator(const std::function<std::unique_ptr<Transport>()>& connect,
                           CommunicatorOptions options)
    : options_(std::move(options)) {
  thread_ = std::thread([this, connect] { thread_loop(connect); });
  try {
    run([] {});  // connected
  } catch (...) {
    part();
    throw;
  }
}

Communicator::~Communicator() {
  part();
}

void Communicator::part() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Communicator::connect_here(const std::function<std::unique_ptr<Transport>()>& connect) {
  try {
    collectives_ = std::make_unique<Collectives>(connect(), options_, is_awaited_);
    rank_ = collectives_->rank();
    for (int rank = 0; rank < collectives_->size(); ++rank) names_.push_back(collectives_->name(rank));
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void Communicator::thread_loop(const std::function<std::unique_ptr<Transport>()>& connect) {
  connect_here(connect);
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
    if (tasks_.empty()) break;
    const std::shared_ptr<CommunicatorTask> task = tasks_.front();
    if (failure_ == nullptr) {
      lock.unlock();
      std::exception_ptr failure;
      try {
        task->work();
      } catch (const std::exception& error) {
        failure = std::current_exception();
        collectives_->say_farewell(error.what());
      }
      lock.lock();
      failure_ = failure;
      traffic_.bytes = collectives_->bytes_sent();
    }
    tasks_.pop_front();
    task->done = true;
    changed_.notify_all();
  }
  const bool together = failure_ == nullptr && !has_failed_;
  lock.unlock();
  if (collectives_ == nullptr) return;
  try {
    collectives_->leave(together);
  } catch (const std::exception& error) {
    complain(std::string("marrow: ") + names_[static_cast<size_t>(rank_)] + ": " + error.what());
  }
}

Communicator::Pending Communicator::begin(std::function<void()> work) {
  Pending pending;
  pending.owner_ = this;
  pending.task_ = std::make_shared<CommunicatorTask>();
  pending.task_->work = std::move(work);
  const std::lock_guard lock(mutex_);
  tasks_.push_back(pending.task_);
  changed_.notify_all();
  return pending;
}

void Communicator::Pending::wait() {
  Communicator& owner = *owner_;
  std::unique_lock lock(owner.mutex_);
  if (!task_->done) {
    const Stopwatch clock;
    owner.is_awaited_ = true;
    owner.changed_.wait(lock, [this] { return task_->done; });
    owner.is_awaited_ = false;
    owner.traffic_.*counts_as_ += clock.seconds();
  }
  if (owner.failure_ != nullptr) std::rethrow_exception(owner.failure_);
}

Communicator::Pending Communicator::begin_sum(std::span<float> values, Travel travel) {
  Pending pending = begin([this, values, travel] {
    const Stopwatch clock;
    collectives_->sum(values, travel);
    const std::lock_guard lock(mutex_);
    traffic_.sum_seconds += clock.seconds();
  });
  pending.counts_as_ = &Traffic::sum_wait_seconds;
  return pending;
}

void Communicator::sum(std::span<double> values) {
  run([&] { collectives_->sum(values); });
}

double Communicator::sum(double value) {
  sum(std::span(&value, 1));
  return value;
}

void Communicator::broadcast(std::span<std::byte> bytes) {
  run([&] { collectives_->broadcast(bytes); });
}

double Communicator::from_first(double value) {
  broadcast(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

std::vector<std::string> Communicator::gather(std::string_view bytes) {
  std::vector<std::string> all;
  run([&] { all = collectives_->gather(bytes); });
  return all;
}

void Communicator::barrier() {
  sum(0.0);
}

void Communicator::fail(std::string_view reason) noexcept {
  try {
    {
      const std::lock_guard lock(mutex_);
      has_failed_ = true;
    }
    // After an error of the thread's own the others have been told, and this does nothing.
    run([&] { collectives_->say_farewell(reason); });
  } catch (const std::exception& error) {
    debug(error.what());
  }
}

Traffic Communicator::traffic() const {
  const std::lock_guard lock(mutex_);
  return traffic_;
}

}  // namespace marrow::distributed
