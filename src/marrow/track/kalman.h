// Where a box is and how it moves: a Kalman filter of constant velocity, in steps of one frame.
//
// Sources: ByteTrack, Zhang et al. 2021; BoT-SORT, Aharon et al. 2022.
#pragma once

#include <array>

#include "marrow/geometry/box.h"

namespace marrow::track {

// What of a box is measured, always with the centre first.
enum class BoxStates {
  kAspectAndHeight,  // ByteTrack: width / height, height
  kWidthAndHeight,   // BoT-SORT
};

using BoxMeasurement = std::array<double, 4>;

// A map from the pixels of one frame to those of the next: x' = a x + b y + c, y' = d x + e y + f.
struct CameraMap {
  double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
  bool operator==(const CameraMap&) const = default;
};

// In float32 as detectors give it, then widened. The box has a width and a height above 0.
BoxMeasurement measurement(BoxStates states, const Box<ImagePixels>& box);

class BoxMotion {
 public:
  static constexpr size_t kStates = 8;  // four measured ones, then their velocities

  BoxMotion(BoxStates states, const BoxMeasurement& first);
  // For tests: in the middle of a track.
  BoxMotion(BoxStates states, const std::array<double, kStates>& mean,
            const std::array<double, kStates * kStates>& covariance)
      : states_(states), mean_(mean), covariance_(covariance) {}

  // One frame on. An object out of sight keeps its size: `seen` is whether it was matched in the last frame.
  void predict(bool seen = true);
  // A measurement that the covariance cannot weigh, since numbers overflowed, starts the filter anew.
  void correct(const BoxMeasurement& measured);
  // The camera moved.
  void move(const CameraMap& camera);

  Box<ImagePixels> box() const;
  const std::array<double, kStates>& mean() const { return mean_; }
  const std::array<double, kStates * kStates>& covariance() const { return covariance_; }  // by rows

 private:
  double& at(size_t row, size_t column) { return covariance_[row * kStates + column]; }

  BoxStates states_;
  std::array<double, kStates> mean_ = {};
  std::array<double, kStates* kStates> covariance_ = {};
};

}  // namespace marrow::track
