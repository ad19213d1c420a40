// How much what was found overlaps what is true, where neither is an upright box: masks, keypoints, turned
// boxes. Pure functions.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "marrow/evaluate/metrics/coco.h"
#include "marrow/geometry/box.h"
#include "marrow/geometry/mask.h"
#include "marrow/geometry/rotated_box.h"

namespace marrow::evaluate {

// Shared pixels / (all pixels + 1e-7), in float32; the masks are of one size.
float mask_iou(const MaskPart& a, const MaskPart& b);

template <class Space>
using KeypointSpan = std::span<const Keypoint<Space>>;

// Object keypoint similarity by the rule of YOLOv8's reference implementation: the mean over labelled points
// of exp(-d^2 / (8 sigma^2 (area + 1e-7))); 0 where none is labelled. Float32.
float keypoint_similarity(KeypointSpan<InputPixels> truth, KeypointSpan<InputPixels> found,
                          std::span<const double> sigmas, float area);
// The area that it takes of a box: the share of it that a person fills.
float keypoint_area(const Box<InputPixels>& box);

// The same by pycocotools' rule, in double, with the annotation's own area. Where no point is labelled a
// point is as far away as it lies outside the box enlarged by its size on every side.
double coco_keypoint_similarity(KeypointSpan<ImagePixels> truth, KeypointSpan<ImagePixels> found,
                                std::span<const double> sigmas, const CocoBox& box, double area);

using Quadrilateral = std::array<std::array<double, 2>, 4>;  // corners in order, convex
// Shared area / area of both together; 0 where one has none.
double polygon_iou(const Quadrilateral& a, const Quadrilateral& b);

}  // namespace marrow::evaluate
