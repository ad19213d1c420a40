#include "marrow/loader/augment/network_planes.h"

#include <utility>

#include "marrow/image/row_kernels.h"

namespace marrow::loader {

void to_planes(const image::Image& image, bool keep_bgr, uint8_t* dst) {
  const auto width = static_cast<size_t>(image.width());
  const size_t plane = width * static_cast<size_t>(image.height());
  const image::RowKernels kernels = image::row_kernels();
  for (int y = 0; y < image.height(); ++y) {
    const uint8_t* src = image.row(y);
    uint8_t* first = dst + static_cast<size_t>(y) * width;
    uint8_t* middle = first + plane;
    uint8_t* last = middle + plane;
    if (!keep_bgr) std::swap(first, last);
    const int done = kernels.split == nullptr ? 0 : kernels.split(src, image.width(), first, middle, last);
    for (auto x = static_cast<size_t>(done); x < width; ++x) {
      first[x] = src[3 * x];
      middle[x] = src[3 * x + 1];
      last[x] = src[3 * x + 2];
    }
  }
}

}  // namespace marrow::loader
