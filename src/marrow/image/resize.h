// Resizing of images, in integers, so that every machine gives the same pixels.
#pragma once

#include <cstdint>
#include <vector>

#include "marrow/image/image.h"
#include "marrow/image/resize_kernel.h"

namespace marrow::image {

// Bilinear without antialiasing, sample points at pixel centres, edges replicated: equal to the bit to
// OpenCV 4.6's INTER_LINEAR (built without IPP), which the published checkpoints were trained and tested
// with. 16 bits have the same sample points and weights, and are rounded once.
//   src, dst: of one format; both at least one pixel. dst must not overlap src.
void resize_linear(ConstPixels src, MutablePixels dst);
Image resize_linear(const Image& image, int width, int height);

// The rows of what resize_linear gives, one at a time, for a caller that does more with each while it is in
// the cache.
class LinearRows {
 public:
  // `src` outlives it. Throws as choose_simd_level() does.
  LinearRows(ConstPixels src, int width, int height);
  // Writes row y, of samples as src has them. Rows in rising order cost least.
  void write(int y, uint8_t* dst);

 private:
  // The two source rows in use, resized to the width; enlarging meets each many times.
  template <class Value>
  struct Rows {
    std::vector<Value> upper, lower;
    int upper_row = -1, lower_row = -1;
  };

  void horizontal_pass(int y, std::vector<int16_t>& dst) const;
  void horizontal_pass(int y, std::vector<int32_t>& dst) const;
  template <class Value, class Sample>
  void write(int y, Rows<Value>& rows, Sample* dst) const;

  ConstPixels src_;
  size_t row_values_;
  bool copy_;  // nothing changes size
  double scale_;
  std::vector<LinearTap> taps_;
  LinearRowKernel kernel_;
  int whole_ = 0;            // pixels before the first that the vector code must leave alone
  Rows<int16_t> rows_;       // of 8 bits, with 7 fractional bits
  Rows<int32_t> wide_rows_;  // of 16 bits, with 11 fractional bits
};

enum class ResizeFilter {
  kLinear,               // resize_linear: what recipes trained with OpenCV use (Megvii, PaddleClas)
  kAntialiasedBilinear,  // as Pillow: the triangle filter, widened by the factor of reduction
  kAntialiasedBicubic,   // as Pillow: Keys' cubic with a = -0.5, widened by the factor of reduction
};

// Pillow's two-pass resampling of 8-bit channels: weights in 22-bit fixed point, horizontal pass first,
// rounded to bytes between the passes; and the same with 16 bits. Width and height are at least 1.
Image resize(const Image& image, int width, int height, ResizeFilter filter);

// What a classifier sees: the shorter side is resized to `shorter_side`, the longer one to
// floor(shorter_side * longer / shorter), then the `crop` x `crop` pixels in the middle are cut out, from
// round_half_even((side - crop) / 2). Where the resized image is smaller than the crop it is centred on
// black, which only a crop above shorter_side can cause. timm and torchvision state a crop ratio:
// shorter_side = floor(crop / ratio).
Image resize_for_classifier(const Image& image, int shorter_side, int crop, ResizeFilter filter);

}  // namespace marrow::image
