#include "watching/times.h"

#include <fmt/format.h>

namespace marrow::cli {

std::string times_text(const predict::PredictTimes& times) {
  return fmt::format("{:.1f}ms preprocess, {:.1f}ms inference, {:.1f}ms postprocess", times.preprocess_ms,
                     times.inference_ms, times.postprocess_ms);
}

void RunTimes::add(const predict::PredictTimes& times) {
  total_.preprocess_ms += times.preprocess_ms;
  total_.inference_ms += times.inference_ms;
  total_.postprocess_ms += times.postprocess_ms;
  ++count_;
}

std::string RunTimes::mean_text() const {
  const auto n = static_cast<double>(count_);
  return times_text({total_.preprocess_ms / n, total_.inference_ms / n, total_.postprocess_ms / n});
}

}  // namespace marrow::cli
