// From images to the samples that a network reads, a batch at a time.
#pragma once

#include <cstdint>

#include "marrow/base/tensor.h"
#include "marrow/geometry/size.h"
#include "marrow/image/image.h"

namespace marrow::loader {

// Planes of height * width bytes, one a channel. Of three channels red is first, or blue where keep_bgr is
// set. Scaling to 0..1 comes later, where the network runs.
void to_planes(const image::Image& image, bool keep_bgr, uint8_t* dst);
// Of 16 bits.
void to_planes(const image::Image& image, bool keep_bgr, int32_t* dst);

// A batch of zeros: (images, channels, height, width), uint8 for 8 bits and int32 for 16.
Tensor batch_tensor(int64_t images, Size size, const SampleFormat& format);

// to_planes at the place of image `item` of a batch of such images.
void write_planes(const image::Image& image, bool keep_bgr, Tensor& batch, size_t item);

}  // namespace marrow::loader
