#include "marrow/loss/options.h"

#include <algorithm>
#include <cmath>

namespace marrow::loss {

AssignerOptions assigner_of(const DetectionLossOptions& options, std::span<const int> strides) {
  AssignerOptions assigner = options.assigner;
  if (options.rules == Rules::k84 && !strides.empty())
    assigner.smallest_side = strides[std::min<size_t>(1, strides.size() - 1)];
  return assigner;
}

DetectionLossOptions one_to_many(DetectionLossOptions options) {
  options.assigner.top_k = 10;
  options.assigner.top_k_after = 0;
  return options;
}

DetectionLossOptions one_to_one(DetectionLossOptions options) {
  options.assigner.top_k = 7;
  options.assigner.top_k_after = 1;
  return options;
}

double one_to_many_share(int finished, int epochs) {
  return 0.1 + 0.7 * std::max(1 - static_cast<double>(finished) / std::max(epochs - 1, 1), 0.0);
}

std::vector<double> class_weights(std::span<const int64_t> counts, double power) {
  std::vector<double> weights;
  double sum = 0;
  int64_t present = 0;
  for (const int64_t count : counts) {
    weights.push_back(count > 0 ? std::pow(1.0 / static_cast<double>(count), power) : 0);
    sum += weights.back();
    present += count > 0;
  }
  if (power == 0 || present == 0) return {};
  const double mean = sum / static_cast<double>(present);
  for (double& weight : weights) weight = weight > 0 ? weight / mean : 1;
  return weights;
}

}  // namespace marrow::loss
