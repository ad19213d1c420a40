// Whether labels are what a task needs.
#pragma once

#include <optional>
#include <span>

#include "marrow/data/dataset.h"

namespace marrow::data {

// Before any label is read: Error{kUsage} for poses of a dataset that does not say what its keypoints are.
void require_keypoints(const Dataset& dataset);

// What is wrong with an image whose labels are boxes where the task needs outlines; nothing where none is
// missing.
std::optional<Problem> missing_outlines(const Dataset& dataset, const LabelledImage& image);

// Afterwards: Error{kFormat} that names the first image whose labels are boxes, where outlines are needed. A
// network that learns them as well from boxes would learn corners.
void require_outlines(const Dataset& dataset, std::span<const LabelledImage> images);

// What labels that were read for a detector are likely meant for: poses where the dataset has kpt_shape,
// turned boxes where every outline has four points, else objects to segment where there are outlines.
Task likely_task(const Dataset& dataset, std::span<const LabelledImage> images);

}  // namespace marrow::data
