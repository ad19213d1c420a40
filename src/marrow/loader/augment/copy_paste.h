// Mirrored copies of outlined objects, pasted into their own image. Mode "flip".
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "marrow/geometry/size.h"
#include "marrow/loader/augment/sample.h"

namespace marrow::loader {

// A mirrored copy may cover less than this part of any object's box.
constexpr float kLargestCover = 0.30f;

// Of the objects with an outline whose mirrored box covers little enough of every box, round(share * count)
// are pasted, those that cover least first. Objects without an outline are never copied.
void copy_paste(Sample& sample, double share);

// Which pixels have their middle inside the outline (even-odd rule): height * width bytes, 0 or 1. Points may
// lie outside the image.
std::vector<uint8_t> fill_polygon(std::span<const Point<ImagePixels>> polygon, Size picture);

}  // namespace marrow::loader
