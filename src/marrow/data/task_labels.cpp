#include "marrow/data/task_labels.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"

namespace marrow::data {

void require_keypoints(const Dataset& dataset) {
  if (dataset.task != Task::kPose || dataset.skeleton.shape.count > 0) return;
  throw Error(ErrorKind::kUsage,
              fmt::format("{}: poses need the number of keypoints: kpt_shape: [17, 3], say, in the dataset's "
                          "YAML{}",
                          shown(dataset.file),
                          dataset.format == DatasetFormat::kCoco
                              ? ", or a list 'keypoints' in a category of COCO's file"
                              : ""));
}

std::optional<Problem> missing_outlines(const Dataset& dataset, const LabelledImage& image) {
  if (!has_outlines(dataset.task) || image.labels.empty() || !image.polygons.empty()) return std::nullopt;
  const bool is_yolo = dataset.format == DatasetFormat::kYolo;
  return Problem{Problem::Severity::kError, Problem::Kind::kMixedRows,
                 shown(is_yolo ? label_path(dataset, image.path) : image.path),
                 fmt::format("its labels are boxes; to {}, every {}",
                             dataset.task == Task::kObb ? "find turned boxes" : "segment",
                             is_yolo ? "row of the dataset is a polygon: class x1 y1 x2 y2 x3 y3 ..."
                                     : "label of the dataset has an outline")};
}

void require_outlines(const Dataset& dataset, std::span<const LabelledImage> images) {
  for (const LabelledImage& image : images)
    if (const std::optional<Problem> problem = missing_outlines(dataset, image))
      throw Error(ErrorKind::kFormat, fmt::format("{}. 'marrow data check --task {}' lists them all",
                                                  problem->text(), task_name(dataset.task)));
}

Task likely_task(const Dataset& dataset, std::span<const LabelledImage> images) {
  if (dataset.skeleton.shape.count > 0) return Task::kPose;
  bool any = false, all_of_four = true;
  for (const LabelledImage& image : images)
    for (const Polygon& polygon : image.polygons) {
      any = true;
      all_of_four &= polygon.size() == 4;
    }
  return !any ? Task::kDetect : all_of_four ? Task::kObb : Task::kSegment;
}

}  // namespace marrow::data
