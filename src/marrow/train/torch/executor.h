// Runs a graph with autograd, on the CPU or a CUDA device.
//
// It owns the parameters as tensors, by name. One thread at a time. Results are a pure function of the
// weights, the input and the draws' place: same bytes for the same number of threads on a CPU.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/graph/graph.h"
#include "marrow/graph/training_mode.h"
#include "marrow/train/torch/torch.h"

namespace marrow::train {

struct TorchExecutorOptions {
  torch::Device device = torch::kCPU;
  // Mixed precision: convolutions and linear layers compute in this type (kBFloat16, or kHalf on CUDA), and
  // what follows keeps it where that is safe. Products, pooled averages and the decode stay float32, because
  // the product of two activations soon leaves the range of a half. kFloat32: everything in float32;
  // kFloat64: everything and every parameter in float64, for checking gradients.
  torch::ScalarType compute_type = torch::kFloat32;
  // Memory format of maps and convolution weights. On a CPU, channels last takes 0.87 (yolov8n) and 0.7 (on
  // starnet_s1) of the time of a step of 16 images of 320 px. Against float64, gradients of yolov8n are off
  // by 4.3e-5 instead of 3.4e-5 of their norm, otherwise rounded: a run from scratch drifts from one with
  // channels first by 6e-5 of the gradients' norm in its second step.
  bool channels_last = false;
  // A parameter whose name contains one of these ("model.0.") gets no gradient, and a batch norm whose scale
  // is such a parameter normalises by its running statistics, which do not move.
  std::vector<std::string> frozen = {};
};

class TorchExecutor {
 public:
  // Parameter name -> tensor. A copy shares the tensors.
  using State = std::map<std::string, torch::Tensor, std::less<>>;

  // Copies `weights`. Throws Error{kModel} when one that the graph wants is missing or has another shape, or
  // when an entry of `frozen` matches no parameter.
  TorchExecutor(Graph graph, const Weights& weights, TorchExecutorOptions options = {});

  // `images`: (N, C, H, W) float32, ready for the network; or a loader's pixels (uint8, or int32
  // of 16 bits; red first), which become what the
  // graph's input node says (order, scale, mean, std). On any device. Returns one tensor a target, on the
  // executor's device. Throws Error{kShape} as infer_shapes() does.
  //
  // Training mode: batch statistics, running ones move, dropout and drop path are active, autograd records.
  std::vector<torch::Tensor> train(const torch::Tensor& images, std::span<const Value> targets,
                                   const TrainingPlace& place);
  // Evaluation mode. Records nothing.
  std::vector<torch::Tensor> evaluate(const torch::Tensor& images, std::span<const Value> targets);
  // As evaluate(), with autograd recording: for tests and for fine-tuning with all statistics fixed.
  std::vector<torch::Tensor> evaluate_with_gradient(const torch::Tensor& images,
                                                    std::span<const Value> targets);

  // Repeats a training forward without moving any statistics and names what first held a NaN or an infinity:
  // "the input", "parameter 'model.3.conv.weight'" or "silu (model.3.act)". Empty when all is finite.
  std::string first_non_finite(const torch::Tensor& images, std::span<const Value> targets,
                               const TrainingPlace& place);

  const Graph& graph() const { return graph_; }
  const TorchExecutorOptions& options() const { return options_; }

  // Every parameter of the graph, statistics and scalars included. The tensors are the executor's own: an
  // optimizer changes them in place under torch::NoGradGuard, and .grad() of a trainable one is its gradient
  // after backward(). Never put another tensor in a parameter's place.
  const State& state() const { return state_; }
  const torch::Tensor& parameter(std::string_view name) const;  // throws Error{kModel}
  bool frozen(const Parameter& parameter) const;  // by the options; constants and statistics do not count
  void zero_gradients();                          // gradients become undefined

  // Copies out of and into the parameters. load() wants what the constructor wants.
  Weights weights() const;
  void load(const Weights& weights);
  void set_scalar(std::string_view name, double value);  // VanillaNet's slope

 private:
  class Run;

  Graph graph_;
  TorchExecutorOptions options_;
  State state_;
};

}  // namespace marrow::train
