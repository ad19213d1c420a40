// Images side by side, for people to look at.
#pragma once

#include <span>

#include "marrow/image/image.h"

namespace marrow::detect {

// As near to a square of images as there are, row by row, 4 pixels apart on white. Every cell is as wide as
// the widest image and as high as the highest; smaller ones lie in its upper left corner. Where the sheet
// would be larger than `largest_side` pixels a side all images shrink. An empty image when there is none.
image::Image image_sheet(std::span<const image::Image> pictures, int largest_side = 4096);

}  // namespace marrow::detect
