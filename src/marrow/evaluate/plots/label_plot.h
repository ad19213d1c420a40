// labels.jpg: what a dataset's boxes look like before any training.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "marrow/geometry/box.h"

namespace marrow::evaluate {

struct PlottedBox {
  int class_id = 0;
  CentredBox<Normalised> box;
};

// A JPEG of four panels: how many boxes each class has; boxes laid over each other around one centre (1,000
// of them, spread evenly over all); where centres lie; how wide and high boxes are. class_id < names.size().
// Throws as run_gnuplot does.
std::string label_plot(std::span<const PlottedBox> boxes, std::span<const std::string> names);

}  // namespace marrow::evaluate
