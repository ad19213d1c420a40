// A model: the graph that a YAML (or the name of a published classifier) describes, with the table of its
// lines. Plain values: any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "marrow/geometry/tiles.h"
#include "marrow/graph/graph.h"

namespace marrow::model {

struct ModelSpec;

// One line of the YAML, built.
struct Layer {
  int index = 0;  // position among the lines; parameters are named "model.<index>...."
  // The number that `from` uses. It differs from `index` after a whole backbone in one line, which fills five
  // places: its map at stride 2 or nothing, and its maps at strides 4, 8, 16 and 32.
  int logical = 0;
  std::vector<int> from;
  bool from_list = false;
  int repeats = 1;        // after the depth multiple
  std::string module;     // "Conv", "Upsample", "starnet_s1"
  std::string args;       // what its constructor gets, "[64, 128, 3, 2]"
  bool backbone = false;  // a whole backbone in one line
  int first_node = 0;     // its nodes are [first_node, end_node) of the graph
  int end_node = 0;
  std::vector<Value> outputs;           // a head: its maps, before any decode
  std::optional<Value> first_map = {};  // of a whole backbone: what number 0 names
  int line = 0;                         // in the file; 0: not from a file
  int silent_modules = 0;               // Module::silent_modules
};

struct Model {
  Graph graph;
  std::vector<Layer> layers;    // empty for a classifier by name
  std::vector<int> save;        // logical numbers of the layers that later lines read, sorted
  std::string task;             // "detect", "classify", "segment", "pose", "obb"
  std::vector<double> strides;  // of the head's levels; empty for classifiers
  int largest_stride = 32;      // input sizes are multiples of it
  // The input, in pixels, that the model's file is fixed at, as an ONNX file may be; 0: any. The graph itself
  // knows none.
  int fixed_height = 0, fixed_width = 0;
  std::vector<std::string> names;  // of the classes
  // What a detection's confidence must exceed, by class, as it was chosen on validation images; empty:
  // nothing was.
  std::vector<float> thresholds;
  TileOptions tiles;  // of the images that it was trained on
  std::string scale;  // the letter, or ""
  std::string
      yaml;  // parse_model_spec and build_model make this model again from it; "": see model/deployed.h
  // ModelSpec::unit_activations, without those that the unit has anyway.
  std::map<std::string, std::string> unit_activations;
  std::vector<std::string> warnings;
  // Of a YAML with modules of forks: which network each name is read as, {"VanillaBlock", "VanillaNet block
  // of ..."}, in the order of the lines.
  std::vector<std::pair<std::string, std::string>> readings;

  int classes() const { return static_cast<int>(names.size()); }
};

struct BuildOptions {
  std::optional<int> classes;      // instead of the YAML's nc
  std::vector<std::string> names;  // of the classes; decides their number
  std::optional<int> channels;     // of the input image, instead of the YAML's
  // Points and numbers of each, instead of the YAML's kpt_shape where it has one.
  std::vector<int> keypoint_shape = {};
  // How pixels become input; by default RGB / 255, for a classifier by name what its source published.
  std::optional<InputFormat> input;
  // Warn of names that Marrow 0.1 read as another network. Not where tensors have decided which it is.
  bool warn_of_other_readings = true;
};

// How many of its first layers are its backbone: one, where that is one line, or else the lines of
// `backbone:`. Of a model that has layers.
size_t backbone_layers(const Model& model);

// Builds, and infers shapes once, so that layers whose maps do not meet are refused here.
// Throws Error "file:line: layer 11 (Concat): ...", of kind kModel or kShape.
Model build_model(const ModelSpec& spec, const BuildOptions& options = {});

// The same model with another number of classes or other names, and with `class_branch` channels in the
// hidden layers of the class branch (ModelSpec::class_branch) where it is not 0. Its batch norms are those of
// its lines.
Model rebuild_model(const Model& model, const BuildOptions& options, int class_branch = 0);

}  // namespace marrow::model
