// Marrow's own checkpoint: one safetensors file, docs/formats/checkpoint.md.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "marrow/graph/weights.h"
#include "marrow/model/model.h"

namespace marrow::model {

struct TrainedModel {
  Model model;
  Weights weights;  // one tensor for each of the graph's parameters
};

// Written atomically. Throws Error{kFile} when the file cannot be written, Error{kModel} when weights are
// missing.
void save_checkpoint(const std::filesystem::path& path, const Model& model, const Weights& weights);

// The metadata that save_checkpoint writes, for files that hold more than the model's tensors.
std::map<std::string, std::string> checkpoint_metadata(const Model& model);

// Whether the metadata of a safetensors file are those of a Marrow checkpoint.
bool is_marrow_checkpoint(const std::map<std::string, std::string>& metadata);

// `metadata` and `state` as read from `path`. Throws Error{kFormat} naming the key that is broken,
// Error{kModel} when tensors are missing or of another shape.
TrainedModel model_of_checkpoint(const std::filesystem::path& path,
                                 const std::map<std::string, std::string>& metadata, const Weights& state);

// How pixels become a network's input, in JSON as the metadata hold it. Parsing throws Error{kFormat}.
std::string input_format_text(const InputFormat& format);
InputFormat parse_input_format(const std::string& text);

// Model::thresholds, likewise.
std::string thresholds_text(const std::vector<float>& thresholds);
std::vector<float> parse_thresholds(const std::string& text, size_t classes);

// Model::tiles, likewise.
std::string tiles_text(const TileOptions& tiles);
TileOptions parse_tiles(const std::string& text);

}  // namespace marrow::model
