// What training differs in among detectors of boxes, masks, keypoints and turned boxes, and those with two
// pairs of branches: what is minimised, what is shown of it, and how it is measured.
#pragma once

#include <string>
#include <vector>

#include "marrow/base/rules.h"
#include "marrow/base/task.h"
#include "marrow/data/skeleton.h"
#include "marrow/evaluate/task_image.h"
#include "marrow/graph/graph.h"
#include "marrow/train/recipe/train_options.h"
#include "marrow/train/step/training_executor.h"

namespace marrow::train {

class DetectorKind {
 public:
  // `skeleton`: of the dataset; without sigmas they are keypoint_sigmas(). Throws Error{kModel} when the
  // graph has no detection head.
  DetectorKind(const Graph& graph, const data::Skeleton& skeleton, Rules rules);

  marrow::Task labels() const;  // what a dataset's labels are read for
  std::vector<std::string> loss_names() const;
  // As Task::objective().
  Objective objective(const TrainOptions& options, std::vector<double> class_weights) const;
  // What validation reads of the graph: the decode, and prototypes where there are some.
  const std::vector<Value>& outputs() const { return outputs_; }
  const evaluate::ValidatedHead& head() const { return head_; }
  // Which keypoints change places in a mirror; empty where nothing says so.
  const std::vector<int>& flip_idx() const { return flip_idx_; }

 private:
  std::vector<std::string> all_loss_names() const;

  evaluate::ValidatedHead head_;
  Rules rules_;
  std::vector<int> flip_idx_;
  bool is_dual_ = false;
  std::vector<Value> outputs_;
};

}  // namespace marrow::train
