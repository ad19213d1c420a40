// The tensors of a YOLO model's file under our names. Forks and timm write a whole backbone's tensors below
// its line as its source names them; everything else has the names that we have.
#pragma once

#include <map>
#include <string>

#include "marrow/graph/weights.h"
#include "marrow/model/spec.h"
#include "marrow/weights/torch/pickled_model.h"

namespace marrow::model {

struct PlacedState {
  Weights state;                             // under our names
  std::map<std::string, std::string> paths;  // of the batch norms that were renamed: the file's -> ours

  // Settings by the file's module paths, by ours.
  std::map<std::string, weights::BatchNormSettings> renamed(
      const std::map<std::string, weights::BatchNormSettings>& settings) const;
};

PlacedState placed_state(const ModelSpec& spec, const Weights& state);

}  // namespace marrow::model
