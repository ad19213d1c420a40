#include "marrow/serve/batch_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "marrow/base/stopwatch.h"
#include "marrow/serve/http/message.h"

namespace marrow::serve {
namespace {

double seconds_between(std::chrono::steady_clock::time_point a, std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

}  // namespace

BatchQueue::BatchQueue(const QueueOptions& options) : options_(options), thread_([this] { work(); }) {}

BatchQueue::~BatchQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  added_.notify_all();
  thread_.join();
}

void BatchQueue::add(std::shared_ptr<Job> job) {
  const auto now = Clock::now();
  job->left = job->inputs.size();
  job->outputs.resize(job->inputs.size());
  {
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < job->inputs.size(); ++i) waiting_.push_back({job, i, now});
  }
  added_.notify_all();
}

void BatchQueue::work() {
  const auto delay =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.delay_seconds));
  while (true) {
    std::vector<Waiting> batch;
    {
      std::unique_lock lock(mutex_);
      added_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      const auto full = [&] { return stopping_ || waiting_like_first() >= most_like_first(); };
      if (delay > Clock::duration::zero()) added_.wait_until(lock, waiting_.front().since + delay, full);
      if (stopping_) return;
      batch = take_batch();
    }
    run(std::move(batch));
  }
}

// Pictures that could run with the first.
size_t BatchQueue::waiting_like_first() const {
  const Waiting& first = waiting_.front();
  return static_cast<size_t>(std::ranges::count_if(
      waiting_, [&](const Waiting& each) { return each.is_for(*first.job->network, first.shape()); }));
}

size_t BatchQueue::most_like_first() const {
  return waiting_.front().job->network->most_at_once(waiting_.front().shape());
}

void BatchQueue::drop_unwanted() {
  std::erase_if(waiting_, [](const Waiting& each) { return each.job->unwanted && each.job->unwanted(); });
}

// The first and those behind it that can run with it: a power of two of them, so that few forms of the
// network are compiled.
std::vector<BatchQueue::Waiting> BatchQueue::take_batch() {
  drop_unwanted();
  if (waiting_.empty()) return {};
  const std::shared_ptr<Network> network = waiting_.front().job->network;
  const Shape shape = waiting_.front().shape();
  const size_t size = network->best_at_once(shape, waiting_like_first());
  std::vector<Waiting> batch;
  for (auto each = waiting_.begin(); each != waiting_.end() && batch.size() < size;) {
    if (each->is_for(*network, shape)) {
      batch.push_back(std::move(*each));
      each = waiting_.erase(each);
    } else {
      ++each;
    }
  }
  return batch;
}

// Pictures of one network and shape, side by side. What is counted is so many as ran at once.
struct BatchQueue::Run {
  std::vector<Waiting> batch;  // that it begins with, one on each thread
  std::shared_ptr<Network> network = batch.front().job->network;
  std::shared_ptr<ModelMetrics> metrics = batch.front().job->metrics;
  Shape shape = batch.front().shape();
  size_t begun = 0, running = 0;
  // A thread has found nothing to do: the run ends, so that the next one has all threads.
  bool ending = false;
  size_t ran = 0;      // and not yet counted
  double seconds = 0;  // of these

  // The number at once is chosen anew after so many on each thread. One alone has all threads, which others
  // should share.
  size_t most() const {
    constexpr size_t kMostOfThread = 8;
    return batch.size() == 1 ? 1 : kMostOfThread * batch.size();
  }
  void count() {
    if (ran == 0 || (ran < batch.size() && running > 0)) return;
    metrics->ran(ran, seconds / static_cast<double>(ran));
    ran = 0;
    seconds = 0;
  }
};

// With the lock held. After the batch what waits first, if it can run with it.
std::optional<BatchQueue::Waiting> BatchQueue::begin_next(Run& run) {
  std::optional<Waiting> next;
  if (run.begun < run.batch.size()) {
    next = std::move(run.batch[run.begun]);
  } else if (run.begun < run.most() && !run.ending && !stopping_) {
    drop_unwanted();
    if (!waiting_.empty() && waiting_.front().is_for(*run.network, run.shape)) {
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
  }
  run.ending |= !next;
  if (next) {
    ++run.begun;
    ++run.running;
  }
  return next;
}

void BatchQueue::run(std::vector<Waiting> batch) {
  if (batch.empty()) return;
  Run run{std::move(batch)};
  std::string failure;
  try {
    run.network->run(run.shape, run.batch.size(), [&](const Network::RunOne& run_one) {
      std::unique_lock lock(mutex_);
      std::optional<Waiting> next = begin_next(run);
      lock.unlock();
      while (next) next = finish_and_begin_next(run, *next, run_one);
    });
  } catch (const std::exception& error) {
    failure = error.what();
  }
  // None is left unless the network could not run at all.
  for (; run.begun < run.batch.size(); ++run.begun) {
    Job& job = *run.batch[run.begun].job;
    job.failure = failure;
    if (--job.left == 0) job.done(job);
  }
}

std::optional<BatchQueue::Waiting> BatchQueue::finish_and_begin_next(Run& run, const Waiting& waiting,
                                                                     const Network::RunOne& run_one) {
  Job& job = *waiting.job;
  const double waited = seconds_between(waiting.since, Clock::now());
  const bool late = waited > options_.longest_seconds;
  std::string failure;
  const Stopwatch clock;
  if (!late) {
    job.metrics->waited(waited);
    try {
      run_one(job.inputs[waiting.picture], job.outputs[waiting.picture]);
    } catch (const std::exception& error) {
      failure = error.what();
    }
  }
  const double seconds = clock.seconds();
  job.network->give_back(std::move(job.inputs[waiting.picture]));
  std::unique_lock lock(mutex_);
  --run.running;
  std::optional<Waiting> next = begin_next(run);
  job.late |= late;
  if (!failure.empty()) job.failure = failure;
  if (!late) {
    job.queued = std::max(job.queued, waited);
    job.ran = std::max(job.ran, seconds);
    if (failure.empty()) {
      ++run.ran;
      run.seconds += seconds;
    }
  }
  // Before the answer, so that who has it sees it counted.
  run.count();
  const bool is_last = --job.left == 0;
  lock.unlock();
  if (is_last) job.done(job);
  return next;
}

void Admission::grow_to(size_t pictures) {
  if (pictures <= pictures_) return;
  if (!metrics_->enter(pictures - pictures_, most_))
    throw overloaded(fmt::format("the model's queue is full: {} pictures wait, and at most {} may",
                                 metrics_->depth(), most_));
  pictures_ = pictures;
}

}  // namespace marrow::serve
