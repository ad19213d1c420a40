// How long the parts of a validation take.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

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

class LapClock {
 public:
  // Milliseconds since it was made, or since the last call.
  double lap() {
    const auto before = std::exchange(latest_, std::chrono::steady_clock::now());
    return std::chrono::duration<double, std::milli>(latest_ - before).count();
  }

 private:
  std::chrono::steady_clock::time_point latest_ = std::chrono::steady_clock::now();
};

}  // namespace marrow::evaluate
