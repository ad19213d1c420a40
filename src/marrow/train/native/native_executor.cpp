#include "marrow/train/native/native_executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>

#include "marrow/base/error.h"
#include "marrow/engine/engine.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/loss/cross_entropy.h"
#include "marrow/loss/detection_head.h"
#include "marrow/loss/detection_loss.h"
#include "marrow/train/native/program.h"
#include "marrow/train/native/steps/input.h"
#include "marrow/train/recipe/progress.h"
#include "marrow/train/step/flat_optimizer.h"
#include "marrow/train/step/flat_parameters.h"

namespace marrow::train {
namespace {

using native::OutputRange;
using native::Program;

// Programs of the latest shapes are kept: rectangular batches and a varying size bring a few of them.
constexpr size_t kMostPrograms = 8;

// What is minimised, of a program's outputs.
class LossOfOutputs {
 public:
  virtual ~LossOfOutputs() = default;
  virtual std::vector<OutputRange> outputs() const = 0;
  // Writes the gradients of all outputs.
  virtual std::vector<double> operator()(const Program& program, const TrainingBatch& batch, double scale,
                                         cpu::ThreadPool& pool) const = 0;
};

class OfDetection final : public LossOfOutputs {
 public:
  OfDetection(const Graph& graph, const loss::DetectionLossOptions& options)
      : loss_(graph, options), maps_(loss::detection_maps(graph)) {
    const DetectDecode& head = loss::detection_head(graph);
    sides_ = 4 * head.reg_max;
    classes_ = head.classes;
  }

  std::vector<OutputRange> outputs() const override {
    std::vector<OutputRange> ranges;
    for (const Value map : maps_) {
      ranges.push_back({map, 0, sides_});
      ranges.push_back({map, sides_, sides_ + classes_});
    }
    return ranges;
  }

  std::vector<double> operator()(const Program& program, const TrainingBatch& batch, double scale,
                                 cpu::ThreadPool& pool) const override {
    std::vector<loss::LevelMaps<const float>> maps;
    std::vector<loss::LevelMaps<float>> gradients;
    for (size_t level = 0; level < maps_.size(); ++level) {
      maps.push_back({program.output(2 * level), program.output(2 * level + 1)});
      gradients.push_back({program.output_gradient(2 * level), program.output_gradient(2 * level + 1)});
    }
    const loss::DetectionTerms terms = loss_(loss::DetectionLossInput<float>{.maps = maps,
                                                                             .targets = batch.targets,
                                                                             .ignored = batch.ignored,
                                                                             .gradients = gradients,
                                                                             .loss_scale = scale,
                                                                             .pool = &pool});
    return {terms.begin(), terms.end()};
  }

 private:
  loss::DetectionLoss loss_;
  std::vector<Value> maps_;
  int sides_ = 0, classes_ = 0;
};

class OfClassification final : public LossOfOutputs {
 public:
  explicit OfClassification(const Graph& graph) : logits_(graph.find("logits")) {
    classes_ = graph.node(logits_).channels;
  }
  std::vector<OutputRange> outputs() const override { return {{logits_, 0, classes_}}; }
  std::vector<double> operator()(const Program& program, const TrainingBatch& batch, double scale,
                                 cpu::ThreadPool&) const override {
    const loss::MapView<float> gradient = program.output_gradient(0);
    return {loss::soft_cross_entropy(program.output(0), batch.targets, &gradient, scale)};
  }

 private:
  Value logits_;
  int classes_ = 0;
};

std::unique_ptr<LossOfOutputs> loss_of(const Graph& graph, const Objective& objective) {
  return std::visit(
      Overloaded{[&](const loss::DetectionLossOptions& options) -> std::unique_ptr<LossOfOutputs> {
                   return std::make_unique<OfDetection>(graph, options);
                 },
                 [&](const ClassificationObjective&) -> std::unique_ptr<LossOfOutputs> {
                   return std::make_unique<OfClassification>(graph);
                 }},
      objective);
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
        loss_(loss_of(graph_, settings.objective)) {
    load(start);
  }

  std::vector<double> accumulate(const TrainingBatch& batch, const TrainingPlace& place,
                                 double loss_scale) override {
    Program& program = program_for(batch.images.shape());
    if (!has_gradients_) {
      std::ranges::fill(parameters_.all_gradients(), 0.0F);
      for (const std::string& name : program.trained()) parameters_.set_has_gradient(name);
      has_gradients_ = true;
    }
    program.forward(batch.images, place, version_);
    std::vector<double> terms = (*loss_)(program, batch, loss_scale, pool_);
    program.backward();
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

  std::vector<Tensor> evaluate_average(const Tensor& images, std::span<const Value> targets) override {
    engine::Engine& engine = engine_for(images.shape(), targets);
    engine.run(native::ready_images(input(), images));
    std::vector<Tensor> values;
    for (size_t i = 0; i < targets.size(); ++i) values.push_back(engine.output(i).clone());
    return values;
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
    for (const float value : native::ready_images(input(), batch.images).values())
      if (!std::isfinite(value)) return "the input";
    if (const std::string name = parameters_.non_finite_parameter(); !name.empty())
      return fmt::format("parameter '{}'", name);
    return program_for(batch.images.shape()).first_non_finite(batch.images, place, version_);
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

  Program& program_for(const Shape& images) {
    const auto known = std::ranges::find_if(programs_, [&](const auto& p) { return p->images() == images; });
    if (known != programs_.end()) {
      std::rotate(programs_.begin(), known, known + 1);
      return *programs_.front();
    }
    if (programs_.size() == kMostPrograms) programs_.pop_back();
    programs_.push_front(std::make_unique<Program>(
        graph_, images, native::ProgramSettings{.outputs = loss_->outputs(), .frozen = settings_.frozen},
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

}  // namespace

std::unique_ptr<TrainingExecutor> make_native_executor(const Graph& graph, const ExecutorState& start,
                                                       const ExecutorSettings& settings) {
  if (settings.device != "cpu")
    throw Error(ErrorKind::kUsage, fmt::format("device '{}': this program trains on the processor; "
                                               "marrow-train-torch, built with LibTorch, knows CUDA",
                                               settings.device));
  if (settings.precision != "float32")
    throw Error(ErrorKind::kUsage,
                fmt::format("precision '{}': this program trains in float32", settings.precision));
  return std::make_unique<NativeExecutor>(graph, start, settings);
}

}  // namespace marrow::train
