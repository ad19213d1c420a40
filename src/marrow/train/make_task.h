// From the options, the dataset and the model of a run to its task: detection of boxes, or classification of
// folders.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "marrow/data/dataset.h"
#include "marrow/distributed/communicator.h"
#include "marrow/model/model.h"
#include "marrow/train/frozen_part.h"
#include "marrow/train/recipe/train_options.h"
#include "marrow/train/task.h"

namespace marrow::train {

// Settles what model and options leave open to each other: the image size that nobody gave, the square that a
// classifier's input cuts out, its dropout. Done twice it changes nothing more. Says which settings have no
// effect on such a model. Throws Error{kUsage} when the dataset is of another kind than the model,
// Error{kUnsupported} for other tasks.
void settle(TrainOptions& options, model::Model& model, const data::Dataset& dataset,
            const std::function<void(std::string_view)>& say);

// Opens the splits and settles the batch. `model` and `options` are settled. With a `frozen` part the task's
// batches have its features instead of images; of a detector. `communicator`: with other workers; outlives
// the task. Throws Error{kUsage} for what they cannot do together.
std::unique_ptr<Task> make_task(TrainOptions& options, const model::Model& model,
                                const data::Dataset& dataset,
                                const std::function<void(std::string_view)>& say,
                                std::optional<FrozenPart> frozen = {},
                                distributed::Communicator* communicator = nullptr);

}  // namespace marrow::train
