// A sheet of images with their boxes, to look at.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "marrow/data/labels.h"
#include "marrow/image/image.h"

namespace marrow::data {

// Up to `columns` x `columns` images, evenly chosen from those with labels (and, if there are none, from
// all), each letterboxed into `tile` pixels with its boxes and class names, on one sheet (detect/sheet.h).
// Images that do not decode stay grey. Empty without images.
image::Image draw_label_sheet(std::span<const LabelledImage* const> images,
                              std::span<const std::string> names, int columns = 4, int tile = 320);

}  // namespace marrow::data
