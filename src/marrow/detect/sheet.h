// Pictures side by side, for people to look at.
#pragma once

#include <span>

#include "marrow/image/image.h"

namespace marrow::detect {

// As near to a square of pictures as there are, row by row, 4 pixels apart on white. Every cell is as wide as
// the widest picture and as high as the highest; smaller ones lie in its upper left corner. Where the sheet
// would be larger than `largest_side` pixels a side all pictures shrink. An empty picture when there is none.
image::Image picture_sheet(std::span<const image::Image> pictures, int largest_side = 4096);

}  // namespace marrow::detect
