// What a head says of the four sides of one box, and how far that is from what is wanted.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "marrow/loss/map_view.h"

namespace marrow::loss {

// The four sides of one anchor, in cells: logits, and what follows from them. Source of the distributions:
// Generalized Focal Loss, Li et al. 2020.
class Sides {
 public:
  explicit Sides(int reg_max)
      : bins_(static_cast<size_t>(reg_max)), logits_(4 * bins_), probabilities_(logits_) {}

  size_t bins() const { return bins_; }
  double distance(size_t side) const { return distances_[side]; }

  template <class T>
  void read(const MapView<const T>& map, int64_t image, int64_t cell) {
    for (size_t c = 0; c < logits_.size(); ++c)
      logits_[c] = map.channel(image, static_cast<int64_t>(c))[cell * map.lanes];
    for (size_t side = 0; side < 4; ++side) {
      if (bins_ == 1)
        distances_[side] = logits_[side];
      else
        expect(side);
    }
  }

  // d distance / d logit
  double slope(size_t side, size_t bin) const {
    return bins_ == 1 ? 1
                      : probabilities_[side * bins_ + bin] * (static_cast<double>(bin) - distances_[side]);
  }

  // Returns a side's part of the third term and writes its gradient towards the side's logits: dfl(), or l1()
  // of shares of the input's side where there is one bin. Both lengths are in cells.
  double third_term(size_t side, double wanted, double input_side, std::span<double> gradient) const {
    return bins_ == 1 ? l1(side, wanted, input_side, gradient) : dfl(side, wanted, gradient);
  }

 private:
  // An L1 distance, in units of `unit` cells.
  double l1(size_t side, double wanted, double unit, std::span<double> gradient) const {
    const double off = (distances_[side] - wanted) / unit;
    gradient[0] = (off > 0 ? 1 : off < 0 ? -1 : 0) / unit;
    return std::abs(off);
  }
  // The cross entropy against a distribution over the two bins around the wanted distance.
  double dfl(size_t side, double wanted, std::span<double> gradient) const {
    const double target = std::clamp(wanted, 0.0, static_cast<double>(bins_) - 1.01);
    const auto left = static_cast<size_t>(target);
    const double right_weight = target - static_cast<double>(left), left_weight = 1 - right_weight;
    const double* const x = &logits_[side * bins_];
    std::copy_n(&probabilities_[side * bins_], bins_, gradient.begin());
    gradient[left] -= left_weight;
    gradient[left + 1] -= right_weight;
    return log_total_[side] - (x[left] * left_weight + x[left + 1] * right_weight);
  }

  void expect(size_t side) {
    const double* const x = &logits_[side * bins_];
    double* const p = &probabilities_[side * bins_];
    const double largest = *std::max_element(x, x + bins_);
    double total = 0, weighted = 0;
    for (size_t b = 0; b < bins_; ++b) {
      p[b] = std::exp(x[b] - largest);
      total += p[b];
      weighted += static_cast<double>(b) * p[b];
    }
    for (size_t b = 0; b < bins_; ++b) p[b] /= total;
    log_total_[side] = largest + std::log(total);
    distances_[side] = weighted / total;
  }

  size_t bins_;
  std::vector<double> logits_, probabilities_;  // (4, bins)
  std::array<double, 4> log_total_ = {}, distances_ = {};
};

}  // namespace marrow::loss
