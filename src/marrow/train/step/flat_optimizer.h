// Optimizers over flat parameters, and the moving average of the weights, which is what gets validated and
// saved: the update rules as published, in PyTorch's variants, with a state that can be saved and put back to
// the bit.
//
// Weights, moments and average are passed over once, in parts cut by size alone: results do not depend on the
// number of threads. They do on the SIMD level, by roundings. One call at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/cpu/simd_level.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/graph/weights.h"
#include "marrow/train/recipe/optimizer_choice.h"
#include "marrow/train/recipe/schedule.h"
#include "marrow/train/step/flat_parameters.h"
#include "marrow/train/step/orthogonalize.h"
#include "marrow/train/step/parameter_groups.h"
#include "marrow/train/step/update_rules.h"

namespace marrow::train {

class FlatOptimizer {
 public:
  // `parameters` outlive this. beta1: of Adam's family; SGD, MuSGD and RMSprop take theirs with every step,
  // for it warms up. A parameter of no group is not updated. Throws Error{kModel} for a name in a group that
  // `parameters` lack, and as choose_simd_level() does.
  FlatOptimizer(FlatParameters& parameters, std::vector<ParameterGroup> groups, OptimizerKind kind,
                double beta1, cpu::SimdLevel level = cpu::choose_simd_level());

  // Scales all gradients by `factor` first, then down to a global norm of `max_norm` where it is above that;
  // returns the norm in between. Where it is not finite the gradients are useless, and update() must not
  // follow. The last scaling is left to update(): FlatParameters::gradient_scale().
  double clip_gradients(double max_norm, double factor, cpu::ThreadPool& pool);

  // One step from the gradients, which are used up, and of the average. A parameter without a gradient is
  // left alone. The u-th update keeps d = 0.9999 (1 - exp(-u / 2000)) of the average, so that the first ones
  // follow the weights closely. All parameters take part, running statistics too, but scalars and constants,
  // which are copied, and counters, which stay. Source of the average: the YOLOv8 training recipe.
  void update(const IterationSettings& settings, cpu::ThreadPool& pool);

  // What a later step depends on besides the parameters: tensors named SLOT/PARAMETER
  // ("momentum/model.0.conv.weight"), and numbers.
  struct State {
    Weights tensors;
    int64_t steps = 0;
    double momentum_product = 1;  // NAdam
    int64_t average_updates = 0;
  };
  State state() const;
  // Throws Error{kModel}, with nothing changed, naming a tensor that is of no parameter or slot, or of
  // another shape.
  void load(const State& state);
  // The moments that `state` has the tensors of, whole buffers.
  std::vector<std::span<float>> all_moments();

 private:
  // Beside an entry of the parameters.
  struct Moments {
    int group = -1;  // of groups_; -1: none
    bool has_first = false, has_second = false;
  };
  struct Scratch {  // of a thread
    Orthogonalizer orthogonalizer;
    Tensor ahead;
  };

  bool is_updated(size_t entry) const;
  StepNumbers numbers_of(const ParameterGroup& group, const IterationSettings& settings) const;
  UpdateRule rule() const;
  void step_muon(const IterationSettings& settings, cpu::ThreadPool& pool);

  FlatParameters& parameters_;
  std::vector<ParameterGroup> groups_;
  OptimizerKind kind_;
  double beta1_;
  cpu::SimdLevel level_;
  UpdateRules rules_;
  std::vector<Moments> moments_;
  Tensor first_, second_;  // as the gradients; undefined where a rule has no second
  Weights idle_;           // loaded moments that no step uses: of parameters that are not trained
  std::vector<Scratch> scratch_;
  int64_t steps_ = 0;
  double momentum_product_ = 1;
  int64_t average_updates_ = 0;
};

}  // namespace marrow::train
