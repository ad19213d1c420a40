// How far two forms of one network are apart on real images.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/geometry/letterbox.h"
#include "marrow/graph/passes/pass.h"
#include "marrow/image/image.h"
#include "marrow/model/model.h"

namespace marrow::predict {

// What the network reads of an image, (1, C, H, W): letterboxed to `size`, or for a classifier the centre
// crop of size.width pixels.
Tensor network_input(const model::Model& model, const image::Image& picture, Size size);

struct OutputDifference {
  std::string name;
  double absolute = 0;  // the largest |after - before| over all inputs
  double relative = 0;  // the largest relative_difference() of any input
};

// Outputs, and a detector's raw maps (the taps "feat..."), of both graphs as they are, without passes, on the
// CPU engine. Infinite where only one of them is no number.
// REQUIRES: inputs of one shape, at least one.
std::vector<OutputDifference> output_differences(const passes::GraphWithWeights& before,
                                                 const passes::GraphWithWeights& after,
                                                 std::span<const Tensor> inputs, int threads = 0);

// How much the network itself amplifies rounding: the largest relative difference of an output when every
// number of its input changes by 1e-7 of itself, as rounding to float32 does. Inputs far from what a network
// was trained on can drive its values so high that this is no longer small; then no two ways of computing it
// agree.
double rounding_sensitivity(const passes::GraphWithWeights& model, const Tensor& input, int threads = 0);

// A contrast, of 1, 1/2, ... 1/64, for drawn images: the first at which rounding_sensitivity() is at most
// 3e-5, the last if there is none. `input_at` gives the input of an image of that contrast; always of one
// shape.
double calm_contrast(const passes::GraphWithWeights& model,
                     const std::function<Tensor(double contrast)>& input_at, int threads = 0);

// For the message about forms that differ by more than `tolerance`: " The network itself ..." where
// `sensitivity` is too high for that tolerance, otherwise "". `option` names better images; "" where that
// was done.
std::string sensitivity_note(double sensitivity, double tolerance, std::string_view option);

}  // namespace marrow::predict
