// From an image to the bytes that a network reads.
#pragma once

#include <cstdint>

#include "marrow/image/image.h"

namespace marrow::loader {

// Three planes of height * width bytes, red first, or blue first when keep_bgr is set. Scaling to 0..1 comes
// later, where the network runs.
void to_planes(const image::Image& image, bool keep_bgr, uint8_t* dst);

}  // namespace marrow::loader
