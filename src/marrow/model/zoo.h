// Every model that has a name: the YAMLs of configs/models, their scales, their combinations with the
// backbones, and the published classifiers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "marrow/model/model.h"
#include "marrow/model/spec.h"

namespace marrow::model {

// What a user may write for MODEL:
//   path/to/model.yaml        a file; a scale letter in its name is honoured
//   yolov8n, yolov8s-p2.yaml  a YAML of configs/models, with its scale letter
//   yolov8n-starnet           a ready YAML of a backbone family
//   yolov8n-p2-starnet_s4     any YAML with any backbone
//   starnet_s1                the published classifier, 1000 classes
// `backbone`, when not empty, replaces the backbone of the result (replace_backbone). Throws Error{kModel}
// naming the nearest valid name, and what load_model_spec throws.
ModelSpec find_model_spec(std::string_view name, std::string_view backbone = {});

// find_model_spec and build_model.
Model make_model(std::string_view name, std::string_view backbone = {}, const BuildOptions& options = {});

// The model with its backbone replaced by the one-line form of `backbone`, a name of backbone_names(). The
// lines of `backbone:` up to the last one of stride 32 (before SPPF, and before a stage of stride 64) go; all
// later `from` are renumbered, those that name the last line of stride 4, 8, 16 or 32 become the backbone's
// maps. Throws Error{kModel} when the model has no such lines, or a later line reads another of them.
ModelSpec replace_backbone(const ModelSpec& spec, std::string_view backbone);

// Whether find_model_spec takes the name from the zoo, not from a file.
bool is_zoo_name(std::string_view name);

// Everything find_model_spec knows without a path: YAML names in every scale, then backbones. Combinations
// are left out.
std::vector<std::string> zoo_names();

// What an unknown name was likely meant to be, a combination too: with slips, or its parts in another order
// ("yolov8n-starnet_s1-pose" is yolov8n-pose-starnet_s1). Empty: nothing is near.
std::string likely_name(std::string_view name);

}  // namespace marrow::model
