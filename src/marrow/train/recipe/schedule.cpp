#include "marrow/train/recipe/schedule.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

namespace marrow::train {
namespace {

// All rounding of the recipe is half to even, which is the processor's default.
int64_t round_half_even(double x) {
  return static_cast<int64_t>(std::nearbyint(x));
}

double interpolate(double x, double end, double from, double to) {
  return x >= end ? to : from + (to - from) / end * x;
}

}  // namespace

Schedule::Schedule(const ScheduleOptions& options) : options_(options) {
  assert(options.batches_per_epoch > 0 && options.epochs > 0 && options.batch > 0 &&
         options.nominal_batch > 0);
  if (options.warmup_epochs <= 0) return;
  const auto batches = static_cast<double>(options.batches_per_epoch);
  if (options.rules == Rules::k83) {
    warmup_ = std::max(round_half_even(options.warmup_epochs * batches), kMinWarmupIterations);
    return;
  }
  const double epochs = std::min(options.warmup_epochs, static_cast<double>(options.epochs - 1));
  if (const int64_t iterations = round_half_even(epochs * batches); iterations > 0) warmup_ = iterations;
}

// Towards which the warm-up accumulates.
double Schedule::batches_of_step() const {
  const double nominal = static_cast<double>(options_.nominal_batch) / options_.batch;
  if (options_.rules == Rules::k83) return nominal;
  const double whole = std::max(std::nearbyint(nominal), 1.0);
  const auto all = static_cast<double>(options_.batches_per_epoch) * options_.epochs;
  return options_.timed ? whole : std::min(whole, all);
}

double Schedule::lr_factor(int epoch) const {
  const double x = static_cast<double>(epoch) / options_.epochs;
  if (options_.cosine)
    return std::max((1 - std::cos(std::numbers::pi * x)) / 2, 0.0) * (options_.lrf - 1) + 1;
  return std::max(1 - x, 0.0) * (1 - options_.lrf) + options_.lrf;
}

IterationSettings Schedule::at(int64_t iteration) const {
  const ScheduleOptions& o = options_;
  const double lr = o.lr0 * lr_factor(static_cast<int>(iteration / o.batches_per_epoch));
  const double nominal_batches = batches_of_step();
  const auto at_least_one = [](double x) {
    return static_cast<int>(std::max<int64_t>(round_half_even(x), 1));
  };
  if (iteration > warmup_)
    return {lr, lr, warmup_ < 0 ? o.own_momentum : o.momentum, at_least_one(nominal_batches)};
  const double x = static_cast<double>(iteration);
  const double end = static_cast<double>(warmup_);
  return {interpolate(x, end, o.warmup_bias_lr, lr), interpolate(x, end, 0.0, lr),
          interpolate(x, end, o.warmup_momentum, o.momentum),
          at_least_one(interpolate(x, end, 1.0, nominal_batches))};
}

bool Schedule::steps_after(int64_t iteration, int64_t last_step) const {
  return iteration - last_step >= at(iteration).accumulate;
}

std::optional<int64_t> Schedule::last_step_of_epoch(int epoch, int64_t last_step) const {
  std::optional<int64_t> found;
  const int64_t first = epoch * options_.batches_per_epoch;
  for (int64_t i = first; i < first + options_.batches_per_epoch; ++i)
    if (steps_after(i, last_step)) {
      last_step = i;
      found = i;
    }
  return found;
}

double Schedule::scaled_weight_decay(double weight_decay) const {
  const double steps =
      std::max(std::nearbyint(static_cast<double>(options_.nominal_batch) / options_.batch), 1.0);
  return weight_decay * options_.batch * steps / options_.nominal_batch;
}

}  // namespace marrow::train
