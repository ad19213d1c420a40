// Two samples become one: mixup (a weighted sum of both) and cutmix (a rectangle of the second one).
#pragma once

#include <span>
#include <vector>

#include "marrow/base/random.h"
#include "marrow/geometry/size.h"
#include "marrow/loader/augment/sample.h"

namespace marrow::loader {

// From the beta distribution; alpha, beta > 0. Two gamma draws (Marsaglia and Tsang 2000).
double draw_beta(double alpha, double beta, Random& random);

constexpr double kMixupBeta = 32.0;  // the share of each image is close to a half

// sample * share + other * (1 - share), cut off to whole numbers; all objects and regions to ignore of both.
// Equal sizes.
void mixup(Sample& sample, const Sample& other, double share);

using PixelRectangle = Box<ImagePixels, int>;

constexpr int kCutmixCandidates = 3;
constexpr float kCutmixInside = 0.1f;             // part of a box that the rectangle must hold
constexpr float kCutmixInsideOfOutlines = 0.01f;  // when the second sample has outlines

// Rectangles around any point of the image, clipped to it; sides are sqrt(1 - lambda) of the image's,
// with lambda uniform.
std::vector<PixelRectangle> draw_cutmix_rectangles(Size picture, Random& random);

// Pastes a rectangle of the other sample, which lies in the image and has an area, with those of its objects
// of which enough lies in it, clipped to it. Regions to ignore end at the rectangle's border. Equal sizes.
void paste_rectangle(Sample& sample, const Sample& other, const PixelRectangle& rectangle);

// Pastes the first of the rectangles that meets no box and has an area. Where each meets a box, nothing
// happens.
void cutmix(Sample& sample, const Sample& other, std::span<const PixelRectangle> candidates);

}  // namespace marrow::loader
