// An image as OpenCV draws on it; for sources that draw.
#pragma once

#include <array>
#include <opencv2/core.hpp>

#include "marrow/image/image.h"

namespace marrow::detect {

// Blue, green and red of 8 bits. The image outlives it.
inline cv::Mat canvas_of(image::Image& image) {
  return {image.height(), image.width(), CV_8UC3, image.row(0), image.row_bytes()};
}

inline cv::Scalar scalar(const std::array<uint8_t, 3>& bgr) {
  return {double(bgr[0]), double(bgr[1]), double(bgr[2])};
}

}  // namespace marrow::detect
