#include "marrow/train/torch/torch_training_executor.h"

#include <cmath>

#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/loss/detection_head.h"

namespace marrow::train {
namespace {

constexpr const char* kFloat32 = "float32";
constexpr const char* kBf16 = "bf16";
constexpr const char* kFp16 = "fp16";

TorchExecutorOptions executor_options(const ExecutorSettings& settings, bool channels_last) {
  TorchExecutorOptions options;
  options.device = parse_device(settings.device);
  if (settings.precision == kBf16) options.compute_type = torch::kBFloat16;
  if (settings.precision == kFp16) options.compute_type = torch::kHalf;
  options.channels_last = channels_last;
  options.frozen = settings.frozen;
  return options;
}

// What products are computed in. On a CPU everything is float32 unless bf16 is asked for by name.
std::string precision_of(const std::string& amp, bool is_cuda) {
  if (amp == "bf16" || (amp == "true" && is_cuda)) return kBf16;
  if (amp != "fp16") return kFloat32;
  if (is_cuda) return kFp16;
  talk("amp: fp16 needs CUDA; a CPU computes in float32, or in bf16");
  return kFloat32;
}

// The first name of a tensor that is not finite, of those that `tensor_of` gives.
template <class TensorOf>
std::string first_non_finite_of(const TorchExecutor& model, const TensorOf& tensor_of) {
  for (const auto& [name, parameter] : model.state()) {
    const torch::Tensor tensor = tensor_of(parameter);
    if (tensor.defined() && tensor.is_floating_point() &&
        !torch::isfinite(tensor).all().template item<bool>())
      return name;
  }
  return {};
}

}  // namespace

DetectionTargets targets_of(const TrainingBatch& batch) {
  const torch::Tensor rows = to_torch(batch.targets);
  return {rows.select(1, 0).to(torch::kInt64), rows.select(1, 1).to(torch::kInt64),
          rows.narrow(1, 2, 4).contiguous(), to_torch(batch.ignored)};
}

TorchTrainingExecutor::TorchTrainingExecutor(const Graph& graph, const ExecutorState& start,
                                             const ExecutorSettings& settings, bool channels_last)
    : trained_(graph, start.weights, executor_options(settings, channels_last)),
      average_(graph, start.average, trained_.options()),
      optimizer_(trained_, settings.groups, {settings.optimizer, settings.beta1}),
      ema_(average_, start.average_updates) {
  if (const auto* detection = std::get_if<loss::DetectionLossOptions>(&settings.objective)) {
    detection_loss_.emplace(graph, *detection);
    outputs_ = loss::detection_maps(graph);
  } else if (std::holds_alternative<ClassificationObjective>(settings.objective)) {
    outputs_ = {graph.find("logits")};
  } else {
    throw Error(ErrorKind::kUnsupported,
                "LibTorch trains classifiers and detectors of one pair of branches; others train on the "
                "processor, with 'marrow train' and no --device");
  }
  optimizer_.load({start.optimizer, start.optimizer_steps, start.momentum_product});
}

TorchTrainingExecutor::Loss TorchTrainingExecutor::loss_of(std::span<const torch::Tensor> outputs,
                                                           const TrainingBatch& batch) const {
  if (!detection_loss_) {
    const torch::Tensor loss = soft_cross_entropy(outputs.front(), on_device(batch.targets));
    return {loss, {loss.item<double>()}};
  }
  const DetectionLossResult result = (*detection_loss_)(outputs, targets_of(batch));
  const torch::Tensor terms = result.items.to(torch::kCPU, torch::kFloat64).contiguous();
  return {result.loss.sum(), {terms.data_ptr<double>(), terms.data_ptr<double>() + terms.numel()}};
}

std::vector<double> TorchTrainingExecutor::accumulate(const TrainingBatch& batch, const TrainingPlace& place,
                                                      double loss_scale, Then) {
  const Loss loss = loss_of(trained_.train(on_device(batch.images), outputs_, place), batch);
  for (const double term : loss.terms)
    if (!std::isfinite(term)) return loss.terms;
  (loss_scale == 1 ? loss.total : loss.total * loss_scale).backward();
  return loss.terms;
}

double TorchTrainingExecutor::clip_gradients(double max_norm, double factor) {
  return optimizer_.clip_gradients(max_norm, factor);
}

void TorchTrainingExecutor::update(const IterationSettings& settings) {
  optimizer_.step(settings);
  trained_.zero_gradients();
  ema_.update(trained_);
}

void TorchTrainingExecutor::drop_gradients() {
  trained_.zero_gradients();
}

TrainingExecutor::Evaluation TorchTrainingExecutor::evaluate_average(const TrainingBatch& batch,
                                                                     std::span<const Value> targets) {
  const torch::NoGradGuard no_grad;
  std::vector<Value> wanted(targets.begin(), targets.end());
  wanted.insert(wanted.end(), outputs_.begin(), outputs_.end());
  const std::vector<torch::Tensor> results = average_.evaluate(on_device(batch.images), wanted);
  Evaluation evaluation;
  evaluation.all_images = batch.images.dim(0);
  for (size_t i = 0; i < targets.size(); ++i)
    evaluation.outputs.push_back(from_torch(results[i].to(torch::kFloat32)));
  evaluation.losses = loss_of(std::span(results).subspan(targets.size()), batch).terms;
  return evaluation;
}

ExecutorState TorchTrainingExecutor::state() const {
  Optimizer::State optimizer = optimizer_.state();
  return {.weights = trained_.weights(),
          .average = average_.weights(),
          .optimizer = std::move(optimizer.tensors),
          .optimizer_steps = optimizer.steps,
          .momentum_product = optimizer.momentum_product,
          .average_updates = ema_.updates()};
}

void TorchTrainingExecutor::load(const ExecutorState& state) {
  trained_.load(state.weights);
  trained_.zero_gradients();
  average_.load(state.average);
  optimizer_.load({state.optimizer, state.optimizer_steps, state.momentum_product});
  ema_ = Ema(average_, state.average_updates);
}

void TorchTrainingExecutor::set_scalar(std::string_view name, double value) {
  trained_.set_scalar(name, value);
  average_.set_scalar(name, value);
}

std::string TorchTrainingExecutor::first_non_finite(const TrainingBatch& batch, const TrainingPlace& place) {
  return trained_.first_non_finite(on_device(batch.images), outputs_, place);
}

std::string TorchTrainingExecutor::non_finite_parameter() const {
  return first_non_finite_of(trained_, [](const torch::Tensor& parameter) { return parameter; });
}

std::string TorchTrainingExecutor::non_finite_gradient() const {
  return first_non_finite_of(trained_, [](const torch::Tensor& parameter) { return parameter.grad(); });
}

Weights TorchTrainingExecutor::gradients() const {
  Weights gradients;
  for (const auto& [name, tensor] : trained_.state())
    if (tensor.grad().defined()) gradients[name] = from_torch(tensor.grad());
  return gradients;
}

int64_t TorchTrainingExecutor::bytes_in_use() const {
  return train::bytes_in_use(trained_.options().device);
}

TrainingBackend torch_backend(const TrainOptions& options) {
  if (options.cache == kFeatureCache)
    throw Error(ErrorKind::kUsage,
                "cache: features: only where Marrow's own trainer computes, not with LibTorch");
  set_torch_threads(options.threads);
  const torch::Device device = parse_device(options.device.empty() ? "cpu" : options.device);
  const std::string precision = precision_of(options.amp, device.is_cuda());
  if (device.is_cuda()) prefer_deterministic(options.deterministic);
  if (precision == kFloat32) forbid_tf32();
  return {
      .device = device.str(),
      .precision = precision,
      .threads = torch::get_num_threads(),
      .make_executor = [channels_last = options.channels_last](const Graph& graph, const ExecutorState& start,
                                                               const ExecutorSettings& settings) {
        return std::make_unique<TorchTrainingExecutor>(graph, start, settings, channels_last);
      }};
}

}  // namespace marrow::train
