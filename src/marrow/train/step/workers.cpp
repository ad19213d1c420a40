#include "marrow/train/step/workers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "marrow/base/crc32.h"
#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/graph/training_mode.h"

namespace marrow::train {

loss::WholeBatch Workers::whole_batch(int64_t images) {
  loss::WholeBatch whole;
  whole.all_images = static_cast<int64_t>(communicator_.sum(static_cast<double>(images)));
  const bool counts = images > 0;
  whole.sum = [this, counts](double part) { return communicator_.sum(counts ? part : 0); };
  return whole;
}

void Workers::share_state(const Graph& graph, FlatParameters& parameters, FlatOptimizer& optimizer) {
  std::vector<std::span<float>> buffers = {parameters.all_weights(), parameters.all_average()};
  for (const std::span<float> moments : optimizer.all_moments()) buffers.push_back(moments);
  const FlatOptimizer::State state = optimizer.state();
  std::string rest = fmt::format("{} {} {}", state.steps, state.momentum_product, state.average_updates);
  for (const auto& [name, tensor] : state.tensors) rest += " " + name;
  for (const Parameter& parameter : graph.parameters)
    if (parameter.role == ParameterRole::kCounter)
      rest += fmt::format(" {}", parameters.counter(parameter.name));

  uint32_t sum = crc32(std::as_bytes(std::span(rest)));
  for (const std::span<float> buffer : buffers) {
    communicator_.broadcast(std::as_writable_bytes(buffer));
    const std::array<uint32_t, 2> both = {sum, crc32(std::as_bytes(buffer))};
    sum = crc32(std::as_bytes(std::span(both)));
  }
  const std::vector<std::string> sums =
      communicator_.gather({reinterpret_cast<const char*>(&sum), sizeof sum});
  double other = 0;
  for (size_t rank = 1; rank < sums.size() && other == 0; ++rank)
    if (sums[rank] != sums[0]) other = static_cast<double>(rank);
  if (const auto rank = static_cast<int>(communicator_.from_first(other)); rank != 0)
    throw Error(ErrorKind::kModel,
                fmt::format("{} has other weights or another state of the optimizer than {}",
                            communicator_.name(rank), communicator_.name(0)));
}

void Workers::average_statistics(FlatParameters& parameters, const std::vector<std::string>& frozen) {
  const auto visit = [&](const auto& use) {
    for (const FlatParameters::Entry& entry : parameters.entries())
      if ((entry.role == ParameterRole::kRunningMean || entry.role == ParameterRole::kRunningVar) &&
          !is_frozen(entry.name, frozen))
        use(parameters.value(entry.name));
  };
  std::vector<float> statistics;
  visit([&](std::span<float> values) { statistics.insert(statistics.end(), values.begin(), values.end()); });
  communicator_.begin_sum(statistics).wait();
  auto next = statistics.begin();
  const auto workers = static_cast<float>(communicator_.size());
  visit([&](std::span<float> values) {
    for (float& value : values) value = *next++ / workers;
  });
}

GradientSum::GradientSum(FlatParameters& parameters, Workers& workers, int64_t bucket_floats)
    : parameters_(parameters), workers_(workers), bucket_of_(parameters.entries().size()) {
  const auto& entries = parameters.entries();
  for (size_t i = entries.size(); i-- > 0;) {
    if (!entries[i].trained) continue;
    if (buckets_.empty() || buckets_.back().end - buckets_.back().begin >= bucket_floats)
      buckets_.push_back({entries[i].end(), entries[i].end()});
    buckets_.back().begin = entries[i].begin;
    bucket_of_[i] = buckets_.size() - 1;
  }
  next_ = buckets_.size();
}

GradientSum::~GradientSum() {
  try {
    for (distributed::Communicator::Pending& one : pending_) one.wait();
  } catch (const std::exception& error) {
    debug(error.what());  // the caller has been told
  }
}

void GradientSum::begin(std::span<const Completion> completions) {
  constexpr size_t kAtOnce = SIZE_MAX;  // nothing adds to it
  for (Bucket& bucket : buckets_) bucket.step = kAtOnce;
  for (const auto& [entry, step] : completions) {
    Bucket& bucket = buckets_[bucket_of_[entry]];
    bucket.step = std::min(bucket.step, step);
  }
  next_ = 0;
}

void GradientSum::reached(size_t step) {
  while (next_ < buckets_.size() && buckets_[next_].step >= step) send_next();
}

void GradientSum::send_next() {
  const Bucket& bucket = buckets_[next_++];
  pending_.push_back(workers_.communicator().begin_sum(
      parameters_.all_gradients().subspan(static_cast<size_t>(bucket.begin),
                                          static_cast<size_t>(bucket.end - bucket.begin)),
      workers_.settings().travel));
}

void GradientSum::finish() {
  while (next_ < buckets_.size()) send_next();
  for (distributed::Communicator::Pending& one : pending_) one.wait();
  pending_.clear();
}

}  // namespace marrow::train
