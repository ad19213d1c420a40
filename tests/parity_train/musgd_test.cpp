// MuSGD's step over LibTorch's tensors against recorded ones.
#include "marrow/train/torch/optimizer.h"
#include "support/recorded_musgd.h"

namespace marrow {
namespace {

class OverTensors {
 public:
  OverTensors(const Graph& graph, const std::vector<train::ParameterGroup>& groups, const Tensor& start)
      : executor_(graph, {{"w", start}}),
        optimizer_(executor_, groups, {train::OptimizerKind::kMuSgd, testing::kUnusedBeta1}) {}
  static Tensor orthogonalized(const Tensor& matrix) {
    return train::from_torch(train::orthogonalised(train::to_torch(matrix)));
  }
  void step(const Tensor& gradient, const train::IterationSettings& settings) {
    executor_.parameter("w").mutable_grad() = train::to_torch(gradient);
    optimizer_.step(settings);
  }
  Tensor parameter() const { return executor_.weights().at("w"); }
  Weights state() const { return optimizer_.state().tensors; }

 private:
  train::TorchExecutor executor_;
  train::Optimizer optimizer_;
};

TEST(parity_musgd, StepsAreTheRecordedOnes) {
  testing::expect_recorded_musgd_steps<OverTensors>();
}

}  // namespace
}  // namespace marrow
