#include "marrow/train/native/native_executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>

#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/train/native/average_engines.h"
#include "marrow/train/native/blank_image.h"
#include "marrow/train/native/output_losses.h"
#include "marrow/train/native/program.h"
#include "marrow/train/native/steps/input.h"
#include "marrow/train/recipe/progress.h"
#include "marrow/train/step/flat_optimizer.h"
#include "marrow/train/step/flat_parameters.h"
#include "marrow/train/step/workers.h"

namespace marrow::train {
namespace {

using loss::WholeBatch;
using native::LossOfOutputs;
using native::OutputRange;
using native::Program;

constexpr const char* kProcessor = "cpu";
constexpr const char* kFloat32 = "float32";
constexpr const char* kBfloat16 = "bf16";

// Programs of the latest shapes are kept: rectangular batches and a varying size bring a few of them.
constexpr size_t kMostPrograms = 8;

// A range of a tensor (N, C, H, W) or (N, C).
loss::MapView<const float> view_of(const Tensor& tensor, int begin, int end) {
  const int64_t height = tensor.shape().size() == 4 ? tensor.dim(2) : 1;
  const int64_t width = tensor.shape().size() == 4 ? tensor.dim(3) : 1;
  return {tensor.values().data() + begin * height * width,
          tensor.dim(0),
          end - begin,
          height,
          width,
          1,
          tensor.dim(1) * height * width};
}

class NativeExecutor final : public TrainingExecutor {
 public:
  NativeExecutor(const Graph& graph, const ExecutorState& start, const ExecutorSettings& settings)
      : graph_(graph),
        settings_(settings),
        level_(cpu::choose_simd_level()),
        pool_(settings.threads),
        parameters_(graph, settings.frozen),
        optimizer_(parameters_, settings.groups, settings.optimizer, settings.beta1),
        loss_(native::loss_of(graph_, settings.objective)) {
    if (settings.workers != nullptr) gradient_sum_.emplace(parameters_, *settings.workers);
    load(start);
  }

  std::vector<double> accumulate(const TrainingBatch& batch, const TrainingPlace& place, double loss_scale,
                                 Then then) override {
    if (lacks_images(batch)) return accumulate_without_images(batch, place, then);
    Program& program = program_for(batch);
    loss_->check(batch, program.images().front());
    program.forward(inputs_of(batch), place, version_);
    begin_gradients(program);
    const WholeBatch whole = whole_batch(batch);
    std::vector<double> terms = run_loss(program, batch, place, loss_scale, whole);
    add_up(terms, batch);
    if (all_finite(terms)) program.backward(reducing(program, then));
    return terms;
  }

  double clip_gradients(double max_norm, double factor) override {
    return optimizer_.clip_gradients(max_norm, factor, pool_);
  }

  void update(const IterationSettings& settings) override {
    if (settings_.workers != nullptr && !settings_.workers->settings().sync_batch_norm)
      settings_.workers->average_statistics(parameters_, settings_.frozen);
    optimizer_.update(settings, pool_);
    weights_changed();
    drop_gradients();
  }

  void drop_gradients() override {
    parameters_.drop_gradients();
    has_gradients_ = false;
  }

  Weights gradients() const override {
    Weights gradients;
    for (const FlatParameters::Entry& entry : parameters_.entries())
      if (entry.has_gradient)
        gradients[entry.name] = Tensor::from(entry.shape, parameters_.gradient(entry.name));
    return gradients;
  }

  Evaluation evaluate_average(const TrainingBatch& batch, std::span<const Value> targets) override {
    Evaluation evaluation;
    const WholeBatch whole = whole_batch(batch);
    evaluation.all_images = whole.images(batch.images.dim(0));
    if (lacks_images(batch)) {
      evaluation.losses = losses_without_images(batch, whole);
      return evaluation;
    }
    const std::vector<OutputRange> ranges = loss_->ranges();
    const std::vector<Value> wanted = with_ranges(targets);
    engine::Engine& engine = engine_for(batch.images.shape(), wanted);
    engine.run(native::ready_images(input(), batch.images));
    for (size_t i = 0; i < targets.size(); ++i) evaluation.outputs.push_back(engine.output(i).clone());
    std::vector<loss::MapView<const float>> outputs;
    for (const OutputRange& range : ranges) {
      const auto place = static_cast<size_t>(std::ranges::find(wanted, range.value) - wanted.begin());
      outputs.push_back(view_of(engine.output(place), range.begin, range.end));
    }
    evaluation.losses = (*loss_)({outputs, {}, 1, 0, pool_, whole}, batch);
    add_up(evaluation.losses, batch);
    return evaluation;
  }

  ExecutorState state() const override {
    FlatOptimizer::State optimizer = optimizer_.state();
    return {.weights = parameters_.weights(),
            .average = parameters_.average(),
            .optimizer = std::move(optimizer.tensors),
            .optimizer_steps = optimizer.steps,
            .momentum_product = optimizer.momentum_product,
            .average_updates = optimizer.average_updates};
  }

  void load(const ExecutorState& state) override {
    parameters_.load(state.weights, state.average);
    optimizer_.load({.tensors = state.optimizer,
                     .steps = state.optimizer_steps,
                     .momentum_product = state.momentum_product,
                     .average_updates = state.average_updates});
    if (settings_.workers != nullptr) settings_.workers->share_state(graph_, parameters_, optimizer_);
    weights_changed();
    drop_gradients();
  }

  void set_scalar(std::string_view name, double value) override {
    parameters_.set_scalar(name, value);
    average_.reset();
  }

  std::string first_non_finite(const TrainingBatch& batch, const TrainingPlace& place) override {
    // All workers go through the whole program, whatever they find before it.
    if (lacks_images(batch)) {
      program_for(native::blank_image(batch, settings_.objective)).forward_without_images(false);
      return {};
    }
    const std::string in_program = program_for(batch).first_non_finite(inputs_of(batch), place, version_);
    const std::string before = first_non_finite_before(batch);
    return before.empty() ? in_program : before;
  }
  std::string non_finite_parameter() const override { return parameters_.non_finite_parameter(); }
  std::string non_finite_gradient() const override { return parameters_.non_finite_gradient(); }

  int64_t bytes_in_use() const override { return resident_bytes(); }

  int64_t evaluation_bytes(const Shape& images, std::span<const Value> targets) override {
    const engine::Engine& engine = engine_for(images, with_ranges(targets));
    int64_t bytes = engine.bytes() + element_count(images) * static_cast<int64_t>(sizeof(float));
    for (size_t i = 0; i < targets.size(); ++i) bytes += static_cast<int64_t>(engine.output(i).byte_size());
    for (const auto& [name, weight] : parameters_.average())  // as they are deployed, and as they are packed
      bytes += 2 * static_cast<int64_t>(weight.byte_size());
    average_.reset();
    return bytes;
  }

 private:
  // The targets, and what the loss reads.
  std::vector<Value> with_ranges(std::span<const Value> targets) const {
    std::vector<Value> wanted(targets.begin(), targets.end());
    for (const OutputRange& range : loss_->ranges())
      if (std::ranges::find(wanted, range.value) == wanted.end()) wanted.push_back(range.value);
    return wanted;
  }

  std::string first_non_finite_before(const TrainingBatch& batch) {
    const auto is_finite = [](std::span<const float> values) {
      return std::ranges::all_of(values, [](float x) { return std::isfinite(x); });
    };
    if (settings_.given.empty()) {
      if (!is_finite(native::ready_images(input(), batch.images).values())) return "the input";
    } else {
      for (const Tensor& map : batch.features.maps)
        if (!is_finite(map.values())) return "what the frozen layers make of the input";
    }
    // Statistics follow from what was computed.
    for (const FlatParameters::Entry& entry : parameters_.entries())
      if (entry.role != ParameterRole::kRunningMean && entry.role != ParameterRole::kRunningVar)
        if (!is_finite(parameters_.value(entry.name))) return fmt::format("parameter '{}'", entry.name);
    return {};
  }

  static bool all_finite(std::span<const double> terms) {
    return std::ranges::all_of(terms, [](double term) { return std::isfinite(term); });
  }

  void begin_gradients(const Program& program) {
    if (has_gradients_) return;
    std::ranges::fill(parameters_.all_gradients(), 0.0F);
    for (const Program::Trained& trained : program.trained()) parameters_.set_has_gradient(trained.name);
    has_gradients_ = true;
  }

  std::vector<double> run_loss(Program& program, const TrainingBatch& batch, const TrainingPlace& place,
                               double loss_scale, const WholeBatch& whole) {
    std::vector<loss::MapView<const float>> outputs;
    std::vector<loss::MapView<float>> gradients;
    for (size_t i = 0; i < program.outputs(); ++i) {
      outputs.push_back(program.output(i));
      gradients.push_back(program.output_gradient(i));
    }
    return (*loss_)({outputs, gradients, loss_scale, place.epoch, pool_, whole}, batch);
  }

  bool is_shared(const TrainingBatch& batch) const { return settings_.workers != nullptr && batch.is_part; }
  bool lacks_images(const TrainingBatch& batch) const {
    return is_shared(batch) && images_of(batch).front() == 0;
  }
  WholeBatch whole_batch(const TrainingBatch& batch) const {
    return is_shared(batch) ? settings_.workers->whole_batch(images_of(batch).front()) : WholeBatch();
  }
  // Over all workers.
  void add_up(std::span<double> terms, const TrainingBatch& batch) const {
    if (is_shared(batch)) settings_.workers->communicator().sum(terms);
  }

  // What tells the sum of the gradients how far the pass is; nothing where no sum is wanted.
  std::function<void(size_t)> reducing(const Program& program, Then then) {
    if (!gradient_sum_ || then != Then::kUpdate) return {};
    std::vector<GradientSum::Completion> completions;
    for (const auto& [name, step] : program.trained())
      completions.push_back({parameters_.index_of(name), step});
    gradient_sum_->begin(completions);
    return [this](size_t step) {
      gradient_sum_->reached(step);
      if (step == 0) gradient_sum_->finish();
    };
  }

  // The part of a worker that has none of the batch's images: zeros, and what the others wait for.
  std::vector<double> accumulate_without_images(const TrainingBatch& batch, const TrainingPlace& place,
                                                Then then) {
    const TrainingBatch blank = native::blank_image(batch, settings_.objective);
    Program& program = program_for(blank);
    program.forward_without_images(true);
    begin_gradients(program);
    const WholeBatch whole = whole_batch(batch);
    std::vector<double> terms = run_loss(program, blank, place, 1, whole);
    std::ranges::fill(terms, 0);
    add_up(terms, batch);
    if (all_finite(terms)) program.backward_without_images(reducing(program, then));
    return terms;
  }

  // Of all the others.
  std::vector<double> losses_without_images(const TrainingBatch& batch, const WholeBatch& whole) {
    const TrainingBatch blank = native::blank_image(batch, settings_.objective);
    Program& program = program_for(blank);
    program.clear_outputs();
    std::vector<double> losses = run_loss(program, blank, {}, 1, whole);
    std::ranges::fill(losses, 0);
    add_up(losses, batch);
    return losses;
  }

  const Input& input() const { return std::get<Input>(graph_.nodes.front().operation); }

  void weights_changed() {
    ++version_;
    average_.reset();
  }

  Workers* syncing_workers() const {
    const bool syncs = settings_.workers != nullptr && settings_.workers->settings().sync_batch_norm;
    return syncs ? settings_.workers : nullptr;
  }

  std::span<const Tensor> inputs_of(const TrainingBatch& batch) const {
    if (settings_.given.empty()) return {&batch.images, 1};
    return batch.features.maps;
  }

  const Shape& images_of(const TrainingBatch& batch) const {
    return settings_.given.empty() ? batch.images.shape() : batch.features.images;
  }

  Program& program_for(const TrainingBatch& batch) {
    const Shape& images = images_of(batch);
    const auto known = std::ranges::find_if(programs_, [&](const auto& p) { return p->images() == images; });
    if (known != programs_.end()) {
      std::rotate(programs_.begin(), known, known + 1);
      return *programs_.front();
    }
    if (programs_.size() == kMostPrograms) programs_.pop_back();
    programs_.push_front(
        std::make_unique<Program>(graph_, images,
                                  native::ProgramSettings{.outputs = loss_->ranges(),
                                                          .frozen = settings_.frozen,
                                                          .given = settings_.given,
                                                          .bfloat16 = settings_.precision == kBfloat16,
                                                          .apart = loss_->apart(),
                                                          .workers = syncing_workers()},
                                  parameters_, native::kernels_of(level_), workspace_, pool_));
    return *programs_.front();
  }

  engine::Engine& engine_for(const Shape& images, const std::vector<Value>& targets) {
    if (!average_ || average_->targets() != targets)
      average_.emplace(graph_, parameters_.average(), targets, pool_.threads());
    return average_->of(images);
  }

  Graph graph_;
  ExecutorSettings settings_;
  cpu::SimdLevel level_;
  cpu::ThreadPool pool_;
  FlatParameters parameters_;
  FlatOptimizer optimizer_;
  std::unique_ptr<LossOfOutputs> loss_;
  native::Workspace workspace_;
  std::deque<std::unique_ptr<Program>> programs_;  // the latest first
  int64_t version_ = 0;                            // of the weights
  bool has_gradients_ = false;
  std::optional<GradientSum> gradient_sum_;  // with other workers
  std::optional<native::AverageEngines> average_;
};

bool multiplies_bfloat16() {
  return native::has_pair_products(cpu::choose_simd_level());
}

// What a run's `amp` means here; says so where it is not what was asked for.
std::string precision_of(const std::string& amp) {
  if (amp == kBfloat16 && multiplies_bfloat16()) return kBfloat16;
  if (amp == kBfloat16)
    talk("amp: bf16 wants a processor with AVX-512 BF16; all is computed in float32");
  else if (amp == "fp16")
    talk("amp: fp16 is for CUDA; on a processor all is computed in float32");
  return kFloat32;
}

}  // namespace

std::unique_ptr<TrainingExecutor> make_native_executor(const Graph& graph, const ExecutorState& start,
                                                       const ExecutorSettings& settings) {
  if (settings.device != kProcessor)
    throw Error(ErrorKind::kUsage,
                fmt::format("device '{}': this trains on the processor alone", settings.device));
  const bool narrow = settings.precision == kBfloat16 && multiplies_bfloat16();
  if (settings.precision != kFloat32 && !narrow)
    throw Error(ErrorKind::kUsage,
                fmt::format("precision '{}': this processor trains in {}", settings.precision,
                            multiplies_bfloat16() ? "float32 or bf16" : "float32 alone"));
  return std::make_unique<NativeExecutor>(graph, start, settings);
}

TrainingBackend native_backend(const TrainOptions& options) {
  if (!options.device.empty() && options.device != kProcessor)
    throw Error(ErrorKind::kUsage,
                fmt::format("device '{}': this trains on the processor alone", options.device));
  if (options.channels_last) talk("channels_last: is for LibTorch; maps here have a layout of their own");
  return {.device = kProcessor,
          .precision = precision_of(options.amp),
          .threads = cpu::thread_count(options.threads),
          .make_executor = make_native_executor};
}

}  // namespace marrow::train
