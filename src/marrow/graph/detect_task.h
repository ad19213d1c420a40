// Which task a detection head is for.
#pragma once

#include "marrow/base/task.h"
#include "marrow/graph/operation.h"

namespace marrow {

inline Task task_of(DetectExtra extra) {
  switch (extra) {
    case DetectExtra::kNone:
      return Task::kDetect;
    case DetectExtra::kCoefficients:
      return Task::kSegment;
    case DetectExtra::kPoints:
    case DetectExtra::kVisiblePoints:
      return Task::kPose;
    case DetectExtra::kAngle:
      return Task::kObb;
  }
  return Task::kDetect;
}

}  // namespace marrow
