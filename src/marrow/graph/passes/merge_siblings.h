// Joins 1x1 convolutions that read one value with one stride (StarNet's f1 and f2, a C3 block's cv1 and cv2)
// into a single wider one, whose channels are then sliced:
//
//   [W1 x + b1; W2 x + b2] = [W1; W2] x + [b1; b2]
//
// The map is read once; multiply-adds stay. It is exact. Grouped and padded convolutions, and those that
// share parameters, stay. The joined layer has the first one's name.
#pragma once

#include "marrow/graph/passes/pass.h"

namespace marrow::passes {

GraphWithWeights merge_siblings(const GraphWithWeights& source);

}  // namespace marrow::passes
