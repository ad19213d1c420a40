// From the numbers that a map took on to the scale that it is stored with in bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "marrow/graph/byte_scale.h"

namespace marrow::quantize {

enum class RangeRule {
  kMse,  // the range of least squared error: a few large numbers are cut off for finer steps of the rest
  kPercentile,  // all but one number in ten thousand at either end
  kMinMax,      // all numbers
};
std::string_view range_rule_name(RangeRule rule);  // "mse", "percentile", "minmax"

// Counts how often numbers occur between the smallest and the largest. Numbers that are not finite are left
// out.
class Histogram {
 public:
  void widen(std::span<const float> numbers);  // first all numbers this way,
  void count(std::span<const float> numbers);  // then all of them again

  // The scale by that rule. The range always holds 0, which padding is.
  ByteScale scale(RangeRule rule) const;

 private:
  struct Range {
    double low, high;
  };
  double error(Range range) const;  // the sum of squares that storing every number in 256 steps costs
  Range least_error() const;
  Range percentile() const;
  double middle(size_t bin) const;

  float smallest_ = 0, largest_ = 0;
  std::vector<int64_t> counts_;
  int64_t total_ = 0;
};

}  // namespace marrow::quantize
