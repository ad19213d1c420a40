// What a command that wants a network takes for MODEL: a YAML, a name, or a checkpoint.
#pragma once

#include <string>

#include "model/import.h"

namespace marrow::cli {

struct OpenedModel {
  TrainedModel trained;
  bool has_weights = false;  // otherwise they were drawn at random
};

struct OpenOptions {
  std::string backbone;  // for a YAML or a name: instead of its own
  int classes = 0;       // for a YAML or a name; 0: its own
  ImportOptions import;  // for a foreign checkpoint
};

// Throws Error{kUsage} where an option does not fit, and what make_model and load_trained throw.
OpenedModel open_model(const std::string& model, const OpenOptions& options = {});

// The size that a network is run at when nobody says one: a classifier's own crop, or 224; 640 for a detector.
int default_image_size(const Model& model);
// `wanted`, rounded up to what the model can read: a detector's maps meet only at multiples of its largest stride.
// Says so on stderr.
int fitting_image_size(const Model& model, int wanted);

}  // namespace marrow::cli
