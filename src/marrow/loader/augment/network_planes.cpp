#include "marrow/loader/augment/network_planes.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "marrow/image/row_kernels.h"

namespace marrow::loader {
namespace {

// Where the plane of a stored channel lies.
int plane_of(const image::Image& image, bool keep_bgr, int channel) {
  return image.format().is_colour() && !keep_bgr ? 2 - channel : channel;
}

template <class Sample, class Value>
void split(const image::Image& image, bool keep_bgr, Value* dst) {
  const auto width = static_cast<size_t>(image.width());
  const size_t area = width * static_cast<size_t>(image.height());
  const int channels = image.channels();
  for (int c = 0; c < channels; ++c) {
    Value* out = dst + static_cast<size_t>(plane_of(image, keep_bgr, c)) * area;
    for (int y = 0; y < image.height(); ++y) {
      const Sample* in = image.samples<Sample>(y) + c;
      for (size_t x = 0; x < width; ++x, in += channels) *out++ = *in;
    }
  }
}

}  // namespace

void to_planes(const image::Image& image, bool keep_bgr, uint8_t* dst) {
  assert(image.bits() == 8);
  if (!image.format().is_colour()) {
    split<uint8_t>(image, keep_bgr, dst);
    return;
  }
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

void to_planes(const image::Image& image, bool keep_bgr, int32_t* dst) {
  assert(image.bits() == 16);
  split<uint16_t>(image, keep_bgr, dst);
}

Tensor batch_tensor(int64_t images, Size size, const SampleFormat& format) {
  return Tensor({images, format.channels, size.height, size.width},
                format.bits == 16 ? DType::kInt32 : DType::kUInt8);
}

void write_planes(const image::Image& image, bool keep_bgr, Tensor& batch, size_t item) {
  const size_t values = static_cast<size_t>(batch.size() / batch.dim(0));
  if (batch.dtype() == DType::kInt32)
    to_planes(image, keep_bgr, batch.values<int32_t>().data() + item * values);
  else
    to_planes(image, keep_bgr, batch.values<uint8_t>().data() + item * values);
}

}  // namespace marrow::loader
