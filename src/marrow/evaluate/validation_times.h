// How long the parts of a validation take.
#pragma once

#include <cstdint>
#include <string>

namespace marrow::evaluate {

// Milliseconds an image.
struct ValidationTimes {
  double preprocess = 0;  // waiting for images
  double inference = 0;
  double postprocess = 0;

  // From sums over `images` of them.
  ValidationTimes per_image(int64_t images) const;
};

// "Speed: 0.1ms preprocess, 9.1ms inference, 2.7ms postprocess per image"
std::string speed_line(const ValidationTimes& times);

}  // namespace marrow::evaluate
