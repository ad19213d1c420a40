#include "marrow/data/tools/look.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

namespace marrow::data {
namespace {

constexpr int kGrid = 16;
constexpr int kStep = 3;  // brightness; smaller differences are noise

// How far two looks may lie apart: edges, of 480, which are compared first because that is quick; and
// colours, on average, as a share of how much those of the image vary, for images of fog or night are all
// alike otherwise.
struct Tolerance {
  int edges;
  double noise, share;  // levels of 255, and of the variation
};
// The most of the variation that counts as noise: nearly black images hold their objects in a few levels.
constexpr double kMostNoise = 0.25;
constexpr Tolerance kAlike = {100, 1, 0.08}, kRelated = {140, 2, 0.3};

// Means of the cells of a grid; pixels are visited once.
std::array<uint8_t, 3 * kGrid * kGrid> cells_of(const image::Image& image) {
  std::array<uint64_t, 3 * kGrid* kGrid> sums = {};
  std::array<uint64_t, kGrid* kGrid> counts = {};
  // Every pixel of a large image says no more than some do.
  const int step_x = std::max(1, image.width() / (kGrid * 16)),
            step_y = std::max(1, image.height() / (kGrid * 16));
  for (int y = 0; y < image.height(); y += step_y) {
    const uint8_t* row = image.row(y);
    const int cell_y = y * kGrid / image.height();
    for (int x = 0; x < image.width(); x += step_x) {
      const auto cell = static_cast<size_t>(cell_y) * kGrid + static_cast<size_t>(x * kGrid / image.width());
      for (size_t c = 0; c < 3; ++c) sums[3 * cell + c] += row[3 * static_cast<size_t>(x) + c];
      ++counts[cell];
    }
  }
  std::array<uint8_t, 3 * kGrid* kGrid> means = {};
  for (size_t i = 0; i < means.size(); ++i)
    means[i] = static_cast<uint8_t>(counts[i / 3] == 0 ? 0 : sums[i] / counts[i / 3]);
  return means;
}

bool are_within(const Look& a, const Look& b, const Tolerance& tolerance) {
  int edges = 0;
  for (size_t i = 0; i < a.edges.size(); ++i) edges += std::popcount(a.edges[i] ^ b.edges[i]);
  if (edges > tolerance.edges) return false;
  int sum = 0;
  for (size_t i = 0; i < a.colours.size(); ++i) sum += std::abs(int{a.colours[i]} - int{b.colours[i]});
  const double difference = sum / static_cast<double>(a.colours.size());
  const double variation = std::min(a.variation, b.variation);
  return difference <= std::min(tolerance.noise, kMostNoise * variation) + tolerance.share * variation;
}

// Of the colours: how far they are from their means, on average.
float variation_of(const Look& look) {
  int sums[3] = {};
  for (size_t i = 0; i < look.colours.size(); ++i) sums[i % 3] += look.colours[i];
  int deviation = 0;
  for (size_t i = 0; i < look.colours.size(); ++i)
    deviation += std::abs(look.colours[i] - sums[i % 3] / (kGrid * kGrid));
  return static_cast<float>(deviation) / static_cast<float>(look.colours.size());
}

}  // namespace

Look look_of(const image::Image& image) {
  Look look;
  if (image.empty()) return look;
  look.colours = cells_of(image);
  const auto brightness = [&](int x, int y) {
    const auto at = size_t{3} * static_cast<size_t>(y * kGrid + x);
    return (look.colours[at] + 2 * look.colours[at + 1] + look.colours[at + 2]) / 4;
  };
  size_t bit = 0;
  const auto add = [&](bool grows) {
    if (grows) look.edges[bit / 64] |= uint64_t{1} << (bit % 64);
    ++bit;
  };
  for (int y = 0; y < kGrid; ++y)
    for (int x = 0; x + 1 < kGrid; ++x) {
      add(brightness(x + 1, y) > brightness(x, y) + kStep);
      add(brightness(y, x + 1) > brightness(y, x) + kStep);
    }
  look.variation = variation_of(look);
  return look;
}

bool look_alike(const Look& a, const Look& b) {
  return are_within(a, b, kAlike);
}

bool look_related(const Look& a, const Look& b) {
  return are_within(a, b, kRelated);
}

}  // namespace marrow::data
