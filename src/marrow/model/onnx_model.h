// ONNX files as models, and what a model says about itself in one.
//
// The metadata that other programs look for: `names` (the text of a Python dict), `stride`, `imgsz`, `task`,
// `batch`, `channels`, `description`, `args`. One of ours: `input`, the input format in JSON as checkpoints
// keep it (docs/formats/checkpoint.md), since a classifier may want normalised pixels.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "marrow/model/checkpoint.h"
#include "marrow/onnx/write/export.h"

namespace marrow::model {

// By content.
bool is_onnx_file(const std::filesystem::path& path);

// A detector or classifier, which runs but has no YAML (model/deployed.h). Without `input` in the metadata a
// detector reads RGB / 255; so does a classifier that states its task, and any other reads pixels normalised
// as for ImageNet, which Model::warnings says. Throws Error{kFile}, and what onnx::import_network throws.
TrainedModel read_onnx_model(const std::filesystem::path& path);

// `name` is the model's, for people: "yolov8n-starnet".
std::vector<std::pair<std::string, std::string>> onnx_metadata(const Model& model, const std::string& name,
                                                               const onnx::ExportOptions& options);

}  // namespace marrow::model
