#include "marrow/evaluate/validation_times.h"

#include <fmt/format.h>

#include <algorithm>

namespace marrow::evaluate {

ValidationTimes ValidationTimes::per_image(int64_t images) const {
  const double n = static_cast<double>(std::max<int64_t>(images, 1));
  return {preprocess / n, inference / n, postprocess / n};
}

std::string speed_line(const ValidationTimes& times) {
  return fmt::format("Speed: {:.1f}ms preprocess, {:.1f}ms inference, {:.1f}ms postprocess per image",
                     times.preprocess, times.inference, times.postprocess);
}

}  // namespace marrow::evaluate
