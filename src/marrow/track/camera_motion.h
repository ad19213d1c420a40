// How the camera moved since the frame before: what most corners of the picture did.
//
// Equal to Ultralytics' gmc_method sparseOptFlow. Nothing judges the estimate: a picture without texture
// after one with some may give a jump.
#pragma once

#include <vector>

#include "marrow/image/image.h"
#include "marrow/track/kalman.h"
#include "marrow/track/optical_flow.h"

namespace marrow::track {

// Of one video; one caller at a time.
class CameraMotion {
 public:
  // The map from the pixels of the frame before to those of this one, which is kept for the next call. The
  // identity for the first frame, for one of another size, and where too few corners are found again.
  // `frame` is what people see: blue, green and red of 8 bits.
  CameraMap next(const image::Image& frame);

 private:
  int width_ = 0, height_ = 0;
  FlowPyramid before_;
  std::vector<FlowPoint> corners_;
};

}  // namespace marrow::track
