// A detector's outputs of classes, taken over from a network that was trained on others.
// As Ultralytics 8.4 does it when it fine-tunes.
#pragma once

#include <string>
#include <vector>

#include "marrow/graph/graph.h"
#include "marrow/model/model.h"

namespace marrow::train {

// For each of the classes wanted, the one of the source that has its name, -1 where none has. Names are
// compared without blanks around them and without case; of two of the source the last counts. Empty where
// names say nothing: none is in both, they are the same in the same order, or are mere numbers.
std::vector<int> rows_by_name(const std::vector<std::string>& source, const std::vector<std::string>& wanted);

// Puts the rows into the outputs of classes among `found`, weights of the source by the names that `graph`
// has; the other rows are those of `fresh`.
void take_class_rows(const Graph& graph, const std::vector<int>& rows, const Weights& fresh, Weights& found);

// How wide hidden layers of the class branch the source has, where the heads' inputs are alike and only the
// number of classes makes the branches differ; 0 elsewhere.
int class_branch_of(const Graph& graph, const Graph& source);

}  // namespace marrow::train
