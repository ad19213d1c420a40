// After Pillow's description of its resampling: each output pixel is the normalised, filter-weighted sum of
// the input pixels under a filter that is stretched by the factor of reduction.
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "marrow/image/resize.h"

namespace marrow::image {
namespace {

constexpr int64_t kLongestResizedSide = 1 << 16;
constexpr int kPrecisionBits = 22;  // Pillow's: 32 minus 8 bits of a pixel and 2 for overshoot of the cubic

double triangle(double x) {
  return std::max(0.0, 1.0 - std::abs(x));
}

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

struct Window {
  int first;  // input pixel of weights[0]
  std::vector<int32_t> weights;
};

std::vector<Window> windows(int input, int output, ResizeFilter filter) {
  bool is_cubic = filter == ResizeFilter::kAntialiasedBicubic;
  double scale = static_cast<double>(input) / output;
  double filter_scale = std::max(scale, 1.0);
  double support = (is_cubic ? 2.0 : 1.0) * filter_scale;
  std::vector<Window> result(static_cast<size_t>(output));
  std::vector<double> weights;
  for (int i = 0; i < output; ++i) {
    double center = (i + 0.5) * scale;
    int first = std::max(static_cast<int>(center - support + 0.5), 0);
    int last = std::min(static_cast<int>(center + support + 0.5), input);
    weights.clear();
    double sum = 0.0;
    for (int j = first; j < last; ++j) {
      double x = (j - center + 0.5) / filter_scale;
      weights.push_back(is_cubic ? cubic(x) : triangle(x));
      sum += weights.back();
    }
    Window& window = result[static_cast<size_t>(i)];
    window.first = first;
    for (double w : weights) {
      double normalised = sum != 0.0 ? w / sum : w;
      window.weights.push_back(static_cast<int32_t>(std::round(normalised * (1 << kPrecisionBits))));
    }
  }
  return result;
}

template <class Sample>
Sample to_sample(int64_t sum) {
  return static_cast<Sample>(
      std::clamp<int64_t>(sum >> kPrecisionBits, 0, std::numeric_limits<Sample>::max()));
}

// dst(y, x) = sum over j of src(y, first + j) * weight; `step` is the distance of neighbours along the axis.
template <class Sample>
Sample weighted(const Sample* src, size_t step, const Window& window) {
  int64_t sum = int64_t{1} << (kPrecisionBits - 1);
  for (int32_t w : window.weights) {
    sum += static_cast<int64_t>(*src) * w;
    src += step;
  }
  return to_sample<Sample>(sum);
}

// Three channels of bytes, which nearly all images have, get a loop with that number in it.
template <class Sample, int kFixed>
Image resize_antialiased(const Image& image, int width, int height, ResizeFilter filter) {
  const int channels = kFixed > 0 ? kFixed : image.channels();
  const auto step = static_cast<size_t>(channels);
  Image narrow(width, image.height(), 0, image.format());
  std::vector<Window> columns = windows(image.width(), width, filter);
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < width; ++x) {
      const Window& window = columns[static_cast<size_t>(x)];
      for (int c = 0; c < channels; ++c) {
        narrow.samples<Sample>(y)[x * channels + c] =
            weighted(image.samples<Sample>(y) + window.first * channels + c, step, window);
      }
    }
  }
  Image result(width, height, 0, image.format());
  const size_t row_samples = step * static_cast<size_t>(width);
  std::vector<Window> rows = windows(image.height(), height, filter);
  for (int y = 0; y < height; ++y) {
    const Window& window = rows[static_cast<size_t>(y)];
    const Sample* top = narrow.samples<Sample>(window.first);
    for (size_t i = 0; i < row_samples; ++i) {
      result.samples<Sample>(y)[i] = weighted(top + i, row_samples, window);
    }
  }
  return result;
}

}  // namespace

Image resize(const Image& image, int width, int height, ResizeFilter filter) {
  assert(!image.empty() && width > 0 && height > 0);
  if (filter == ResizeFilter::kLinear) return resize_linear(image, width, height);
  if (image.width() == width && image.height() == height) return image;
  if (image.format() == SampleFormat()) return resize_antialiased<uint8_t, 3>(image, width, height, filter);
  return with_sample_type(image.bits(), [&]<class Sample>(Sample) {
    return resize_antialiased<Sample, 0>(image, width, height, filter);
  });
}

Image resize_for_classifier(const Image& image, int shorter_side, int crop, ResizeFilter filter) {
  assert(!image.empty() && shorter_side > 0 && crop > 0);
  auto longer_side = [&](int longer, int shorter) {
    return static_cast<int>(static_cast<int64_t>(shorter_side) * longer / shorter);
  };
  bool portrait = image.height() > image.width();
  int width = portrait ? shorter_side : longer_side(image.width(), image.height());
  int height = portrait ? longer_side(image.height(), image.width()) : shorter_side;

  // Only the middle is wanted: cut it out of a very long image before resizing, or 65000 x 1 pixels would
  // become 16 million wide. One crop's width on both sides is more than any filter reaches.
  const Image* source = &image;
  Image middle;
  int64_t longer = std::max(width, height);
  if (longer > kLongestResizedSide) {
    int keep = std::max(3, static_cast<int>((3LL * crop * std::max(image.width(), image.height())) / longer));
    keep = std::min(keep, std::max(image.width(), image.height()));
    if (portrait) {
      middle = copy_image(image.region(0, (image.height() - keep) / 2, image.width(), keep));
      height = std::max(crop, static_cast<int>(longer * keep / image.height()));
    } else {
      middle = copy_image(image.region((image.width() - keep) / 2, 0, keep, image.height()));
      width = std::max(crop, static_cast<int>(longer * keep / image.width()));
    }
    source = &middle;
  }
  Image resized = resize(*source, width, height, filter);

  auto offset = [&](int side) { return static_cast<int>(std::nearbyint((side - crop) / 2.0)); };
  int left = offset(width), top = offset(height);
  Image result(crop, crop, 0, resized.format());
  int x0 = std::max(left, 0), x1 = std::min(left + crop, width);
  int y0 = std::max(top, 0), y1 = std::min(top + crop, height);
  for (int y = y0; y < y1; ++y) {
    std::copy_n(resized.pixel(x0, y), static_cast<size_t>(std::max(x1 - x0, 0)) * resized.pixel_bytes(),
                result.pixel(x0 - left, y - top));
  }
  return result;
}

}  // namespace marrow::image
