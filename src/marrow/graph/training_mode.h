// What the operations of a graph do in training and not in inference, as every executor that trains needs it:
// the masks of dropout and drop path, and which parameters stand still.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/graph/operation.h"

namespace marrow {

// Where a training step stands, so that dropout and drop path draw the same masks whatever ran before:
// sample i of the batch draws as the (position + i)th of its epoch.
struct TrainingPlace {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t position = 0;  // of the batch's first sample in the epoch's order
};

// What the operation multiplies its input by: 0 with probability rate, else its scale, in float32 whatever
// the executor computes in. `mask` holds the same number of values for each sample, those of the first sample
// first: of dropout one an element, of drop path one in all. `node` is the operation's index in Graph::nodes.
void draw_mask(const Dropout& op, const TrainingPlace& place, size_t node, int64_t samples,
               std::span<float> mask);
void draw_mask(const DropPath& op, const TrainingPlace& place, size_t node, int64_t samples,
               std::span<float> mask);

// Whether a parameter of this name stands still: it contains one of `frozen` ("model.0."). Such a parameter
// gets no gradient, and a batch norm whose scale it is normalises by its running statistics, which do not
// move.
bool is_frozen(std::string_view parameter, const std::vector<std::string>& frozen);

}  // namespace marrow
