#include "marrow/train/native/steps/product_output.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace marrow::train::native {
ProductOutput::ProductOutput(int map, int channels, const ParameterPlace& bias)
    : map_(map), channels_(channels), bias_(bias) {}

bool ProductOutput::takes_moments(const Run& run) const {
  const int norm = run.maps[static_cast<size_t>(map_)].norm;
  return norm != 0 && !run.norms[static_cast<size_t>(norm)].fixed();
}

void ProductOutput::begin_forward(const Run& run) {
  const auto lanes = static_cast<size_t>(run.lanes());
  const auto blocks = static_cast<size_t>(run.maps[static_cast<size_t>(map_)].blocks(run.lanes()));
  if (bias_.value != nullptr) {
    bias_lanes_.assign(blocks * lanes, 0);
    std::copy_n(bias_.value, channels_, bias_lanes_.begin());
  }
  if (!takes_moments(run)) return;
  moments_.resize(static_cast<size_t>(kMostShares) * blocks);
  for (Moments& moments : moments_) moments.reset(lanes);
}

void ProductOutput::store(const Run& run, int64_t share, int64_t image, int64_t block, int64_t first,
                          int64_t pixels, float* product) {
  const Map& map = run.maps[static_cast<size_t>(map_)];
  const int lanes = run.lanes();
  if (!bias_lanes_.empty()) {
    const float* bias = bias_lanes_.data() + block * lanes;
    run.engine->scale_lanes(product, run.norms[0].lanes(0, lanes).scale, bias, product, pixels * lanes);
  }
  float* dst = map.value + map.at(lanes, image, block, first);
  if (!takes_moments(run)) {
    std::memcpy(dst, product, static_cast<size_t>(pixels * lanes) * sizeof(float));
    return;
  }
  std::array<double, kMostLanes> mean, squares;
  run.kernels->finish({.src = product,
                       .dst = dst,
                       .streamed = map.streamed,
                       .pixels = pixels,
                       .mean = mean.data(),
                       .squares = squares.data()});
  Moments& moments = moments_[static_cast<size_t>(share * map.blocks(lanes) + block)];
  moments.merge(static_cast<double>(pixels), mean.data(), squares.data(), 0, static_cast<size_t>(lanes));
  moments.count += static_cast<double>(pixels);
}

void ProductOutput::end_forward(const Run& run) {
  if (!takes_moments(run)) return;
  const Map& map = run.maps[static_cast<size_t>(map_)];
  const auto lanes = static_cast<size_t>(run.lanes());
  const auto blocks = static_cast<size_t>(map.blocks(run.lanes()));
  Moments total;
  total.reset(blocks * lanes);
  for (size_t block = 0; block < blocks; ++block) {
    total.count = 0;
    for (size_t share = 0; share < static_cast<size_t>(kMostShares); ++share) {
      const Moments& part = moments_[share * blocks + block];
      if (part.count == 0) continue;
      total.merge(part.count, part.mean.data(), part.squares.data(), block * lanes, lanes);
      total.count += part.count;
    }
  }
  run.norms[static_cast<size_t>(map.norm)].settle(total, run.moves_statistics);
}

void ProductOutput::begin_backward(const Run& run) {
  const Map& map = run.maps[static_cast<size_t>(map_)];
  if (map.norm != 0) run.norms[static_cast<size_t>(map.norm)].settle_gradient();
  if (bias_.gradient != nullptr)
    bias_gradients_.assign(static_cast<size_t>(kMostShares * map.blocks(run.lanes()) * run.lanes()), 0);
}

void ProductOutput::prepare_gradient(const Run& run, int64_t share, int64_t image, int64_t block,
                                     int64_t first, int64_t pixels, bool counts, float* dst) {
  const Map& map = run.maps[static_cast<size_t>(map_)];
  const int lanes = run.lanes();
  const int64_t at = map.at(lanes, image, block, first);
  if (map.norm == 0) {
    std::memcpy(dst, map.gradient + at, static_cast<size_t>(pixels * lanes) * sizeof(float));
  } else {
    const Norm::Lanes norm = run.norms[static_cast<size_t>(map.norm)].lanes(block, lanes);
    run.kernels->prepare_gradient({.dn = map.gradient + at,
                                   .y = map.value + at,
                                   .factor = norm.factor,
                                   .slope = norm.slope,
                                   .centre = norm.centre,
                                   .offset = norm.offset,
                                   .dst = dst,
                                   .pixels = pixels});
  }
  if (bias_.gradient == nullptr || !counts) return;
  std::array<float, kMostLanes> sums;
  run.engine->sum_lanes(dst, pixels * lanes, sums.data());
  double* total = bias_gradients_.data() + (share * map.blocks(lanes) + block) * lanes;
  for (size_t lane = 0; lane < static_cast<size_t>(lanes); ++lane) total[lane] += double{sums[lane]};
}

void ProductOutput::add_places(const Run& run, int64_t image, int64_t block, int64_t first,
                               std::vector<const float*>& places) const {
  const Map& map = run.maps[static_cast<size_t>(map_)];
  const int64_t at = map.at(run.lanes(), image, block, first);
  places.push_back(map.gradient + at);
  if (map.norm != 0) places.push_back(map.value + at);
}

void ProductOutput::end_backward(const Run& run) {
  if (bias_.gradient == nullptr) return;
  const Map& map = run.maps[static_cast<size_t>(map_)];
  const int64_t whole = map.blocks(run.lanes()) * run.lanes();
  for (int64_t c = 0; c < channels_; ++c) {
    double sum = 0;
    for (int64_t share = 0; share < kMostShares; ++share)
      sum += bias_gradients_[static_cast<size_t>(share * whole + c)];
    bias_.gradient[c] += static_cast<float>(sum);
  }
}

}  // namespace marrow::train::native
