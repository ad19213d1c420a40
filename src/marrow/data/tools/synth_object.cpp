#include "marrow/data/tools/synth_object.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace marrow::data {
namespace {

// How far the unit shape reaches in a direction, from outside.
double reach(SynthShape shape, double u, double v) {
  constexpr double kFarthest = 1.5, kStep = 1.0 / 512;
  constexpr int kHalvings = 30;
  const auto is_inside = [&](double t) { return shape_distance(shape, t * u, t * v) <= 0; };
  double outside = kFarthest;
  while (outside > 0 && !is_inside(outside - kStep)) outside -= kStep;
  double inside = outside - kStep;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (inside + outside) / 2;
    (is_inside(middle) ? inside : outside) = middle;
  }
  return std::max(inside, 0.0);
}

// The unit shape's extent along its axes: its highest and lowest u, where any v belongs to it, and so for v.
struct Extent {
  double u1 = 0, u2 = 0, v1 = 0, v2 = 0;
};

Extent extent_of(SynthShape shape) {
  constexpr int kSteps = 4320;  // among them all directions of corners
  Extent extent;
  for (int i = 0; i < kSteps; ++i) {
    const double angle = 2 * std::numbers::pi * i / kSteps;
    const double u = std::cos(angle), v = std::sin(angle), t = reach(shape, u, v);
    extent.u1 = std::min(extent.u1, t * u);
    extent.u2 = std::max(extent.u2, t * u);
    extent.v1 = std::min(extent.v1, t * v);
    extent.v2 = std::max(extent.v2, t * v);
  }
  return extent;
}

}  // namespace

double SynthPose::distance(double px, double py) const {
  const double dx = px - x, dy = py - y;
  const double u = (dx * std::cos(angle) + dy * std::sin(angle)) / radius;
  const double v = (dy * std::cos(angle) - dx * std::sin(angle)) / (radius * stretch);
  return shape_distance(shape, u, v) * radius * std::min(stretch, 1.0);
}

Point<ImagePixels, double> SynthPose::at(double u, double v) const {
  const double along = u * radius, across = v * radius * stretch;
  return {x + along * std::cos(angle) - across * std::sin(angle),
          y + along * std::sin(angle) + across * std::cos(angle)};
}

std::array<Point<ImagePixels, double>, 4> corners_of(const SynthPose& pose) {
  static const std::array<Extent, kSynthShapes> extents = [] {
    std::array<Extent, kSynthShapes> all;
    for (int i = 0; i < kSynthShapes; ++i)
      all[static_cast<size_t>(i)] = extent_of(static_cast<SynthShape>(i));
    return all;
  }();
  const auto& [u1, u2, v1, v2] = extents[static_cast<size_t>(pose.shape)];
  return {pose.at(u1, v1), pose.at(u2, v1), pose.at(u2, v2), pose.at(u1, v2)};
}

std::array<Point<ImagePixels, double>, kSynthKeypoints> keypoints_of(const SynthPose& pose) {
  constexpr double kInside = 0.85;  // of the way to the edge
  const auto towards = [&](double u, double v) {
    const double t = kInside * reach(pose.shape, u, v);
    return pose.at(t * u, t * v);
  };
  return {towards(0, -1), towards(1, 0), towards(0, 1), towards(-1, 0), pose.at(0, 0)};
}

Skeleton synth_skeleton(size_t classes) {
  Skeleton skeleton;
  skeleton.shape = {kSynthKeypoints, 3};
  skeleton.flip_idx = {0, 3, 2, 1, 4};
  skeleton.names.assign(classes, {"top", "right", "bottom", "left", "middle"});
  return skeleton;
}

}  // namespace marrow::data
