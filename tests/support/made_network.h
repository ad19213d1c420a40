// Files of networks with random weights that find something everywhere.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "marrow/model/checkpoint.h"
#include "marrow/model/zoo.h"
#include "support/scene_weights.h"

namespace marrow::testing {

// What a network has beyond its classes.
struct NetworkExtras {
  std::vector<float> thresholds = {};
  TileOptions tiles = {};
  ImageReading reading = {};
};

// Random weights with the statistics of a drawn scene, so that what is found depends on the image. Last
// layers are tame, so that scores do not saturate, and a detector's lie around 0.4, where fresh ones lie far
// below what counts as a detection.
inline void write_network(const std::filesystem::path& path, const std::string& name,
                          std::vector<std::string> classes, const NetworkExtras& extras = {}) {
  model::Model model =
      model::make_model(name, {}, {.names = std::move(classes), .channels = extras.reading.samples.channels});
  model.thresholds = extras.thresholds;
  model.tiles = extras.tiles;
  if (extras.reading.samples.bits == 16)
    set_range(std::get<Input>(model.graph.nodes.at(0).operation).format, extras.reading.range);
  Weights weights = scene_weights(model.graph, 3);
  const std::string head = "model." + std::to_string(model.layers.size() - 1) + ".";
  for (auto& [parameter, tensor] : weights) {
    const bool scores = parameter.find("cv3.") != std::string::npos;
    if (model.task == "classify" || !parameter.starts_with(head) ||
        (!scores && parameter.find("cv2.") == std::string::npos))
      continue;
    if (parameter.ends_with(".2.weight"))
      for (float& value : tensor.values()) value *= 0.02f;
    if (scores && parameter.ends_with(".2.bias"))
      for (float& value : tensor.values()) value = -0.4f;
  }
  model::save_checkpoint(path, model, weights);
}

}  // namespace marrow::testing
