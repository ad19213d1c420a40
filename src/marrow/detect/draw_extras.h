// Masks, keypoints and turned boxes on an image.
#pragma once

#include <array>
#include <span>

#include "marrow/detect/extras.h"
#include "marrow/image/image.h"

namespace marrow::detect {

// Pairs of keypoints, from 0, that are limbs: of 17 points, which are COCO's persons; none of others.
std::span<const std::array<int, 2>> limbs_of(size_t points);

// Each mask at half opacity in its class's colour, the first on top. Where a pixel of the image lies between
// pixels of the mask, it takes its share of them, so that edges are smooth at any size. Within the
// detection's box.
void draw_masks(image::Image& image, std::span<const Detection> detections, const DetectionExtras& extras);

// The four edges of each turned box in its class's colour, the first on top.
void draw_turned_boxes(image::Image& image, std::span<const Detection> detections,
                       std::span<const RotatedBox<ImagePixels>> boxes);

// Points that are visible by at least a quarter (without a visibility: all but those at 0, 0), and limbs
// between them.
void draw_keypoints(image::Image& image, const DetectionExtras& extras);

}  // namespace marrow::detect
