// confusion_matrix.png and confusion_matrix_normalized.png: which class is taken for which.
#pragma once

#include <span>
#include <string>

#include "marrow/evaluate/metrics/confusion_matrix.h"

namespace marrow::evaluate {

// A PNG with a cell for each pair of classes: across the true one, down the predicted one. With one name
// fewer than the matrix has rows, the last row and column are called "background". Shares of a true class
// when `normalised`, counts otherwise; up to 30 classes have their numbers written into the cells (zeros, and
// shares below 0.005, stay empty), up to 100 their names beside them. Throws as run_gnuplot does.
std::string confusion_plot(const ConfusionMatrix& matrix, std::span<const std::string> names,
                           bool normalised);

}  // namespace marrow::evaluate
