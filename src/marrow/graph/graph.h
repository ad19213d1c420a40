// A model: operations in topological order, the parameters they name, and names for the values people ask
// for.
//
// A graph is plain data. It knows channels and strides, not image sizes: shapes are inferred for a given
// input (graph/shapes.h). Make one with GraphBuilder (graph/builder.h); a pass makes a new one from an old
// one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/graph/byte_scale.h"
#include "marrow/graph/operation.h"
#include "marrow/graph/weights.h"

namespace marrow {

// The output of a node: its index in Graph::nodes.
struct Value {
  int id = -1;
  bool operator==(const Value&) const = default;
};

struct Node {
  Operation operation;
  std::vector<Value> inputs;
  std::string name;  // the scope that made it, "model.2.cv1.conv"; for messages and tables
  int channels = 0;  // of the output (features, after Flatten or Linear)
  double stride =
      1;  // input pixels per output pixel; 0 where it depends on the input size (adaptive pooling and after)
  // Of a quantised model, which still computes in float32 unless int8 is asked for: how the output is stored
  // in bytes, and whether a convolution takes its input in bytes, and its weights.
  std::optional<ByteScale> byte_scale = {};
  bool int8 = false;

  bool operator==(const Node&) const = default;
};

// What a parameter is for: decides decay, gradients, averaging, and whether a file may lack it.
enum class ParameterRole {
  kWeight,       // convolution and linear weights
  kBias,         // convolution and linear biases
  kNormWeight,   // batch-norm gamma
  kNormBias,     // batch-norm beta
  kRunningMean,  // batch-norm statistics: no gradient
  kRunningVar,
  kCounter,   // num_batches_tracked: int64 scalar, optional in files
  kConstant,  // frozen numbers of the architecture (the DFL bins): counted, never trained
  kFixed,   // numbers that say what an operation is (the weights of an average): not counted, never trained,
            // optional in files
  kScalar,  // a named setting that travels with the weights (VanillaNet's slope): no gradient, no decay,
            // copied by the EMA, optional in files
};

// How a fresh parameter is drawn.
struct Init {
  enum class Kind { kConstant, kUniform, kNormal, kTruncatedNormal, kArange, kCorners };
  Kind kind = Kind::kConstant;
  double value = 0;  // the constant; the bound b of U(-b, b); the standard deviation (truncated at absolute
                     // values -2 and 2); unused

  static Init constant(double value) { return {Kind::kConstant, value}; }
  static Init uniform(double bound) { return {Kind::kUniform, bound}; }
  static Init normal(double std) { return {Kind::kNormal, std}; }
  static Init truncated_normal(double std) { return {Kind::kTruncatedNormal, std}; }
  static Init arange() { return {Kind::kArange, 0}; }  // 0, 1, 2, ...

  // Of (4 C, 1, 2, 2): 1 at one corner, 0 elsewhere; channel by channel upper left, lower left, upper right,
  // lower right.
  static Init corners() { return {Kind::kCorners, 0}; }

  bool operator==(const Init&) const = default;
};

struct Parameter {
  std::string name;
  Shape shape;
  ParameterRole role = ParameterRole::kWeight;
  Init init;

  // Learnable, so counted in a model's "parameters" together with the frozen constants.
  bool counted() const { return role <= ParameterRole::kNormBias || role == ParameterRole::kConstant; }
  bool trainable() const { return role <= ParameterRole::kNormBias; }
  // A file may lack it without being incomplete.
  bool optional() const {
    return role == ParameterRole::kCounter || role == ParameterRole::kScalar || role == ParameterRole::kFixed;
  }
  DType dtype() const { return role == ParameterRole::kCounter ? DType::kInt64 : DType::kFloat32; }

  bool operator==(const Parameter&) const = default;
};

struct NamedValue {
  std::string name;
  Value value;

  bool operator==(const NamedValue&) const = default;
};

// What detectors call their outputs: boxes that overlap and want suppression, and those of an end-to-end
// head's second pair of branches, which do not.
inline constexpr std::string_view kDecodedOutput = "output0";
inline constexpr std::string_view kOneToOneOutput = "one2one";
// What the coefficients of a segmenting detector weigh.
inline constexpr std::string_view kPrototypesOutput = "prototypes";

struct Graph {
  std::vector<Node> nodes;
  std::vector<Parameter> parameters;  // in the order of the modules that own them
  std::vector<NamedValue> outputs;    // what inference computes: "output0", "logits", ...
  std::vector<NamedValue> taps;       // named inner values: "c3", "feat0", ...

  const Node& node(Value value) const { return nodes.at(static_cast<size_t>(value.id)); }
  // An output or a tap by name. Throws Error{kModel} naming the known ones.
  Value find(std::string_view name) const;
  const Parameter* find_parameter(std::string_view name) const;  // nullptr when there is none

  // All of it; the weights beside it are compared on their own.
  bool operator==(const Graph&) const = default;
};

// The format that the graph's input node carries. Throws Error{kModel} when there is none.
const InputFormat& input_format(const Graph& graph);

// How the network's images are read. Throws as above.
ImageReading image_reading(const Graph& graph);

// The parameters an operation reads, in a fixed order; empty names left out.
std::vector<std::string> parameter_names(const Operation& operation);

// Throws Error{kModel} unless inputs precede their node, arities fit, every named parameter exists once with
// the shape its operation wants, and outputs and taps exist. Run after every pass and on graphs from files.
void verify(const Graph& graph);

// Throws Error{kModel} naming the first parameter that `weights` lacks (optional ones aside) or holds in
// another shape.
void verify(const Graph& graph, const Weights& weights);

// Fresh weights: each parameter drawn from its Init with a generator that depends on the seed and the
// parameter's name alone.
Weights initialize(const Graph& graph, uint64_t seed);
// The same for the parameters that `weights` lacks; those it holds stay as they are.
void initialize_missing(const Graph& graph, uint64_t seed, Weights& weights);

// For tests and demonstrations of untrained networks: as initialize(), with batch-norm scales, shifts and
// statistics and biases drawn at random too, so that no term of any formula vanishes.
Weights randomize(const Graph& graph, uint64_t seed);

// A readable listing of all of it; graph/print.h has others.
std::string to_string(const Graph& graph);

}  // namespace marrow
