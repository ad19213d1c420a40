#include "marrow/train/native/native_executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>

#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/engine/engine.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/train/native/output_losses.h"
#include "marrow/train/native/program.h"
#include "marrow/train/native/steps/input.h"
#include "marrow/train/recipe/progress.h"
#include "marrow/train/step/flat_optimizer.h"
#include "marrow/train/step/flat_parameters.h"

namespace marrow::train {
namespace {

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
    load(start);
  }

  std::vector<double> accumulate(const TrainingBatch& batch, const TrainingPlace& place,
                                 double loss_scale) override {
    Program& program = program_for(batch);
    loss_->check(batch, program.images().front());
    program.forward(inputs_of(batch), place, version_);
    if (!has_gradients_) {
      std::ranges::fill(parameters_.all_gradients(), 0.0F);
      for (const std::string& name : program.trained()) parameters_.set_has_gradient(name);
      has_gradients_ = true;
    }
    std::vector<loss::MapView<const float>> outputs;
    std::vector<loss::MapView<float>> gradients;
    for (size_t i = 0; i < program.outputs(); ++i) {
      outputs.push_back(program.output(i));
      gradients.push_back(program.output_gradient(i));
    }
    std::vector<double> terms = (*loss_)({outputs, gradients, loss_scale, place.epoch, pool_}, batch);
    if (std::ranges::all_of(terms, [](double term) { return std::isfinite(term); })) program.backward();
    return terms;
  }

  double clip_gradients(double max_norm, double factor) override {
    return optimizer_.clip_gradients(max_norm, factor, pool_);
  }

  void update(const IterationSettings& settings) override {
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
    const std::vector<OutputRange> ranges = loss_->ranges();
    std::vector<Value> wanted(targets.begin(), targets.end());
    for (const OutputRange& range : ranges)
      if (std::ranges::find(wanted, range.value) == wanted.end()) wanted.push_back(range.value);
    engine::Engine& engine = engine_for(batch.images.shape(), wanted);
    engine.run(native::ready_images(input(), batch.images));
    Evaluation evaluation;
    for (size_t i = 0; i < targets.size(); ++i) evaluation.outputs.push_back(engine.output(i).clone());
    std::vector<loss::MapView<const float>> outputs;
    for (const OutputRange& range : ranges) {
      const auto place = static_cast<size_t>(std::ranges::find(wanted, range.value) - wanted.begin());
      outputs.push_back(view_of(engine.output(place), range.begin, range.end));
    }
    evaluation.losses = (*loss_)({outputs, {}, 1, 0, pool_}, batch);
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
    weights_changed();
    drop_gradients();
  }

  void set_scalar(std::string_view name, double value) override {
    parameters_.set_scalar(name, value);
    average_.reset();
  }

  std::string first_non_finite(const TrainingBatch& batch, const TrainingPlace& place) override {
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
    return program_for(batch).first_non_finite(inputs_of(batch), place, version_);
  }
  std::string non_finite_parameter() const override { return parameters_.non_finite_parameter(); }
  std::string non_finite_gradient() const override { return parameters_.non_finite_gradient(); }

  int64_t bytes_in_use() const override { return resident_bytes(); }

 private:
  // The averaged weights, collapsed into their deploy form, compiled for the shapes that came.
  struct Average {
    std::vector<Value> targets;
    passes::GraphWithWeights network;
    std::deque<std::pair<Shape, engine::Engine>> engines;
  };

  const Input& input() const { return std::get<Input>(graph_.nodes.front().operation); }

  void weights_changed() {
    ++version_;
    average_.reset();
  }

  std::span<const Tensor> inputs_of(const TrainingBatch& batch) const {
    if (settings_.given.empty()) return {&batch.images, 1};
    return batch.features.maps;
  }

  Program& program_for(const TrainingBatch& batch) {
    const Shape& images = settings_.given.empty() ? batch.images.shape() : batch.features.images;
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
                                                          .apart = loss_->apart()},
                                  parameters_, native::kernels_of(level_), workspace_, pool_));
    return *programs_.front();
  }

  engine::Engine& engine_for(const Shape& images, std::span<const Value> targets) {
    if (!average_ || !std::ranges::equal(average_->targets, targets)) {
      Graph graph = graph_;
      graph.taps.clear();
      graph.outputs.clear();
      for (const Value target : targets)
        graph.outputs.push_back({fmt::format("target{}", graph.outputs.size()), target});
      average_.emplace(
          Average{{targets.begin(), targets.end()},
                  passes::deploy({std::move(graph), parameters_.average()}, {.threads = pool_.threads()}),
                  {}});
    }
    for (auto& [shape, engine] : average_->engines)
      if (shape == images) return engine;
    engine::EngineOptions options;
    options.threads = pool_.threads();
    options.deploy = false;
    if (average_->engines.size() == kMostPrograms) average_->engines.pop_front();
    average_->engines.emplace_back(
        images, engine::Engine(average_->network.graph, average_->network.weights, images, {}, options));
    return average_->engines.back().second;
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
  std::optional<Average> average_;
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
          .threads = options.threads > 0 ? options.threads : cpu::available_threads(),
          .make_executor = make_native_executor};
}

}  // namespace marrow::train
