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
  const Job& first = *waiting_.front().job;
  const Shape& shape = first.inputs[waiting_.front().picture].shape();
  return static_cast<size_t>(std::ranges::count_if(waiting_, [&](const Waiting& each) {
    return each.job->network == first.network && each.job->inputs[each.picture].shape() == shape;
  }));
}

size_t BatchQueue::most_like_first() const {
  const Waiting& first = waiting_.front();
  return first.job->network->most_at_once(first.job->inputs[first.picture].shape());
}

// The first and those behind it that can run with it: a power of two of them, so that few forms of the
// network are compiled.
std::vector<BatchQueue::Waiting> BatchQueue::take_batch() {
  std::erase_if(waiting_, [](const Waiting& each) { return each.job->unwanted && each.job->unwanted(); });
  if (waiting_.empty()) return {};
  const std::shared_ptr<Network> network = waiting_.front().job->network;
  const Shape shape = waiting_.front().job->inputs[waiting_.front().picture].shape();
  const size_t size = network->best_at_once(shape, waiting_like_first());
  std::vector<Waiting> batch;
  for (auto each = waiting_.begin(); each != waiting_.end() && batch.size() < size;) {
    if (each->job->network == network && each->job->inputs[each->picture].shape() == shape) {
      batch.push_back(std::move(*each));
      each = waiting_.erase(each);
    } else {
      ++each;
    }
  }
  return batch;
}

void BatchQueue::run(std::vector<Waiting> batch) {
  const auto now = Clock::now();
  std::vector<Waiting> late;
  std::erase_if(batch, [&](Waiting& each) {
    if (seconds_between(each.since, now) <= options_.longest_seconds) return false;
    late.push_back(std::move(each));
    return true;
  });
  for (const Waiting& each : late) {
    each.job->late = true;
    finish(each);
  }
  if (batch.empty()) return;
  std::vector<const Tensor*> inputs;
  std::vector<Outputs*> outputs;
  for (const Waiting& each : batch) {
    const double waited = seconds_between(each.since, now);
    each.job->metrics->waited(waited);
    each.job->queued = std::max(each.job->queued, waited);
    inputs.push_back(&each.job->inputs[each.picture]);
    outputs.push_back(&each.job->outputs[each.picture]);
  }
  std::string failure;
  const Stopwatch clock;
  try {
    batch.front().job->network->run(inputs, outputs);
    const double seconds = clock.seconds();
    batch.front().job->metrics->ran(batch.size(), seconds);
    for (const Waiting& each : batch) each.job->ran = std::max(each.job->ran, seconds);
  } catch (const std::exception& error) {
    failure = error.what();
  }
  for (const Waiting& each : batch) {
    if (!failure.empty()) each.job->failure = failure;
    each.job->network->give_back(std::move(each.job->inputs[each.picture]));
    finish(each);
  }
}

void BatchQueue::finish(const Waiting& waiting) {
  if (--waiting.job->left == 0) waiting.job->done(*waiting.job);
}

void Admission::grow_to(size_t pictures) {
  if (pictures <= pictures_) return;
  if (!metrics_->enter(pictures - pictures_, most_))
    throw overloaded(fmt::format("the model's queue is full: {} pictures wait, and at most {} may",
                                 metrics_->depth(), most_));
  pictures_ = pictures;
}

}  // namespace marrow::serve
