// A whole pickled network (torch.save(model)): nested module objects, not a state dict. Works for any
// torch.nn.Module by its
// `_parameters`, `_buffers` and `_modules`; class names are only reported.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "marrow/graph/weights.h"
#include "marrow/weights/torch/pickle.h"
#include "marrow/weights/torch/pickled_tensor.h"

namespace marrow::weights {

struct BatchNormSettings {
  double eps = 1e-5;
  double momentum = 0.1;  // torch's sense: running = (1 - m) running + m batch
};

// What an Ultralytics model object knows about itself; empty where the file does not say.
struct ModelAttributes {
  std::string class_name;  // "DetectionModel", without its module
  std::string yaml;        // the model description as JSON text, which the YAML reader takes too
  std::map<int64_t, std::string> names;
  std::optional<int64_t> nc;
  std::vector<double> stride;
  std::string task;                                      // "detect", "classify", ...
  std::vector<int64_t> imgsz;                            // of training: one number, or height and width
  std::map<std::string, BatchNormSettings> batch_norms;  // by module path, "model.0.bn"
  // The activation of every module that has one as `act`, by the module's path, as torch prints it:
  // {"model.0", "SiLU()"}, {"model.3", "LeakyReLU(negative_slope=0.1)"}.
  std::map<std::string, std::string> activations;
  // Torch's own activations anywhere else, by their own path: {"model.0.stem.1", "ReLU6()"}.
  std::map<std::string, std::string> other_activations;
  // `add` of every Bottleneck, SPPF and CIB: whether the block adds its input to its result.
  std::map<std::string, bool> shortcuts;
  std::map<std::string, int64_t> pools;  // `n` of every SPPF: how many pools follow each other
};

struct PickledModel {
  Weights state;
  std::vector<std::string> order;  // of the names, as the modules follow each other
  ModelAttributes attributes;
};

// Whether the value is a module object.
bool is_pickled_module(const PickleValue& value);

// The state dict and attributes of a module object. Names are as state_dict() gives them; persistent buffers
// only. Throws Error{kFormat} for a module that contains itself, nests more than 100 deep or has more than
// 20,000 modules.
PickledModel read_pickled_model(const PickleValue& module, PickledTensorReader& tensors,
                                const std::string& where);

}  // namespace marrow::weights
