// Boxes and labels on an image.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "marrow/detect/extras.h"
#include "marrow/detect/nms.h"
#include "marrow/image/image.h"

namespace marrow::detect {

// max(round((width + height) / 2 * 0.003), 2) pixels; 1 in a picture whose mean side is below 320.
int line_width(Size picture);

// Blue, green, red; one of 20, by class number.
std::array<uint8_t, 3> class_colour(int class_id);

// As a detection's confidence: its label is the name alone, as for a box that a person drew.
inline constexpr float kNoConfidence = -1.0f;

// Each detection as a box in its class's colour with a filled label "name 0.87", that of a tracked one "id:3
// name 0.87", above it, or inside, below or
// beside it where there is no room or another label lies; labels stay inside the image, shrink in small
// ones, and lose first the confidence, then letters, where even small type does not fit. The first detection,
// which should be the most confident, chooses its label's place first and lies on top. Names are drawn with
// an installed font where they are not ASCII; without one in plain letters or as numbers (font_text.h).
// Detections whose box is not finite are left out. With extras (draw_extras.h) their masks lie below the
// boxes, turned boxes are drawn in place of upright ones, and keypoints above them.
void draw_detections(image::Image& image, std::span<const Detection> detections,
                     std::span<const std::string> names, const DetectionExtras& extras = {});

// Regions to ignore: hatched in grey, without a label. Boxes that are not finite are left out.
void draw_regions(image::Image& image, std::span<const Box<ImagePixels>> regions);

}  // namespace marrow::detect
