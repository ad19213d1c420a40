// The network a run begins with: what the options describe, for the dataset's classes, with the weights they
// name.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "marrow/model/checkpoint.h"
#include "marrow/train/recipe/train_options.h"

namespace marrow::train {

// `model` is a name, a YAML or a checkpoint; `names` are the dataset's classes, and `reading` how its images
// are read, which the model then says. From a checkpoint, and from a file that `pretrained` names, everything
// whose name and shape fits is taken and the rest is drawn from the seed; `say` gets a report. An imported
// network keeps its batch norms' eps and momentum. Throws Error{kUsage} for combinations without meaning, and
// what find_model_spec and import_checkpoint throw.
model::TrainedModel start_model(const TrainOptions& options, const std::vector<std::string>& names,
                                const ImageReading& reading,
                                const std::function<void(const std::string&)>& say,
                                const std::vector<int>& keypoint_shape = {});

// The parts of parameter names that `freeze` stands for: "model.0.", "model.22.cv2.", ...; kWholeBackbone
// stands for all layers of the backbone. Layers without parameters are left out. Throws Error{kUsage} for a
// layer or part that the model does not have, and when nothing would be left to train.
std::vector<std::string> frozen_parts(const model::Model& model, const std::vector<std::string>& layers);

}  // namespace marrow::train
