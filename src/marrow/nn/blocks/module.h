// The modules that a line of a model YAML may name: `[from, repeats, module, args]`.
//
// A module is registered by a static object in the source file that defines it, so a new one is one file:
//
//   const ModuleRegistration kStarNetBlock{{.name = "StarNetBlock",
//                                           .arguments = {"channels", "expand_ratio"},
//                                           .build = [](ModuleCall& call) { ... }}};
//
// Registration happens before main(); afterwards the registry is only read, from any thread.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/graph/builder.h"

namespace marrow::nn {

// The largest whole number an argument may be, and the largest kernel, stride and dilation: beyond any
// network, and small enough that no product of them overflows.
inline constexpr int kMaxArgument = 1 << 20;
inline constexpr int kMaxKernel = 255;

// What a model says of its detection head beside the head's line.
struct HeadSettings {
  int class_branch = 0;                 // hidden channels of the class branch; 0: by the published rule
  bool depthwise_class_branch = false;  // the class branch in YOLO11's form
  int reg_max = 16;                     // bins of the distance to a side of a box; 1: the distance itself
  bool end2end = false;                 // a second pair of branches that needs no suppression of boxes

  bool operator==(const HeadSettings&) const = default;
};

// One line being built. The builder's path already is "model.<index>".
struct ModuleCall {
  GraphBuilder& graph;
  std::vector<Value> inputs;  // the values that `from` names
  nlohmann::json args;        // array; names resolved (nc), channels scaled, None is null
  std::vector<std::string> argument_names;
  int repeats = 1;        // after the depth multiple
  int classes = 80;       // nc
  Activation activation;  // the model's default activation (SiLU unless the YAML says otherwise)
  std::string scale;      // the letter of the model's scale, or ""
  HeadSettings head = {};

  // The only input. Throws Error{kModel} when the line names several.
  Value input() const;
  // Argument `index`, converted. Throws Error{kModel} naming the argument, what was found and what was
  // wanted; the caller adds file, line and layer. The forms with a default return it when the argument is
  // absent or null.
  int integer(size_t index) const;
  int integer(size_t index, int fallback) const;
  // As integer(), from 1 to `largest`.
  int positive(size_t index, int fallback, int largest = kMaxArgument) const;
  double number(size_t index, double fallback) const;
  bool boolean(size_t index, bool fallback) const;
  std::string text(size_t index, std::string_view fallback) const;
  bool absent(size_t index) const;  // not given, or null
  // Throws Error{kModel} "argument 1 (stride) is 'x', wanted <wanted>".
  [[noreturn]] void refuse(size_t index, std::string_view wanted) const;
};

struct Module {
  enum class Channels {
    kScaled,   // args[0] is the output channels, multiplied by the model's width and rounded up to 8
               // (unless it equals the number of classes)
    kLiteral,  // args are passed on as they stand
    kHead,     // the inputs' channels follow the arguments as a list; they are in `inputs`, not in `args`
  };

  std::string name;
  Channels channels = Channels::kLiteral;
  // The module builds its own repetitions (C2f); otherwise a line with repeats > 1 becomes a chain
  // "<path>.0", "<path>.1", ...
  bool takes_repeats = false;
  // A further argument that the width multiplies as it does channels (Segment's prototypes); -1: none.
  int scaled_argument = -1;
  // A detection head behind it has the class branch in YOLO11's form.
  bool depthwise_class_branch = false;
  // A head: what the model is for ("detect", "classify", ...). Empty for all other modules.
  std::string task;
  std::vector<std::string>
      arguments;  // names of the arguments, for messages; more arguments than names are refused
  // Adds the module to the graph; usually yields one value. A backbone line yields one value per map it
  // offers (strides 4 to 32).
  std::function<std::vector<Value>(ModuleCall&)> build;
  // Changes arguments as the model's scale asks, before they are shown and the module is built.
  std::function<void(ModuleCall&)> prepare = {};
  // How many modules the reference implementation has here that do nothing and so are no operation:
  // identities, dropout of rate 0. Only the layer counts of a summary want to know.
  std::function<int(const ModuleCall&)> silent_modules = {};
  // A module of forks: which of the networks that its name and arguments could mean is built, in a line. Of
  // others empty.
  std::function<std::string(const ModuleCall&)> reading = {};
  // What Marrow 0.1 meant by the name, where that was another network: the module that builds it now.
  std::string formerly = {};
};

struct ModuleRegistration {
  explicit ModuleRegistration(Module module);  // two modules of one name end the program at start-up
};

const Module* find_module(std::string_view name);  // nullptr when there is none
std::vector<std::string> module_names();           // sorted

}  // namespace marrow::nn
