// What the output of a convolution goes through: forward a bias, the moments that its batch norm wants, and
// the way to its map; backward what it is given as the gradient of the product.
#pragma once

#include <vector>

#include "marrow/train/native/step.h"

namespace marrow::train::native {

class ProductOutput {
 public:
  // `bias` of `channels`, or nowhere.
  ProductOutput(int map, int channels, const ParameterPlace& bias);

  void begin_forward(const Run& run);
  // Adds the bias in place and stores `pixels` of a block. Every pixel once.
  void store(const Run& run, int64_t share, int64_t image, int64_t block, int64_t first, int64_t pixels,
             float* product);
  void end_forward(const Run& run);

  void begin_backward(const Run& run);
  // The gradient of the product, and that of the bias from it where `counts` (pixels may be wanted twice).
  void prepare_gradient(const Run& run, int64_t share, int64_t image, int64_t block, int64_t first,
                        int64_t pixels, bool counts, float* dst);
  void end_backward(const Run& run);
  // Adds where the gradient of some pixels is made from: to be fetched ahead.
  void add_places(const Run& run, int64_t image, int64_t block, int64_t first,
                  std::vector<const float*>& places) const;

 private:
  bool takes_moments(const Run& run) const;

  int map_;
  int channels_;
  ParameterPlace bias_;
  std::vector<float> bias_lanes_;       // whole blocks
  std::vector<Moments> moments_;        // [share * blocks + block]
  std::vector<double> bias_gradients_;  // [share][channel of whole blocks]
};

}  // namespace marrow::train::native
