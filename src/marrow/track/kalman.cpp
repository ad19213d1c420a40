#include "marrow/track/kalman.h"

#include <cmath>
#include <optional>

namespace marrow::track {
namespace {

// Standard deviations as shares of the box's size, of positions and of velocities.
constexpr double kPosition = 1.0 / 20;
constexpr double kVelocity = 1.0 / 160;

constexpr size_t kMeasured = 4;
using Matrix4 = std::array<double, kMeasured * kMeasured>;

// Standard deviations of the four states from `share` of the sides; of an aspect ratio, `aspect`.
BoxMeasurement deviations(BoxStates states, double third, double height, double share, double aspect) {
  if (states == BoxStates::kAspectAndHeight) return {share * height, share * height, aspect, share * height};
  const double width = third;
  return {share * width, share * height, share * width, share * height};
}

// L of S = L L', or nothing where S is not positive definite.
std::optional<Matrix4> cholesky(const Matrix4& s) {
  Matrix4 l = {};
  for (size_t i = 0; i < kMeasured; ++i)
    for (size_t j = 0; j <= i; ++j) {
      double sum = s[i * kMeasured + j];
      for (size_t k = 0; k < j; ++k) sum -= l[i * kMeasured + k] * l[j * kMeasured + k];
      if (i != j) {
        l[i * kMeasured + j] = sum / l[j * kMeasured + j];
      } else {
        if (!(sum > 0) || !std::isfinite(sum)) return {};
        l[i * kMeasured + i] = std::sqrt(sum);
      }
    }
  return l;
}

// S^-1 v.
BoxMeasurement solve(const Matrix4& l, BoxMeasurement v) {
  for (size_t i = 0; i < kMeasured; ++i) {
    for (size_t k = 0; k < i; ++k) v[i] -= l[i * kMeasured + k] * v[k];
    v[i] /= l[i * kMeasured + i];
  }
  for (size_t i = kMeasured; i-- > 0;) {
    for (size_t k = i + 1; k < kMeasured; ++k) v[i] -= l[k * kMeasured + i] * v[k];
    v[i] /= l[i * kMeasured + i];
  }
  return v;
}

}  // namespace

BoxMeasurement measurement(BoxStates states, const Box<ImagePixels>& box) {
  const float width = box.width(), height = box.height();
  const float cx = box.x1 + width / 2, cy = box.y1 + height / 2;
  return {cx, cy, states == BoxStates::kAspectAndHeight ? width / height : width, height};
}

BoxMotion::BoxMotion(BoxStates states, const BoxMeasurement& first) : states_(states) {
  const BoxMeasurement position = deviations(states, first[2], first[3], 2 * kPosition, 1e-2);
  const BoxMeasurement velocity = deviations(states, first[2], first[3], 10 * kVelocity, 1e-5);
  for (size_t i = 0; i < kMeasured; ++i) {
    mean_[i] = first[i];
    at(i, i) = position[i] * position[i];
    at(i + kMeasured, i + kMeasured) = velocity[i] * velocity[i];
  }
}

void BoxMotion::predict(bool seen) {
  if (!seen) {
    mean_[7] = 0;
    if (states_ == BoxStates::kWidthAndHeight) mean_[6] = 0;
  }
  const BoxMeasurement position = deviations(states_, mean_[2], mean_[3], kPosition, 1e-2);
  const BoxMeasurement velocity = deviations(states_, mean_[2], mean_[3], kVelocity, 1e-5);
  for (size_t i = 0; i < kMeasured; ++i) mean_[i] += mean_[i + kMeasured];
  // F P F' + Q, where F adds velocities to positions.
  for (size_t i = 0; i < kMeasured; ++i)
    for (size_t j = 0; j < kStates; ++j) at(i, j) += at(i + kMeasured, j);
  for (size_t i = 0; i < kStates; ++i)
    for (size_t j = 0; j < kMeasured; ++j) at(i, j) += at(i, j + kMeasured);
  for (size_t i = 0; i < kMeasured; ++i) {
    at(i, i) += position[i] * position[i];
    at(i + kMeasured, i + kMeasured) += velocity[i] * velocity[i];
  }
}

void BoxMotion::correct(const BoxMeasurement& measured) {
  const BoxMeasurement noise = deviations(states_, mean_[2], mean_[3], kPosition, 1e-1);
  Matrix4 s;  // H P H' + R
  for (size_t i = 0; i < kMeasured; ++i)
    for (size_t j = 0; j < kMeasured; ++j)
      s[i * kMeasured + j] = at(i, j) + (i == j ? noise[i] * noise[i] : 0);
  const std::optional<Matrix4> l = cholesky(s);
  if (!l) {
    *this = BoxMotion(states_, measured);
    return;
  }
  std::array<BoxMeasurement, kStates> gain;  // K = P H' S^-1
  for (size_t i = 0; i < kStates; ++i) gain[i] = solve(*l, {at(i, 0), at(i, 1), at(i, 2), at(i, 3)});
  BoxMeasurement surprise;
  for (size_t i = 0; i < kMeasured; ++i) surprise[i] = measured[i] - mean_[i];
  for (size_t i = 0; i < kStates; ++i)
    for (size_t k = 0; k < kMeasured; ++k) mean_[i] += gain[i][k] * surprise[k];
  for (size_t i = 0; i < kStates; ++i) {
    BoxMeasurement weighed = {};  // row i of K S
    for (size_t k = 0; k < kMeasured; ++k)
      for (size_t j = 0; j < kMeasured; ++j) weighed[j] += gain[i][k] * s[k * kMeasured + j];
    for (size_t j = 0; j < kStates; ++j)
      for (size_t k = 0; k < kMeasured; ++k) at(i, j) -= weighed[k] * gain[j][k];
  }
}

void BoxMotion::move(const CameraMap& camera) {
  // Of sizes the absolute values, so that widths and heights never change sign.
  const auto turn = [&](double& x, double& y, bool sizes) {
    const auto part = [&](double value) { return sizes ? std::abs(value) : value; };
    const double turned = part(camera.a) * x + part(camera.b) * y;
    y = part(camera.d) * x + part(camera.e) * y;
    x = turned;
  };
  for (size_t pair = 0; pair < kStates; pair += 2) {
    const bool sizes = pair % kMeasured == 2;
    turn(mean_[pair], mean_[pair + 1], sizes);
    for (size_t j = 0; j < kStates; ++j) turn(at(pair, j), at(pair + 1, j), sizes);
  }
  for (size_t pair = 0; pair < kStates; pair += 2)
    for (size_t i = 0; i < kStates; ++i) turn(at(i, pair), at(i, pair + 1), pair % kMeasured == 2);
  mean_[0] += camera.c;
  mean_[1] += camera.f;
}

Box<ImagePixels> BoxMotion::box() const {
  const double height = mean_[3];
  const double width = states_ == BoxStates::kAspectAndHeight ? mean_[2] * height : mean_[2];
  const double x1 = mean_[0] - width / 2, y1 = mean_[1] - height / 2;
  return {static_cast<float>(x1), static_cast<float>(y1), static_cast<float>(x1 + width),
          static_cast<float>(y1 + height)};
}

}  // namespace marrow::track
