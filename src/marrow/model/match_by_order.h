// Pairs the tensors of a file with those of a network whose names are others: by what follows what, and by
// shapes.
#pragma once

#include <string>
#include <vector>

#include "marrow/base/tensor.h"

namespace marrow::model {

struct NamedShape {
  std::string name;
  Shape shape;
};

struct NamePair {
  std::string theirs, ours;
};

// Both lists in the order of their modules; batch counters left out. Where the two lists are the same kinds
// and shapes one after another, that is the pairing. Otherwise blocks (the modules of one parent) of equal
// contents are paired in their order, then single modules, then single tensors of equal kind (weight, bias,
// running_mean, ...) and shape. So two branches of a unit may stand in either order as long as something
// tells them apart. In the order of `ours`.
std::vector<NamePair> match_by_order(const std::vector<NamedShape>& theirs,
                                     const std::vector<NamedShape>& ours);

}  // namespace marrow::model
