// Mirror images.
#pragma once

#include <span>

#include "marrow/loader/augment/sample.h"

namespace marrow::loader {

void mirror_horizontally(image::Image& image);  // left and right change places
void mirror_vertically(image::Image& image);

// Image, boxes, outlines and keypoints. flip_idx says for each keypoint which of the object's lies there
// afterwards: the left hand of a mirrored person is the right one. It counts for either direction; empty:
// they keep their numbers.
void flip_horizontally(Sample& sample, std::span<const int> flip_idx = {});
void flip_vertically(Sample& sample, std::span<const int> flip_idx = {});

// An object mirrored in an image of this width.
Object mirrored_horizontally(const Object& object, int width);

}  // namespace marrow::loader
