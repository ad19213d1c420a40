// Runs a classifier over a loader's images and measures it, whatever executes the network: the engine for
// `marrow val`, the training executor within a run.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/evaluate/metrics/classification.h"
#include "marrow/evaluate/validation_times.h"
#include "marrow/graph/operation.h"
#include "marrow/loader/classification_loader.h"

namespace marrow::evaluate {

struct ClassifierValidation {
  ClassificationValidator report;
  ValidationTimes times;  // postprocess is counting
};

// For a person: the table, the most frequent mistakes, the times.
std::string report_text(const ClassifierValidation& validation, bool per_class);

// The loader of an epoch of validation: the network's own resize, centre crop and filter. `threads` decode.
loader::ClassificationLoaderOptions validation_loader_options(const InputFormat& format, int classes,
                                                              int batch, int threads);

// Scores of the batch's images, logits or probabilities, (N, classes) float32.
using ScoreBatch = std::function<Tensor(const loader::ClassificationBatch& batch)>;

// Takes every batch that the loader has left. `names` are the network's classes; `class_of_data[c]` is the
// network's class for class c of the data, and empty where both are the same. `keep_going`, asked after each
// batch with the number done, may end it early. `add_up` makes numbers their sums over the workers, each of
// which takes its share of every batch; `score` gets batches without images then, too. Throws Error{kShape}
// when scores do not fit the names.
ClassifierValidation validate_classifier(loader::ClassificationLoader& loader, std::vector<std::string> names,
                                         const std::vector<int>& class_of_data, const ScoreBatch& score,
                                         const std::function<bool(int64_t batches_done)>& keep_going = {},
                                         const std::function<void(std::span<double> counts)>& add_up = {});

}  // namespace marrow::evaluate
