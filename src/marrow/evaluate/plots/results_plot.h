// results.png: every column of results.csv over the epochs.
#pragma once

#include <string>

#include "marrow/train/recipe/results_csv.h"

namespace marrow::evaluate {

// A PNG with a panel a column, dots for the values and a line for their running mean (Gaussian, 3 epochs).
// Learning rates, epoch and time have no panel. Losses of training stand above those of validation, metrics
// to their right. Values that are not finite are left out. Throws as run_gnuplot does; Error{kFormat} for a
// table without a row or a column to draw.
std::string results_plot(const train::ResultsTable& table);

}  // namespace marrow::evaluate
