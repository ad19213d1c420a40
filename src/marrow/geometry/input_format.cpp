#include "marrow/geometry/input_format.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace marrow {

ByteValues byte_values(const InputFormat& format) {
  ByteValues values;
  for (size_t channel = 0; channel < values.size(); ++channel)
    for (size_t byte = 0; byte < values[channel].size(); ++byte)
      values[channel][byte] = static_cast<float>(
          (static_cast<double>(byte) * format.scale - format.mean[channel]) / format.std[channel]);
  return values;
}

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

}  // namespace marrow
