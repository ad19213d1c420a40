#include "marrow/graph/byte_scale.h"

#include <algorithm>
#include <cmath>

namespace marrow {
namespace {

constexpr float kSteps = 127;

}  // namespace

float weight_scale(std::span<const float> channel) {
  float largest = 0;
  for (const float weight : channel) largest = std::max(largest, std::abs(weight));
  return largest > 0 ? largest / kSteps : 1;
}

int8_t weight_byte(float weight, float scale) {
  return static_cast<int8_t>(std::clamp(std::nearbyint(weight / scale), -kSteps, kSteps));
}

}  // namespace marrow
