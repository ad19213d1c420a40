#include "marrow/train/trainer.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numbers>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/random.h"
#include "marrow/base/stopwatch.h"
#include "marrow/base/talk.h"
#include "marrow/train/run_plots.h"
#include "marrow/train/stop_request.h"
#include "marrow/weights/safetensors.h"

namespace marrow::train {
namespace {

constexpr double kLargestNorm = 10.0;  // of all gradients together
constexpr int kMostRecoveries = 3;
constexpr int64_t kBatchesBeforeEstimate = 4;  // after the first one, which is slow
constexpr size_t kColumnsAside = 2;            // of results.csv: epoch and time

bool all_finite(const std::vector<double>& values) {
  for (const double value : values)
    if (!std::isfinite(value)) return false;
  return true;
}

int64_t bytes_of(const ExecutorState& state) {
  size_t bytes = 0;
  for (const Weights* part : {&state.weights, &state.average, &state.optimizer})
    for (const auto& [name, tensor] : *part) bytes += tensor.byte_size();
  return static_cast<int64_t>(bytes);
}

OptimizerChoice choice_of(const TrainOptions& o, int64_t images, int classes) {
  return choose_optimizer(o.optimizer,
                          {.lr0 = o.lr0, .momentum = o.momentum, .warmup_bias_lr = o.warmup_bias_lr}, images,
                          o.batch, o.nbs, o.epochs, classes, rules_named(o.rules));
}

// "57 weights decay by 0.0005, 57 bn, 63 bias": what the groups hold, whatever their rates.
std::string groups_text(const std::vector<ParameterGroup>& groups) {
  std::string text;
  for (const char* kind : {"muon", "weight", "bn", "bias"}) {
    size_t count = 0;
    double decay = 0;
    for (const ParameterGroup& group : groups)
      if (group.kind == kind) {
        count += group.names.size();
        decay = group.weight_decay;
      }
    if (count == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, kind);
    if (decay > 0) text += fmt::format(" (decay {:.3g})", decay);
  }
  return text;
}

}  // namespace

double activation_slope(int epoch, double epochs, const std::string& shape) {
  if (epoch >= epochs) return 1;
  const double done = epoch / epochs;
  return shape == "cos" ? 0.5 * (1 - std::cos(std::numbers::pi * done)) : done;
}

Trainer::Trainer(const TrainOptions& options, model::Model model, const TrainSnapshot& start, Task& task,
                 TrainerSettings settings)
    : options_(options),
      model_(std::move(model)),
      task_(task),
      settings_(std::move(settings)),
      state_(start.state),
      choice_(start.state.optimizer ? *start.state.optimizer
                                    : choice_of(options, task.images(), model_.classes())),
      schedule_(schedule_options()),
      groups_(parameter_groups(model_.graph, schedule_.scaled_weight_decay(options.weight_decay),
                               choice_.kind, rules_named(options.rules))),
      executor_(settings_.backend.make_executor(model_.graph, start,
                                                {.objective = task.objective(),
                                                 .groups = groups_,
                                                 .optimizer = choice_.kind,
                                                 .beta1 = choice_.momentum,
                                                 .frozen = settings_.frozen,
                                                 .given = settings_.given,
                                                 .device = settings_.backend.device,
                                                 .precision = settings_.backend.precision,
                                                 .threads = settings_.backend.threads,
                                                 .workers = settings_.workers})),
      stopping_(options.patience, start.state.best, rules_named(options.rules)),
      progress_(task.loss_names(), settings_.backend.device.starts_with("cuda") ? "GPU_mem" : "Memory",
                settings_.on_terminal),
      seconds_before_(start.state.seconds) {
  if (is_first())
    results_.emplace(settings_.folder / "results.csv", with_rates(task.result_columns(), groups_.size()),
                     start.state.epoch);
  state_.optimizer = choice_;
  state_.batch = options.batch;
  if (const std::string note =
          fit_state(state_, task.batches_per_epoch(), task.loss_names().size(), numbers_of_validation());
      !note.empty())
    talk(note);
  good_step_ = this_step();
}

ScheduleOptions Trainer::schedule_options() const {
  ScheduleOptions s;
  s.batches_per_epoch = task_.batches_per_epoch();
  s.epochs = state_.epochs;
  s.batch = options_.batch;
  s.nominal_batch = options_.nbs;
  s.lr0 = choice_.lr0;
  s.lrf = options_.lrf;
  s.cosine = options_.cos_lr;
  // `auto` chooses a momentum for the optimizer; the warm-up still ends at the one given.
  s.momentum = options_.momentum;
  s.own_momentum = choice_.momentum;
  s.warmup_epochs = options_.warmup_epochs;
  s.warmup_momentum = options_.warmup_momentum;
  s.warmup_bias_lr = choice_.warmup_bias_lr;
  s.rules = rules_named(options_.rules);
  s.timed = options_.time_hours.has_value();
  return s;
}

// After a recovery other batches are drawn, or the same loss would come again.
uint64_t Trainer::seed() const {
  return state_.recoveries == 0
             ? options_.seed
             : mix_bits(options_.seed ^ mix_bits(static_cast<uint64_t>(state_.recoveries)));
}

// Metrics and losses.
size_t Trainer::numbers_of_validation() const {
  return task_.result_columns().size() - kColumnsAside - task_.loss_names().size();
}

std::filesystem::path Trainer::weights_path(const std::string& name) const {
  return settings_.folder / "weights" / (name + ".safetensors");
}

double Trainer::elapsed() const {
  return seconds_before_ + clock_.seconds();
}

double Trainer::all_workers(double here) const {
  return settings_.workers == nullptr ? here : communicator().sum(here);
}

bool Trainer::any_worker(bool here) const {
  return all_workers(here ? 1 : 0) > 0;
}

double Trainer::first_workers(double here) const {
  return settings_.workers == nullptr ? here : communicator().from_first(here);
}

ValidationResult Trainer::first_workers(ValidationResult result) const {
  for (std::vector<double>* numbers : {&result.metrics, &result.losses})
    for (double& number : *numbers) number = first_workers(number);
  result.fitness = first_workers(result.fitness);
  return result;
}

bool Trainer::is_asked_to_stop() const {
  int64_t nothing = 0;
  return is_asked_to_stop(nothing);
}

bool Trainer::is_asked_to_stop(int64_t& number) const {
  std::array<double, 2> sums = {StopRequest::signal() != 0 ? 1.0 : 0.0, static_cast<double>(number)};
  if (settings_.workers != nullptr) communicator().sum(sums);
  number = static_cast<int64_t>(sums[1]);
  return sums[0] > 0;
}

void Trainer::go_back_to(const GoodStep& step) {
  static_cast<StepState&>(state_) = step.state;
  executor_->load(step.executor);
  stopping_ = EarlyStopping(options_.patience, state_.best, rules_named(options_.rules));
  schedule_ = Schedule(schedule_options());
}

// Over the epoch's batches so far.
double Trainer::mean_loss(size_t k) const {
  return state_.loss_sums[k] / static_cast<double>(std::max<int64_t>(state_.next_batch, 1));
}

Trainer::GoodStep Trainer::this_step() {
  state_.best = stopping_.state();
  state_.seconds = elapsed();
  return {executor_->state(), static_cast<const StepState&>(state_)};
}

TrainSnapshot Trainer::snapshot() const {
  return {good_step_.executor, TrainState{static_cast<const RunRecord&>(state_), good_step_.state}};
}

TrainSnapshot Trainer::finished(const ExecutorState& latest) const {
  TrainSnapshot end;
  end.average = latest.average;
  end.average_updates = latest.average_updates;
  end.state = state_;
  end.state.validations.clear();
  end.state.best = stopping_.state();
  end.state.last_step = end.state.epoch * task_.batches_per_epoch() - 1;
  end.state.seconds = StepState().seconds;
  return end;
}

void Trainer::write_last() {
  if (options_.save && is_first()) write_train_checkpoint(weights_path("last"), model_, snapshot(), options_);
}

void Trainer::set_activation_slopes(int epoch) {
  bool any = false;
  const double slope = activation_slope(epoch, options_.act_decay_epochs, options_.act_decay);
  for (const Parameter& parameter : model_.graph.parameters)
    if (parameter.role == ParameterRole::kScalar) {
      executor_->set_scalar(parameter.name, slope);
      any = true;
    }
  if (!any && options_.act_decay_epochs > 0)
    throw Error(ErrorKind::kUsage, "act_decay_epochs: only VanillaNet has activations that decay");
}

RunOutcome Trainer::run() {
  const StopRequest stop_request;
  talk(fmt::format("{}, lr {} to {:.3g}, momentum {}, by the rules of {}; parameters: {}",
                   kOptimizerNames[static_cast<size_t>(choice_.kind)], choice_.lr0,
                   choice_.lr0 * options_.lrf, choice_.momentum, options_.rules, groups_text(groups_)));
  set_activation_slopes(state_.epoch);
  write_last();
  task_.start({seed(), state_.epochs, state_.epoch, state_.next_batch});
  while (state_.epoch < state_.epochs) {
    switch (train_epoch()) {
      case EpochEnd::kStopped:
        return stopped();
      case EpochEnd::kDiverged:
        recover(latest_problem_);
        continue;
      case EpochEnd::kDone:
        break;
    }
    const bool goes_on = finish_epoch();
    if (is_asked_to_stop() && goes_on) return stopped();
    if (!goes_on) break;
  }
  return finish();
}

RunOutcome Trainer::stopped() {
  write_last();
  talk(fmt::format("stopped; 'marrow train --resume {}' goes on", settings_.folder.string()));
  return RunOutcome::kStopped;
}

Trainer::EpochEnd Trainer::train_epoch() {
  const int epoch = state_.epoch;
  const int64_t batches = task_.batches_per_epoch();
  set_activation_slopes(epoch);
  progress_.begin_epoch(batches);
  const double waited_before = task_.waited_seconds();
  const std::optional<int64_t> last_step = schedule_.last_step_of_epoch(epoch, state_.last_step);
  const int64_t first_batch = state_.next_batch;
  EpochLine line;
  line.epoch = epoch + 1;
  line.epochs = state_.epochs;
  line.losses.assign(state_.loss_sums.size(), 0);

  bool out_of_time = false;
  for (int64_t i = first_batch; i < batches && !out_of_time; ++i) {
    const Stopwatch clock;
    const int64_t iteration = epoch * batches + i;
    const Task::Batch batch = task_.next();
    const bool steps = schedule_.steps_after(iteration, state_.last_step);
    using Then = TrainingExecutor::Then;
    const std::vector<double> losses =
        executor_->accumulate(batch.data, batch.place, scales_loss() ? state_.loss_scale : 1,
                              steps ? Then::kUpdate : Then::kAccumulate);
    if (!all_finite(losses)) {
      latest_problem_ = fmt::format("epoch {}, batch {}: the loss is not finite; first: {}", epoch + 1, i + 1,
                                    explain_loss(batch));
      return EpochEnd::kDiverged;
    }
    for (size_t k = 0; k < losses.size(); ++k) state_.loss_sums[k] += losses[k];
    state_.next_batch = i + 1;
    if (steps) {
      if (!optimizer_step(schedule_.at(iteration))) {
        latest_problem_ = fmt::format("epoch {}, batch {}: the gradient of '{}' is not finite", epoch + 1,
                                      i + 1, latest_problem_);
        return EpochEnd::kDiverged;
      }
      state_.last_step = iteration;
      line.instances = batch.instances;
      const bool stop = is_asked_to_stop(line.instances);
      out_of_time = options_.time_hours && first_workers(elapsed()) > *options_.time_hours * kSecondsPerHour;
      if (stop || out_of_time || iteration == last_step) {
        // A checkpoint of such a model would be of no use.
        if (const std::string name = executor_->non_finite_parameter(); !name.empty()) {
          latest_problem_ = fmt::format("epoch {}, batch {}: the step made parameter '{}' not finite",
                                        epoch + 1, i + 1, name);
          return EpochEnd::kDiverged;
        }
        if (out_of_time) state_.epochs = epoch + 1;
        std::erase_if(state_.validations, [&](const auto& entry) { return entry.first < epoch; });
        good_step_ = this_step();
      }
      if (stop) return EpochEnd::kStopped;
    } else {
      line.instances = static_cast<int64_t>(all_workers(static_cast<double>(batch.instances)));
    }

    for (size_t k = 0; k < line.losses.size(); ++k) line.losses[k] = mean_loss(k);
    line.image_size = batch.image_size;
    line.memory_gb = static_cast<double>(executor_->bytes_in_use()) / 1e9;
    progress_.batch_done(line, i + 1, batch.images);
    count_towards_estimate(clock.seconds());
  }
  for (size_t k = 0; k < line.losses.size(); ++k) line.losses[k] = mean_loss(k);
  progress_.end_epoch(line, task_.waited_seconds() - waited_before);
  return EpochEnd::kDone;
}

// False when the gradients are not finite and no smaller loss scale is left to try; latest_problem_ is then
// the parameter's name.
bool Trainer::optimizer_step(const IterationSettings& settings) {
  const bool scales = scales_loss();
  const double norm = executor_->clip_gradients(kLargestNorm, scales ? 1 / state_.loss_scale : 1);
  if (!std::isfinite(norm)) {
    // Half precision overflows now and then: the step is left out and the scale halved.
    latest_problem_ = executor_->non_finite_gradient();
    if (latest_problem_.empty())
      latest_problem_ = "all parameters";  // their norm is too large to be a number
    executor_->drop_gradients();
    state_.steps_since_scale = 0;
    state_.loss_scale /= 2;
    return scales && state_.loss_scale >= 1;
  }
  executor_->update(settings);
  constexpr int kStepsToGrow = 2000;
  if (scales && ++state_.steps_since_scale == kStepsToGrow) {
    state_.steps_since_scale = 0;
    state_.loss_scale *= 2;
  }
  return true;
}

// Where a loss that is not finite comes from.
std::string Trainer::explain_loss(const Task::Batch& batch) {
  std::string first = executor_->first_non_finite(batch.data, batch.place);
  if (settings_.workers != nullptr) {
    const std::vector<std::string> found = communicator().gather(first);
    for (size_t rank = 0; rank < found.size() && first.empty(); ++rank)
      if (!found[rank].empty())
        first = fmt::format("{}, on {}", found[rank], communicator().name(static_cast<int>(rank)));
  }
  return first.empty() ? "the loss; all outputs of the network are finite" : first;
}

void Trainer::count_towards_estimate(double seconds) {
  if (batches_timed_ > kBatchesBeforeEstimate) return;
  if (batches_timed_ > 0) seconds_timed_ += seconds;
  if (++batches_timed_ <= kBatchesBeforeEstimate) return;
  const int epochs = state_.epochs - state_.epoch;
  const double total = seconds_timed_ / kBatchesBeforeEstimate *
                       static_cast<double>(task_.batches_per_epoch() * epochs - state_.next_batch);
  // Before what comes later is made to be measured: a validation, and a checkpoint, whose state is copied for
  // the file and into it.
  int64_t bytes = executor_->bytes_in_use();
  bytes += task_.validation_bytes(*executor_) + 2 * bytes_of(executor_->state());
  progress_.estimate(
      fmt::format("about {:.2f} GB of memory, and {} for {} to come, the time of validation aside",
                  static_cast<double>(bytes) / 1e9, duration_text(total), counted(epochs, "epoch")));
}

void Trainer::recover(const std::string& what) {
  if (state_.recoveries >= kMostRecoveries)
    throw Error(
        ErrorKind::kModel,
        fmt::format("{}. Training went back {} times and did not get past it. A smaller lr0{} may help", what,
                    kMostRecoveries,
                    settings_.backend.precision == "float32" ? " or a longer warm-up"
                                                             : ", a longer warm-up or --no-amp"));
  ++state_.recoveries;
  talk(fmt::format("{}. Back to the last good step ({} of {})", what, state_.recoveries, kMostRecoveries));
  go_back_to(good_step_);
  write_last();
  task_.start({seed(), state_.epochs, state_.epoch, state_.next_batch});
}

bool Trainer::is_measured(int epoch) const {
  return epoch + 1 == state_.epochs || (options_.val && (epoch + 1) % options_.val_every == 0);
}

// Nothing when a signal came meanwhile; NaN where the epoch is not measured.
std::optional<ValidationResult> Trainer::validated(int epoch) {
  if (const auto known = state_.validations.find(epoch); known != state_.validations.end())
    return known->second;
  if (!is_measured(epoch))
    return ValidationResult{.metrics = std::vector<double>(numbers_of_validation(), NAN)};
  const Task::Validation validation =
      task_.validate(*executor_, false, [this] { return is_asked_to_stop(); });
  if (is_asked_to_stop()) return {};
  talk(validation.summary);
  return first_workers(validation.result);
}

bool Trainer::finish_epoch() {
  const int epoch = state_.epoch;
  const std::optional<ValidationResult> validation = validated(epoch);
  if (!validation) return true;
  const bool measured = is_measured(epoch);
  if (measured) state_.validations[epoch] = *validation;

  std::vector<double> row = {static_cast<double>(epoch + 1), elapsed()};
  for (size_t k = 0; k < state_.loss_sums.size(); ++k) row.push_back(mean_loss(k));
  row.insert(row.end(), validation->metrics.begin(), validation->metrics.end());
  row.insert(row.end(), validation->losses.begin(), validation->losses.end());
  const IterationSettings last = schedule_.at(epoch * task_.batches_per_epoch() + state_.next_batch - 1);
  for (const ParameterGroup& group : groups_) row.push_back(rate_of(group, last));
  if (results_) results_->append(row);
  if (settings_.plots) settings_.plots->epoch_done();

  bool stop = measured && stopping_.update(epoch, validation->fitness);
  if (stop)
    talk(fmt::format("no better fitness for {}; the best was epoch {}", counted(options_.patience, "epoch"),
                     stopping_.state().best_epoch + 1));
  if (options_.save && is_first() && measured && stopping_.state().best_epoch == epoch)
    write_final_checkpoint(
        weights_path("best"), model_, executor_->state().average,
        {{"epoch", std::to_string(epoch + 1)}, {"fitness", fmt::format("{}", validation->fitness)}});
  if (options_.save && is_first() && options_.save_period > 0 && epoch % options_.save_period == 0)
    write_train_checkpoint(weights_path(fmt::format("epoch{}", epoch)), model_, snapshot(), options_);
  write_last();

  state_.epoch = epoch + 1;
  state_.next_batch = 0;
  state_.loss_sums.assign(state_.loss_sums.size(), 0);
  if (options_.time_hours) apply_time_limit();
  return !stop && state_.epoch < state_.epochs;
}

// The number of epochs that fit the time, by the mean of those so far.
void Trainer::apply_time_limit() {
  const double limit = *options_.time_hours * kSecondsPerHour;
  const double trained = first_workers(elapsed());
  const double mean = trained / state_.epoch;
  constexpr double kMostEpochs = 1e6;
  const int epochs =
      trained >= limit
          ? state_.epoch
          : std::max(static_cast<int>(std::min(std::ceil(limit / mean), kMostEpochs)), state_.epoch);
  if (epochs == state_.epochs) return;
  state_.epochs = epochs;
  schedule_ = Schedule(schedule_options());
  if (state_.epoch < epochs) task_.start({seed(), epochs, state_.epoch, 0});
}

void Trainer::leave_results(const Task::Validation& validation, const ExecutorState& latest) {
  if (settings_.plots) settings_.plots->run_done();
  if (!validation.json.empty()) write_file_atomically(settings_.folder / "predictions.json", validation.json);
  if (options_.save) write_finished_checkpoint(weights_path("last"), model_, finished(latest));
  std::fwrite(validation.report.data(), 1, validation.report.size(), stdout);
  std::fputc('\n', stdout);
}

// last.safetensors loses what only training needs at the very end, so that a run killed before can be
// resumed.
RunOutcome Trainer::finish() {
  const ExecutorState latest = executor_->state();
  const bool has_best = is_first() && std::filesystem::exists(weights_path("best"));
  if (options_.save && any_worker(has_best)) {
    ExecutorState best = latest;
    if (has_best) best.average = weights::read_safetensors(weights_path("best")).tensors;
    executor_->load(best);
  }
  talk(fmt::format("\n{} in {}; the best was epoch {}", counted(state_.epoch, "epoch"),
                   duration_text(elapsed()), stopping_.state().best_epoch + 1));
  const Task::Validation validation = task_.validate(*executor_, true, [this] { return is_asked_to_stop(); });
  if (is_asked_to_stop()) return stopped();
  if (is_first()) leave_results(validation, latest);
  if (settings_.workers != nullptr) communicator().barrier();  // or the others would not hear that it failed
  return RunOutcome::kFinished;
}

}  // namespace marrow::train
