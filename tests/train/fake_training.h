// A task and an executor made for tests of the training loop: they pull one bias towards the number of the
// batch, by plain loops, and leave anything else alone.
#pragma once

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "marrow/train/step/training_executor.h"
#include "marrow/train/task.h"

namespace marrow::testing {

inline constexpr const char* kFakeBias = "model.8.cv3.0.2.bias";

// What the two do, and what was seen of them.
struct FakeTraining {
  std::function<bool(int64_t iteration, uint64_t seed)> bad = [](int64_t, uint64_t) { return false; };
  // A gradient beyond this becomes infinite, as in half precision.
  float largest_gradient = std::numeric_limits<float>::infinity();
  std::vector<double> fitness = {0.5};  // of validations in turn; the last one's from then on

  std::vector<train::Task::Place> starts;
  std::vector<int64_t> seen;        // iterations
  std::vector<double> loss_scales;  // of them
  std::vector<float> latest_bias;   // of the trained model, at a validation
  int validations = 0;
  int updates = 0;
};

class FakeTask : public train::Task {
 public:
  explicit FakeTask(FakeTraining& training) : training_(training) {}

  std::vector<std::string> loss_names() const override { return {"loss"}; }
  std::vector<std::string> result_columns() const override {
    return {"epoch", "time", "train/loss", "fitness", "val/loss"};
  }
  int64_t batches_per_epoch() const override { return 5; }
  int64_t images() const override { return 5; }
  void start(const Place& place) override {
    training_.starts.push_back(place);
    next_ = place.epoch * batches_per_epoch() + place.batch;
  }
  train::Objective objective() const override { return train::ClassificationObjective(); }
  Batch next() override {
    training_.seen.push_back(next_);
    Batch batch;
    batch.place = {training_.starts.back().seed, 0, next_++};
    batch.images = 1;
    return batch;
  }
  Validation validate(train::TrainingExecutor& executor, bool, const std::function<bool()>&) override {
    ++training_.validations;
    const Tensor bias = executor.state().weights.at(kFakeBias);
    training_.latest_bias.assign(bias.values().begin(), bias.values().end());
    const std::vector<double>& fitness = training_.fitness;
    return found(fitness.at(std::min(validated_++, fitness.size() - 1)));
  }
  double waited_seconds() const override { return 0; }

 protected:
  static Validation found(double fitness) { return {{{fitness}, {0.5}, fitness}, "", "", ""}; }

 private:
  FakeTraining& training_;
  int64_t next_ = 0;
  size_t validated_ = 0;
};

class FakeExecutor : public train::TrainingExecutor {
 public:
  FakeExecutor(const train::ExecutorState& start, FakeTraining& training) : training_(training) {
    FakeExecutor::load(start);
  }

  std::vector<double> accumulate(const train::TrainingBatch&, const TrainingPlace& place, double loss_scale,
                                 Then) override {
    training_.loss_scales.push_back(loss_scale);
    const auto iteration = static_cast<double>(place.position);
    if (training_.bad(place.position, place.seed)) return {std::nan("")};
    for (size_t k = 0; k < gradient_.size(); ++k) {
      const auto more = static_cast<float>(2 * (bias()[k] - iteration) * loss_scale);
      gradient_[k] += std::abs(more) > training_.largest_gradient ? std::copysign(INFINITY, more) : more;
    }
    return {1 + iteration};
  }
  double clip_gradients(double max_norm, double factor) override {
    double squares = 0;
    for (float& value : gradient_) {
      value *= static_cast<float>(factor);
      squares += static_cast<double>(value) * value;
    }
    const double norm = std::sqrt(squares);
    for (float& value : gradient_) value *= static_cast<float>(std::min(1.0, max_norm / norm));
    return norm;
  }
  void update(const train::IterationSettings& settings) override {
    ++training_.updates;
    Tensor& moment = state_.optimizer["momentum/" + std::string(kFakeBias)];
    if (!moment.defined()) moment = Tensor(state_.weights.at(kFakeBias).shape());
    for (size_t k = 0; k < gradient_.size(); ++k) {
      float& velocity = moment.values()[k];
      velocity = static_cast<float>(settings.momentum * velocity + gradient_[k]);
      bias()[k] -= static_cast<float>(settings.bias_lr * velocity);
      float& average = state_.average.at(kFakeBias).values()[k];
      average += (bias()[k] - average) / 2;
    }
    ++state_.optimizer_steps;
    ++state_.average_updates;
    drop_gradients();
  }
  void drop_gradients() override { gradient_.assign(bias().size(), 0); }
  Weights gradients() const override { return {}; }
  Evaluation evaluate_average(const train::TrainingBatch&, std::span<const Value>) override { return {}; }
  train::ExecutorState state() const override { return copy_of(state_); }
  void load(const train::ExecutorState& state) override {
    state_ = copy_of(state);
    drop_gradients();
  }
  void set_scalar(std::string_view, double) override {}
  std::string first_non_finite(const train::TrainingBatch&, const TrainingPlace&) override {
    return "conv (model.3)";
  }
  std::string non_finite_parameter() const override { return {}; }
  std::string non_finite_gradient() const override {
    for (const float value : gradient_)
      if (!std::isfinite(value)) return kFakeBias;
    return {};
  }
  int64_t bytes_in_use() const override { return 0; }

 private:
  static train::ExecutorState copy_of(const train::ExecutorState& state) {
    train::ExecutorState copy = state;
    for (Weights* tensors : {&copy.weights, &copy.average, &copy.optimizer})
      for (auto& [name, tensor] : *tensors) tensor = tensor.clone();
    return copy;
  }
  std::span<float> bias() { return state_.weights.at(kFakeBias).values(); }

  FakeTraining& training_;
  train::ExecutorState state_;
  std::vector<float> gradient_;  // of the bias
};

inline train::TrainingBackend fake_backend(FakeTraining& training) {
  train::TrainingBackend backend;
  backend.make_executor = [&training](const Graph&, const train::ExecutorState& start,
                                      const train::ExecutorSettings&) {
    return std::make_unique<FakeExecutor>(start, training);
  };
  return backend;
}

}  // namespace marrow::testing
