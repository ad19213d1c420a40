// Masks of detections from a network's prototypes, and outlines of masks.
// Source: YOLACT, Bolya et al. 2019, section 3.2.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "marrow/cpu/thread_pool.h"
#include "marrow/geometry/box.h"
#include "marrow/geometry/letterbox.h"
#include "marrow/geometry/mask.h"
#include "marrow/geometry/size.h"

namespace marrow::detect {

// (count, height, width) float32 of one image.
struct Prototypes {
  const float* data = nullptr;
  int count = 0;
  Size size;
};

// What makes one mask: `count` coefficients, and where it ends, in pixels of the mask. A pixel belongs to it
// where its sum of prototypes is above 0 and x1 <= column < x2, y1 <= row < y2.
struct MaskRequest {
  std::vector<float> coefficients;
  std::array<float, 4> box = {};
};

// At the prototypes' own size.
std::vector<Mask> prototype_masks(const Prototypes& prototypes, std::span<const MaskRequest> requests,
                                  cpu::ThreadPool* pool = nullptr);

// Enlarged to the network's input, linearly, before it is compared with 0.
std::vector<Mask> input_masks(const Prototypes& prototypes, std::span<const MaskRequest> requests, Size input,
                              cpu::ThreadPool* pool = nullptr);

// At the size of an image that was letterboxed into an input of 4 times the prototypes' size: the padding is
// cut away first, on prototypes that are enlarged 2 or 4 times where half of it is no whole number of their
// pixels.
std::vector<Mask> image_masks(const Prototypes& prototypes, std::span<const MaskRequest> requests, Size image,
                              cpu::ThreadPool* pool = nullptr);

// The same of an image that lies anywhere in an input of size `network`, as validation pads it: linearly,
// from the prototypes at once.
std::vector<Mask> placed_masks(const Prototypes& prototypes, std::span<const MaskRequest> requests,
                               Size image, Size network, const RatioPad& place);

// Its outer outline, in pixels: corners of the ring of its border pixels, parts joined into one. Empty where
// the mask is.
std::vector<Point<void>> mask_outline(const Mask& mask);

}  // namespace marrow::detect
