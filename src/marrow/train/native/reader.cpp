#include "marrow/train/native/reader.h"

#include <algorithm>
#include <cstring>

#include "marrow/train/native/step.h"

namespace marrow::train::native {
namespace {

float parameter_of(const Reading& reading) {
  return reading.named_parameter != nullptr ? *reading.named_parameter : reading.parameter;
}

}  // namespace

Reader::Reader(const Seen& seen, std::span<const Map> maps, int lanes)
    : images_(seen.images), height_(seen.height), width_(seen.width) {
  for (const Seen::Channel& channel : seen.channels) {
    const Reading& reading = seen.readings[static_cast<size_t>(channel.reading)];
    const int64_t block = channel.channel / lanes;
    const auto known = std::ranges::find_if(
        blocks_, [&](const Block& other) { return other.block == block && other.reading == reading; });
    const auto place = static_cast<int>(known - blocks_.begin());
    if (known == blocks_.end()) blocks_.push_back({reading, block});
    lanes_of_.push_back(place * lanes + channel.channel % lanes);
  }
  // As many channels as the blocks hold, in order.
  int64_t held = 0;
  for (const Block& block : blocks_) {
    const Map& map = maps[static_cast<size_t>(block.reading.map)];
    held += std::min<int64_t>(lanes, map.channels - block.block * lanes);
  }
  aligned_ = held == static_cast<int64_t>(lanes_of_.size());
  for (size_t c = 0; c < lanes_of_.size(); ++c) aligned_ &= lanes_of_[c] == static_cast<int>(c);
}

bool Reader::wants_gradient(std::span<const Map> maps) const {
  return std::ranges::any_of(
      blocks_, [&](const Block& block) { return maps[static_cast<size_t>(block.reading.map)].has_gradient; });
}

void Reader::prepare(const Run& run, int64_t image, int block, int64_t first, int64_t pixels,
                     float* dst) const {
  const Block& part = blocks_[static_cast<size_t>(block)];
  const Map& map = run.maps[static_cast<size_t>(part.reading.map)];
  const int lanes = run.lanes();
  const float* src = map.value + map.at(lanes, image, part.block, first);
  if (map.norm == 0 && part.reading.kind == 0) {
    std::memcpy(dst, src, static_cast<size_t>(pixels * lanes) * sizeof(float));
    return;
  }
  const Norm::Lanes norm = run.norms[static_cast<size_t>(map.norm)].lanes(part.block, lanes);
  run.kernels->prepare[static_cast<size_t>(part.reading.kind)](
      {src, norm.scale, norm.shift, parameter_of(part.reading), dst, pixels});
}

void Reader::begin_backward(int lanes) {
  sums_.assign(static_cast<size_t>(kMostShares * blocks() * 2 * lanes), 0);
}

void Reader::give(const Run& run, int64_t share, int64_t image, int block, int64_t first, int64_t pixels,
                  const float* dz) {
  const Block& part = blocks_[static_cast<size_t>(block)];
  const Map& map = run.maps[static_cast<size_t>(part.reading.map)];
  if (!map.has_gradient) return;
  const int lanes = run.lanes();
  const int64_t at = map.at(lanes, image, part.block, first);
  const Norm::Lanes norm = run.norms[static_cast<size_t>(map.norm)].lanes(part.block, lanes);
  double* sums = map.norm == 0 ? nullptr : sums_.data() + (share * blocks() + block) * 2 * lanes;
  run.kernels->finish_gradient[static_cast<size_t>(part.reading.kind)](
      {.dz = dz,
       .y = map.value + at,
       .scale = norm.scale,
       .shift = norm.shift,
       .centre = norm.centre,
       .parameter = parameter_of(part.reading),
       .dn = map.gradient + at,
       .adds = part.adds,
       .streamed = false,
       .pixels = pixels,
       .sums = sums,
       .products = sums == nullptr ? nullptr : sums + lanes});
}

void Reader::end_backward(const Run& run) {
  const int lanes = run.lanes();
  for (int64_t share = 0; share < kMostShares; ++share)
    for (int b = 0; b < blocks(); ++b) {
      const Block& part = blocks_[static_cast<size_t>(b)];
      const int norm = run.maps[static_cast<size_t>(part.reading.map)].norm;
      if (norm == 0) continue;
      const double* sums = sums_.data() + (share * blocks() + b) * 2 * lanes;
      run.norms[static_cast<size_t>(norm)].add_sums(part.block, lanes, sums, sums + lanes);
    }
}

}  // namespace marrow::train::native
