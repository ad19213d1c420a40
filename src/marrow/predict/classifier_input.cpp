#include "marrow/predict/classifier_input.h"

#include <algorithm>
#include <cmath>

namespace marrow::predict {

InputFormat classifier_format(InputFormat format, int crop) {
  if (format.crop == 0) format.crop = kDefaultCrop;
  if (format.resize == 0) format.resize = format.crop;
  if (crop > 0 && crop != format.crop) {
    const double proportion = static_cast<double>(format.resize) / format.crop;
    format.resize = static_cast<int>(std::max(std::lround(crop * proportion), 1L));
    format.crop = crop;
  }
  return format;
}

image::ResizeFilter resize_filter(Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::kBilinear:
      return image::ResizeFilter::kAntialiasedBilinear;
    case Interpolation::kBicubic:
      return image::ResizeFilter::kAntialiasedBicubic;
    case Interpolation::kOpenCvBilinear:
      return image::ResizeFilter::kLinear;
  }
  return image::ResizeFilter::kLinear;
}

}  // namespace marrow::predict
