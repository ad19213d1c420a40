#include "marrow/graph/training_mode.h"

#include <algorithm>

#include "marrow/base/random.h"

namespace marrow {
namespace {

// Each value is a function of the sample's place in the epoch, of the node and of its index in the sample.
void draw(double rate, double scale, const TrainingPlace& place, size_t node, int64_t samples,
          std::span<float> mask) {
  const auto threshold = static_cast<float>(rate), kept = static_cast<float>(scale);
  const int64_t size = samples == 0 ? 0 : static_cast<int64_t>(mask.size()) / samples;
  auto out = mask.begin();
  for (int64_t i = 0; i < samples; ++i) {
    uint64_t stream = stream_of("mask");
    for (const uint64_t part : {static_cast<uint64_t>(place.epoch), static_cast<uint64_t>(place.position + i),
                                static_cast<uint64_t>(node)})
      stream = mix_bits(stream ^ part);
    Random random(place.seed, stream);
    for (int64_t j = 0; j < size; ++j) *out++ = static_cast<float>(random.uniform()) >= threshold ? kept : 0;
  }
}

double upscale(double rate) {
  return rate >= 1 ? 1 : 1 / (1 - rate);
}

}  // namespace

void draw_mask(const Dropout& op, const TrainingPlace& place, size_t node, int64_t samples,
               std::span<float> mask) {
  draw(op.rate, op.downscale_in_inference ? 1 : upscale(op.rate), place, node, samples, mask);
}

void draw_mask(const DropPath& op, const TrainingPlace& place, size_t node, int64_t samples,
               std::span<float> mask) {
  draw(op.rate, upscale(op.rate), place, node, samples, mask);
}

bool is_frozen(std::string_view parameter, const std::vector<std::string>& frozen) {
  return std::ranges::any_of(frozen,
                             [&](const std::string& part) { return parameter.find(part) != parameter.npos; });
}

}  // namespace marrow
