#include "marrow/train/native/norm.h"

#include <algorithm>
#include <cmath>

namespace marrow::train::native {

void Moments::reset(size_t channels) {
  count = 0;
  mean.assign(channels, 0);
  squares.assign(channels, 0);
}

void Moments::merge(double more, const double* other_mean, const double* other_squares, size_t first,
                    size_t channels) {
  for (size_t c = 0; c < channels; ++c) {
    const double delta = other_mean[c] - mean[first + c];
    mean[first + c] += delta * more / (count + more);
    squares[first + c] += other_squares[c] + delta * delta * count * more / (count + more);
  }
}

Norm::Norm(int lanes) : identity_(true) {
  const auto n = static_cast<size_t>(lanes);
  scale_.assign(n, 1);
  factor_.assign(n, 1);
  shift_.assign(n, 0);
  centre_ = slope_ = offset_ = shift_;
}

Norm::Norm(const BatchNorm& op, const NormPlaces& places, int channels, int lanes)
    : eps_(op.eps), momentum_(op.momentum), places_(places), channels_(static_cast<size_t>(channels)) {
  const auto step = static_cast<size_t>(lanes);
  const size_t whole = (channels_ + step - 1) / step * step;
  mean_.assign(channels_, 0);
  inverse_.assign(channels_, 0);
  sums_.assign(whole, 0);
  products_.assign(whole, 0);
  scale_.assign(whole, 0);
  shift_ = centre_ = factor_ = slope_ = offset_ = scale_;
}

void Norm::set_scale(size_t c, double mean, double inverse) {
  const double scale = inverse * places_.gamma.value[c];
  scale_[c] = static_cast<float>(scale);
  shift_[c] = static_cast<float>(places_.beta.value[c] - mean * scale);
  centre_[c] = static_cast<float>(mean);
  mean_[c] = mean;
  inverse_[c] = inverse;
}

void Norm::begin() {
  std::ranges::fill(sums_, 0);
  std::ranges::fill(products_, 0);
  if (identity_ || !places_.fixed) return;
  for (size_t c = 0; c < channels_; ++c)
    set_scale(c, places_.running_mean[c], 1 / std::sqrt(double{places_.running_var[c]} + eps_));
}

// Sums about the running mean, which is the same for all and not far from the batch's: of the values' number,
// of them, and of their squares.
Moments Norm::over_all_workers(const Moments& own) const {
  std::vector<double> sums(1 + 2 * channels_, 0);
  sums[0] = own.count;
  for (size_t c = 0; c < channels_ && own.count > 0; ++c) {
    const double mean = own.mean[c] - places_.running_mean[c];
    sums[1 + c] = own.count * mean;
    sums[1 + channels_ + c] = own.squares[c] + own.count * mean * mean;
  }
  places_.workers->communicator().sum(sums);
  Moments all;
  all.reset(channels_);
  all.count = sums[0];
  for (size_t c = 0; c < channels_; ++c) {
    const double mean = sums[1 + c] / all.count;
    all.mean[c] = places_.running_mean[c] + mean;
    const double squares = sums[1 + channels_ + c] - all.count * mean * mean;
    all.squares[c] = squares < 0 ? 0 : squares;  // NaN stays
  }
  return all;
}

void Norm::settle(const Moments& moments, bool moves) {
  if (places_.workers == nullptr)
    settle_by(moments, moves);
  else
    settle_by(over_all_workers(moments), moves);
}

void Norm::settle_without_images(bool moves) {
  if (!identity_ && !places_.fixed && places_.workers != nullptr) settle({}, moves);
}

void Norm::settle_by(const Moments& moments, bool moves) {
  count_ = moments.count;
  if (moves && places_.counter != nullptr) ++*places_.counter;
  for (size_t c = 0; c < channels_; ++c) {
    set_scale(c, moments.mean[c], 1 / std::sqrt(moments.squares[c] / count_ + eps_));
    if (!moves) continue;
    const auto move = [&](float& running, double latest) {
      running = static_cast<float>((1 - momentum_) * running + momentum_ * latest);
    };
    move(places_.running_mean[c], moments.mean[c]);
    // One value a channel has no unbiased variance.
    move(places_.running_var[c], count_ > 1 ? moments.squares[c] / (count_ - 1) : 0);
  }
}

Norm::Lanes Norm::lanes(int64_t block, int lanes) const {
  const auto at = identity_ ? 0 : static_cast<size_t>(block * lanes);
  return {scale_.data() + at,  shift_.data() + at, centre_.data() + at,
          factor_.data() + at, slope_.data() + at, offset_.data() + at};
}

void Norm::add_sums(int64_t block, int lanes, const double* sums, const double* products) {
  const auto at = static_cast<size_t>(block * lanes);
  for (size_t lane = 0; lane < static_cast<size_t>(lanes); ++lane) {
    sums_[at + lane] += sums[lane];
    products_[at + lane] += products[lane];
  }
}

void Norm::settle_gradient() {
  // Sums over dn, then over dn (y - mean).
  std::vector<double> sums(2 * channels_);
  for (size_t c = 0; c < channels_; ++c) {
    // Kernels subtract the mean as a float.
    const double along = products_[c] - (mean_[c] - double{centre_[c]}) * sums_[c];
    if (places_.gamma.gradient != nullptr)
      places_.gamma.gradient[c] += static_cast<float>(along * inverse_[c]);
    if (places_.beta.gradient != nullptr) places_.beta.gradient[c] += static_cast<float>(sums_[c]);
    sums[c] = sums_[c];
    sums[channels_ + c] = along;
  }
  if (places_.workers != nullptr && !places_.fixed) places_.workers->communicator().sum(sums);
  for (size_t c = 0; c < channels_; ++c) {
    const double inverse = inverse_[c], gamma = places_.gamma.value[c];
    factor_[c] = static_cast<float>(gamma * inverse);
    if (places_.fixed) continue;
    const double slope = -gamma * inverse * inverse * inverse * sums[channels_ + c] / count_;
    slope_[c] = static_cast<float>(slope);
    offset_[c] =
        static_cast<float>(-gamma * inverse * sums[c] / count_ + slope * (double{centre_[c]} - mean_[c]));
  }
}

}  // namespace marrow::train::native
