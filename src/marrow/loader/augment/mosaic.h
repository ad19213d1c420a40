// Four images around a point of a grey canvas of twice the image size.
#pragma once

#include <span>

#include "marrow/base/random.h"
#include "marrow/loader/augment/sample.h"

namespace marrow::loader {

// Where the four corners meet, in pixels of the canvas.
struct MosaicCentre {
  int x = 0, y = 0;
};

// Each coordinate from [image_size / 2, 3 * image_size / 2), y first.
MosaicCentre draw_mosaic_centre(int image_size, Random& random);

// Tiles: top left, top right, bottom left, bottom right; each touches the centre with its corner and is cut
// at the canvas. The result has 2 * image_size pixels a side; boxes are clipped to it and empty ones dropped;
// the perspective step that follows takes the middle (border -image_size / 2).
Sample mosaic(std::span<const SharedSample, 4> tiles, int image_size, MosaicCentre centre);

}  // namespace marrow::loader
