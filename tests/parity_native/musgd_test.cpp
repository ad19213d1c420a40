// MuSGD's step over flat parameters against recorded ones.
#include "marrow/train/step/flat_optimizer.h"
#include "support/recorded_musgd.h"

namespace marrow {
namespace {

class OverFlatParameters {
 public:
  OverFlatParameters(const Graph& graph, const std::vector<train::ParameterGroup>& groups,
                     const Tensor& start)
      : pool_(1),
        parameters_(graph),
        optimizer_(parameters_, groups, train::OptimizerKind::kMuSgd, testing::kUnusedBeta1) {
    parameters_.load({{"w", start}}, {{"w", start}});
  }
  static Tensor orthogonalized(const Tensor& matrix) {
    Tensor copy = matrix.clone();
    train::Orthogonalizer().orthogonalize(copy.values(), copy.dim(0), copy.dim(1));
    return copy;
  }
  void step(const Tensor& gradient, const train::IterationSettings& settings) {
    std::ranges::copy(gradient.values(), parameters_.gradient("w").begin());
    parameters_.set_has_gradient("w");
    optimizer_.update(settings, pool_);
  }
  Tensor parameter() const { return parameters_.weights().at("w"); }
  Weights state() const { return optimizer_.state().tensors; }

 private:
  cpu::ThreadPool pool_;
  train::FlatParameters parameters_;
  train::FlatOptimizer optimizer_;
};

TEST(parity_native_musgd, StepsAreTheRecordedOnes) {
  testing::expect_recorded_musgd_steps<OverFlatParameters>();
}

}  // namespace
}  // namespace marrow
