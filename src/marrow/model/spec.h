// A model YAML as data: what a person wrote, checked for form, not yet built.
//
//   nc: 80
//   scales: {n: [0.33, 0.25, 1024]}        # depth, width, max_channels
//   backbone: [[-1, 1, Conv, [64, 3, 2]], ...]      # [from, repeats, module, args]
//   head: [...]
//
// or, for a published classifier by name, `classifier: starnet_s1` with optional `settings: {...}`.
// Plain values: any thread.
#pragma once

#include <filesystem>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "marrow/graph/operation.h"

namespace marrow::model {

// What a file may ask for. Far beyond every published model, and small enough that no hostile file costs more
// than a second or a few hundred megabytes before it is refused.
inline constexpr int kMaxModelLines = 1000;
inline constexpr int kMaxModelRepeats = 200;     // of one line
inline constexpr int kMaxModelUnits = 2000;      // repeats of all lines together, after the depth multiple
inline constexpr int kMaxModelChannels = 65536;  // of any line's output
inline constexpr int kMaxModelClasses = 65536;
inline constexpr int kMaxModelInputs = 64;  // of one line
inline constexpr int kMaxModelStride = 4096;
inline constexpr int64_t kMaxModelParameters = 2'000'000'000;
// Of those that say what an operation is: a checkpoint need not hold them, and reading allocates them.
inline constexpr int64_t kMaxFixedParameters = 16'000'000;

// One line of `backbone` or `head`.
struct LayerSpec {
  int line = 0;                  // in the file, from 1; 0: not from a file
  std::vector<int> from = {-1};  // -1: the previous line; other negatives count back from this line
  bool from_list = false;        // written as a list, even if of one
  int repeats = 1;               // as written, before the depth multiple
  std::string module;
  nlohmann::json args = nlohmann::json::array();  // names like "nc" as they stand
};

struct ScaleFactors {
  double depth = 1;
  double width = 1;
  double max_channels = std::numeric_limits<double>::infinity();
};

struct ModelSpec {
  std::string file;                 // for messages
  std::optional<int> classes;       // nc
  int channels = 3;                 // of the input image
  std::vector<int> keypoint_shape;  // kpt_shape, or empty
  Activation activation{ActivationKind::kSilu, 0, {}};
  std::string activation_text;  // as written; empty: the default
  // What the file of a trained network says of it and no rule does: activations of single convolution units
  // by their path, {"model.9.cv1", "Identity()"}, and the hidden channels (0: by rule) and the form of the
  // head's class branch.
  std::map<std::string, std::string> unit_activations;
  int class_branch = 0;
  std::optional<bool> depthwise_class_branch;
  int reg_max = 16;      // bins of the distance to a side of a box
  bool end2end = false;  // the head has branches that need no suppression
  std::vector<std::pair<std::string, ScaleFactors>> scales;
  std::string scale;     // the chosen one, "" when there are none
  ScaleFactors factors;  // of the chosen scale
  std::vector<LayerSpec> backbone;
  std::vector<LayerSpec> head;
  std::string classifier;  // the backbone's name; then `backbone` and `head` are empty
  nlohmann::json settings = nlohmann::json::object();  // of the classifier
  std::vector<std::string> names;                      // of the classes; empty when not given
  std::vector<std::string> warnings;                   // for the user, one line each
};

// `file` is for messages. `scale` chooses among `scales`; empty: the file's own `scale`, else the first, with
// a warning. Throws Error{kFormat} "file:line: ..." for what is not well formed, naming the key, what was
// found, what was wanted and the nearest valid name.
ModelSpec parse_model_spec(std::string_view text, const std::string& file, std::string_view scale = {});

// As parse_model_spec, for a path. The scale letter in its name chooses the scale, and the file without it is
// read if there is one: yolov8s-p2.yaml is scale s of yolov8-p2.yaml. Throws Error{kFile} too.
ModelSpec load_model_spec(const std::filesystem::path& path);

// A YAML that parses to an equal spec; for checkpoints.
std::string to_yaml(const ModelSpec& spec);

// "yolov8n-p2" -> {"yolov8-p2", "n"}: removes the letter n, s, m, b, l or x after "yolo", an optional v and
// digits, and those of forks, t, p, T, B and L, where no other letter follows. {stem, ""} when there is
// none.
struct ScaledName {
  std::string stem;
  std::string scale;
};
ScaledName split_scale(std::string_view stem);

// An activation by its torch name, "nn.LeakyReLU(0.1)", with or without prefix and arguments. Throws
// Error{kModel} naming the valid ones.
Activation parse_activation(std::string_view written);

}  // namespace marrow::model
