// How far two forms of one network are apart on real pictures.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "image/image.h"
#include "model/model.h"
#include "passes/pass.h"

namespace marrow {

// What the network reads of a picture, (1, 3, H, W): the letterboxed picture of `size` x `size` pixels, of a classifier
// its centre crop of `size` (0: its own).
Tensor network_input(const Model& model, const Image& picture, int size);

struct OutputDifference {
  std::string name;
  double absolute = 0;  // the largest |after - before| over all inputs
  double relative = 0;  // the largest relative_difference() of any input
};

// Outputs, and a detector's raw maps (the taps "feat..."), of both graphs as they are, without passes, on the CPU
// engine. Infinite where only one of them is no number.
// REQUIRES: inputs of one shape, at least one.
std::vector<OutputDifference> output_differences(const GraphWithWeights& before,
                                                 const GraphWithWeights& after,
                                                 std::span<const Tensor> inputs, int threads = 0);

// How much the network itself makes of rounding: the largest relative difference of an output between the fastest
// kernels and the plain ones, which sum in another order. Inputs far from what a network was trained on can drive its
// values so high that this is no longer small. Slow: plain loops.
double rounding_sensitivity(const GraphWithWeights& model, const Tensor& input, int threads = 0);

}  // namespace marrow
