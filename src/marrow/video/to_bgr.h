// Decoded pictures become images.
#pragma once

#include "marrow/image/image.h"
#include "marrow/video/libav.h"
#include "marrow/video/upright.h"

namespace marrow::video {

// Of one video. Sizes and pixel formats may change from frame to frame.
class BgrConverter {
 public:
  // Throws Error{kUnsupported} for a pixel format that is not converted.
  image::Image convert(const AVFrame& frame, Orientation orientation);

 private:
  ScalerPtr scaler_;
  FramePtr bgr_;
};

}  // namespace marrow::video
