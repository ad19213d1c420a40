// The convolution that reads the image, taken over from a network whose images have other channels.
// Source: spec/compat.md, section 4.4 (what Ultralytics does).
#pragma once

#include <string>

#include "marrow/graph/graph.h"

namespace marrow::train {

// Gives the weights of `found` that read the image in `graph`, and differ from it in their input channels
// alone, its shape: for one channel the sum over theirs, otherwise as many of theirs as both have, and for
// the rest those of `fresh`. Returns what was done, for a message; empty where nothing was.
std::string fit_first_convolution(const Graph& graph, const Weights& fresh, Weights& found);

}  // namespace marrow::train
