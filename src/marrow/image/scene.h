// An image that the program draws itself, for demonstrations and tests on machines without any photo.
#pragma once

#include <cstdint>

#include "marrow/image/image.h"

namespace marrow::image {

// A gradient with discs, boxes and noise; the same bytes for the same arguments on every machine. With
// `contrast` below 1 all colours are that much nearer to grey.
Image draw_scene(int width, int height, uint64_t seed, double contrast = 1);

}  // namespace marrow::image
