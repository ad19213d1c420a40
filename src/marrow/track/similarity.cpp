#include "marrow/track/similarity.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "marrow/base/random.h"

namespace marrow::track {
namespace {

constexpr double kAgreement = 3;  // pixels
constexpr int kMostTries = 2000;
constexpr double kConfidence = 0.99;

// Least squares over some pairs, by their places; two pairs are met exactly.
std::optional<CameraMap> fit(std::span<const FlowPoint> from, std::span<const FlowPoint> to,
                             std::span<const size_t> places) {
  const auto n = static_cast<double>(places.size());
  double x = 0, y = 0, u = 0, v = 0;
  for (const size_t i : places) {
    x += from[i].x / n;
    y += from[i].y / n;
    u += to[i].x / n;
    v += to[i].y / n;
  }
  double along = 0, across = 0, spread = 0;
  for (const size_t i : places) {
    const double dx = from[i].x - x, dy = from[i].y - y, du = to[i].x - u, dv = to[i].y - v;
    along += dx * du + dy * dv;
    across += dx * dv - dy * du;
    spread += dx * dx + dy * dy;
  }
  if (!(spread > 0)) return {};
  const double a = along / spread, b = across / spread;
  return CameraMap{a, -b, u - a * x + b * y, b, a, v - b * x - a * y};
}

std::vector<size_t> those_that_agree(std::span<const FlowPoint> from, std::span<const FlowPoint> to,
                                     const CameraMap& map) {
  std::vector<size_t> agree;
  for (size_t i = 0; i < from.size(); ++i) {
    const double dx = map.a * from[i].x + map.b * from[i].y + map.c - to[i].x;
    const double dy = map.d * from[i].x + map.e * from[i].y + map.f - to[i].y;
    if (dx * dx + dy * dy <= kAgreement * kAgreement) agree.push_back(i);
  }
  return agree;
}

// Tries after which two pairs that agree were among them, as surely as kConfidence.
int tries_needed(double share) {
  const double both = share * share;
  if (both >= 1) return 0;
  const double tries = std::log(1 - kConfidence) / std::log1p(-both);
  return tries < kMostTries ? static_cast<int>(std::ceil(tries)) : kMostTries;
}

}  // namespace

std::optional<CameraMap> common_similarity(std::span<const FlowPoint> from, std::span<const FlowPoint> to) {
  if (from.size() < 2) return {};
  Random random(0, "common similarity");
  std::vector<size_t> best;
  int tries = kMostTries;
  for (int i = 0; i < tries; ++i) {
    const size_t first = random.below(from.size());
    const size_t second = (first + 1 + random.below(from.size() - 1)) % from.size();
    const std::optional<CameraMap> map = fit(from, to, std::array{first, second});
    if (!map) continue;
    std::vector<size_t> agree = those_that_agree(from, to, *map);
    if (agree.size() <= best.size()) continue;
    best = std::move(agree);
    tries =
        std::min(tries, tries_needed(static_cast<double>(best.size()) / static_cast<double>(from.size())));
  }
  if (best.size() < 2) return {};
  return fit(from, to, best);
}

}  // namespace marrow::track
