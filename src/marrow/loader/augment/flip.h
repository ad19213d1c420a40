// Mirror images.
#pragma once

#include "marrow/loader/augment/sample.h"

namespace marrow::loader {

void mirror_horizontally(image::Image& image);  // left and right change places
void mirror_vertically(image::Image& image);

// Image, boxes and outlines.
void flip_horizontally(Sample& sample);
void flip_vertically(Sample& sample);

// An object mirrored in an image of this width.
Object mirrored_horizontally(const Object& object, int width);

}  // namespace marrow::loader
