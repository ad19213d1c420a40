#include "marrow/quantize/byte_range.h"

#include <algorithm>
#include <cmath>

namespace marrow::quantize {
namespace {

constexpr size_t kBins = 2048;
constexpr double kCutShare = 1e-4;  // of RangeRule::kPercentile, at either end
constexpr int kCandidates = 64;     // ends of the range that RangeRule::kMse tries

}  // namespace

std::string_view range_rule_name(RangeRule rule) {
  switch (rule) {
    case RangeRule::kMse:
      return "mse";
    case RangeRule::kPercentile:
      return "percentile";
    case RangeRule::kMinMax:
      return "minmax";
  }
  return "?";
}

void Histogram::widen(std::span<const float> numbers) {
  for (const float x : numbers) {
    if (!std::isfinite(x)) continue;
    smallest_ = std::min(smallest_, x);
    largest_ = std::max(largest_, x);
  }
}

void Histogram::count(std::span<const float> numbers) {
  counts_.resize(kBins);
  const float width = largest_ - smallest_;
  const float bins_per_unit = width > 0 ? static_cast<float>(kBins) / width : 0;
  for (const float x : numbers) {
    if (!std::isfinite(x)) continue;
    const auto bin = static_cast<int64_t>((x - smallest_) * bins_per_unit);
    ++counts_[static_cast<size_t>(std::clamp<int64_t>(bin, 0, kBins - 1))];
    ++total_;
  }
}

double Histogram::middle(size_t bin) const {
  return smallest_ + (static_cast<double>(bin) + 0.5) * (double{largest_} - smallest_) / kBins;
}

double Histogram::error(Range range) const {
  const double step = (range.high - range.low) / 255;
  double sum = 0;
  for (size_t bin = 0; bin < counts_.size(); ++bin) {
    const double x = middle(bin);
    const double beyond = std::max({range.low - x, x - range.high, 0.0});
    sum += static_cast<double>(counts_[bin]) * (beyond > 0 ? beyond * beyond : step * step / 12);
  }
  return sum;
}

// One end after the other, a few times: the error has one valley in each for the histograms that occur.
Histogram::Range Histogram::least_error() const {
  Range best{smallest_, largest_};
  double least = error(best);
  for (int round = 0; round < 2; ++round)
    for (double Range::*end : {&Range::high, &Range::low}) {
      const double whole = end == &Range::high ? largest_ : smallest_;
      for (int i = 1; i <= kCandidates; ++i) {
        Range candidate = best;
        candidate.*end = whole * i / kCandidates;
        if (!(candidate.high > candidate.low)) continue;
        if (const double found = error(candidate); found < least) {
          least = found;
          best = candidate;
        }
      }
    }
  return best;
}

Histogram::Range Histogram::percentile() const {
  const auto cut = static_cast<int64_t>(kCutShare * static_cast<double>(total_));
  Range range{smallest_, largest_};
  int64_t below = 0, above = 0;
  for (size_t bin = 0; bin < counts_.size(); ++bin)
    if ((below += counts_[bin]) > cut) {
      range.low = middle(bin);
      break;
    }
  for (size_t bin = counts_.size(); bin-- > 0;)
    if ((above += counts_[bin]) > cut) {
      range.high = middle(bin);
      break;
    }
  return range;
}

ByteScale Histogram::scale(RangeRule rule) const {
  Range range{smallest_, largest_};
  if (rule == RangeRule::kMse) range = least_error();
  if (rule == RangeRule::kPercentile) range = percentile();
  range.low = std::min(range.low, 0.0);
  range.high = std::max(range.high, 0.0);
  // A map that is always 0 takes any scale.
  if (!(range.high - range.low > 1e-30)) return {1, 0};
  const double step = (range.high - range.low) / 255;
  return {static_cast<float>(step),
          static_cast<int>(std::clamp(std::nearbyint(-range.low / step), 0.0, 255.0))};
}

}  // namespace marrow::quantize
