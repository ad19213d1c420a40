// Rotation, scale, shear, translation and perspective of a sample, about its middle.
#pragma once

#include <utility>

#include "marrow/base/random.h"
#include "marrow/geometry/size.h"
#include "marrow/image/warp.h"
#include "marrow/loader/augment/sample.h"

namespace marrow::loader {

// How far the draws may go; the names and defaults of the training settings.
struct PerspectiveRange {
  double degrees = 0.0;    // rotation, either way
  double translate = 0.1;  // part of the output's side, either way
  std::pair<double, double> zoom = {0.5, 1.5};
  double shear = 0.0;        // degrees, either way
  double perspective = 0.0;  // the matrix's last row, either way; about 0 to 0.001
};

struct PerspectiveDraws {
  double perspective_x = 0, perspective_y = 0;
  double degrees = 0;
  double scale = 1;
  double shear_x = 0, shear_y = 0;              // degrees
  double translate_x = 0.5, translate_y = 0.5;  // where the input's middle goes, as a part of the output
};

// In the order of the members.
PerspectiveDraws draw_perspective(const PerspectiveRange& range, Random& random);

// From input pixels to output pixels. Single precision, as the reference implementation computes it.
image::Matrix3 perspective_matrix(const PerspectiveDraws& draws, Size input, Size output);

// The box around the object's four moved corners, or around the part of its moved outline that is inside,
// clipped to the output, with the outline and the keypoints (sample.h's clip()). `divide`: by the third
// coordinate; points of outlines and keypoints are always divided. May have no area, and may not be finite.
Object warp_object(const Object& object, const image::Matrix3& matrix, bool divide, Size output,
                   Task task = Task::kDetect);

// The box around a region's four moved corners, clipped to the output: all of the output where the region
// crosses the horizon, beyond which perspective draws it anywhere.
Box<ImagePixels> warp_region(const Box<ImagePixels>& box, const image::Matrix3& matrix, bool divide,
                             Size output);

constexpr float kKeptArea = 0.10f;            // of what the scale leaves of the box
constexpr float kKeptAreaOfOutlines = 0.01f;  // when the sample has outlines, which fit more tightly
constexpr float kSmallestKeptSide = 2.0f;     // pixels
constexpr float kLargestKeptAspect = 100.0f;  // longer to shorter side

// Whether enough of the object is left. All limits are strict.
bool is_kept(const Box<ImagePixels>& before, const Box<ImagePixels>& after, double scale, float kept_area);

// `output`: the size of what comes out; new pixels are grey. Regions to ignore are kept while any of them is
// inside.
Sample random_perspective(const Sample& sample, const PerspectiveDraws& draws, Size output);

}  // namespace marrow::loader
