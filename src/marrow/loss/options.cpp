#include "marrow/loss/options.h"

#include <algorithm>

namespace marrow::loss {

AssignerOptions assigner_of(const DetectionLossOptions& options, std::span<const int> strides) {
  AssignerOptions assigner = options.assigner;
  if (options.rules == Rules::k84 && !strides.empty())
    assigner.smallest_side = strides[std::min<size_t>(1, strides.size() - 1)];
  return assigner;
}

}  // namespace marrow::loss
