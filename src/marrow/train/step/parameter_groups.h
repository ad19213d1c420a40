// Which parameters an optimizer treats alike.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "marrow/graph/graph.h"
#include "marrow/train/recipe/optimizer_choice.h"
#include "marrow/train/recipe/schedule.h"

namespace marrow::train {

// Parameters that share a learning rate, a decay and a rule.
struct ParameterGroup {
  std::string kind;  // "weight", "bn", "bias", "muon"
  double weight_decay = 0;
  double rate = 1;  // times the run's
  std::vector<std::string> names;

  bool is_biases() const { return kind == "bias"; }
};

// Biases (every name with "bias" in it, those of batch norms too), weights, which alone decay, and batch-norm
// scales: in this order with 8.3's rules, weights, scales, biases with those of 8.4. MuSGD takes the
// parameters of two or four dimensions apart ("muon", which decay too), and of each kind first those of a
// detection head's class branch, at three times the rate: eight groups, some of which may be empty. Names are
// in natural order, which for YOLOv8's modules is that of their declaration. The frozen bins of a detection
// head are among the weights and get no gradient. Source: the training recipes of YOLOv8 and of
// Ultralytics 8.4.
std::vector<ParameterGroup> parameter_groups(const Graph& graph, double weight_decay, OptimizerKind kind,
                                             Rules rules = kDefaultRules);

// The learning rate of a group.
double rate_of(const ParameterGroup& group, const IterationSettings& settings);

// What follows the level in a branch of a head: "0.conv.weight" of "model.22.cv2.1.0.conv.weight" and branch
// "cv2", of "model.23.one2one_cv2.1.0.conv.weight" too. Empty for other names.
std::string_view tail_of_branch(std::string_view name, std::string_view branch);

}  // namespace marrow::train
