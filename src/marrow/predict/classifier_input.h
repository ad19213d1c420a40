// How a classifier cuts its square out of a picture: for prediction, for validation and at the start of
// training.
#pragma once

#include "marrow/graph/graph.h"
#include "marrow/image/resize.h"

namespace marrow::predict {

inline constexpr int kDefaultCrop = 224;  // pixels; what YOLOv8's classifiers are trained with

// `format` with both sizes stated: its own, or kDefaultCrop and no margin where it states none. A `crop`
// other than 0 takes the place of its own, and the resize keeps its proportion to it. Applied twice it
// changes nothing more.
InputFormat classifier_format(InputFormat format, int crop);

image::ResizeFilter resize_filter(Interpolation interpolation);

}  // namespace marrow::predict
