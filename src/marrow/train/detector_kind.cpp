#include "marrow/train/detector_kind.h"

#include <algorithm>

#include "marrow/graph/detect_task.h"
#include "marrow/loss/pose_loss.h"
#include "marrow/predict/detector.h"

namespace marrow::train {

DetectorKind::DetectorKind(const Graph& graph, const data::Skeleton& skeleton, Rules rules)
    : head_(evaluate::validated_head(graph, true, skeleton.sigmas, rules)),
      rules_(rules),
      flip_idx_(skeleton.flip_idx),
      is_dual_(std::ranges::any_of(graph.outputs,
                                   [](const NamedValue& output) { return output.name == kOneToOneOutput; })) {
  for (const std::string& name : predict::detection_outputs(graph, true))
    outputs_.push_back(graph.find(name));
}

marrow::Task DetectorKind::labels() const {
  return task_of(head_.decode.extra);
}

std::vector<std::string> DetectorKind::loss_names() const {
  std::vector<std::string> names = all_loss_names();
  // The last term of these two is younger.
  const bool grew = labels() == marrow::Task::kSegment || labels() == marrow::Task::kObb;
  if (grew && rules_ == Rules::k83) names.pop_back();
  return names;
}

std::vector<std::string> DetectorKind::all_loss_names() const {
  const std::string third = head_.decode.reg_max == 1 ? "l1_loss" : "dfl_loss";
  switch (labels()) {
    case marrow::Task::kSegment:
      return {"box_loss", "seg_loss", "cls_loss", third, "sem_loss"};
    case marrow::Task::kPose:
      return {"box_loss", "pose_loss", "kobj_loss", "cls_loss", third};
    case marrow::Task::kObb:
      return {"box_loss", "cls_loss", third, "angle_loss"};
    case marrow::Task::kDetect:
      break;
  }
  return {"box_loss", "cls_loss", third};
}

Objective DetectorKind::objective(const TrainOptions& options, std::vector<double> class_weights) const {
  const loss::DetectionLossOptions detection = {.box_gain = options.box,
                                                .class_gain = options.cls,
                                                .dfl_gain = options.dfl,
                                                .class_weights = std::move(class_weights),
                                                .rules = rules_};
  switch (labels()) {
    case marrow::Task::kSegment:
      return SegmentObjective{detection};
    case marrow::Task::kPose:
      return loss::PoseLossOptions{.detection = detection,
                                   .pose_gain = options.pose,
                                   .visibility_gain = options.kobj,
                                   .sigmas = head_.sigmas};
    case marrow::Task::kObb:
      return loss::TurnedLossOptions{.detection = detection, .angle_gain = options.angle};
    case marrow::Task::kDetect:
      break;
  }
  if (is_dual_) return DualObjective{detection, options.epochs};
  return detection;
}

}  // namespace marrow::train
