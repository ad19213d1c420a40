// The part of a network that stands still in training, from the images to the maps that what is trained
// reads: a function of the image alone, which the inference engine computes.
//
// It stands still where parameters are frozen, so that batch norms go by their running statistics. Dropout
// and drop path are off there. One caller at a time.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "marrow/predict/compiled_network.h"

namespace marrow::train {

class FrozenPart {
 public:
  // Of a detector. `frozen` as in ExecutorSettings. Throws Error{kUsage} where a trained layer reads the
  // image itself.
  FrozenPart(const Graph& graph, const Weights& weights, const std::vector<std::string>& frozen, int threads);

  // The values that what is trained reads, in the graph's order. What only puts together or repeats what is
  // there counts as trained: its inputs are smaller.
  const std::vector<Value>& border() const { return border_; }

  // Of the border's maps, for one square image.
  std::vector<Shape> map_shapes(int image_size) const;

  // Of number `index` of a loader's images; `maps[k]`, one a value of the border, has them at number `place`.
  void compute(const Tensor& images, int64_t index, std::span<Tensor> maps, int64_t place);

 private:
  std::vector<Value> border_;
  predict::CompiledNetwork network_;
};

}  // namespace marrow::train
