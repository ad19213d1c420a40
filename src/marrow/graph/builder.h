// Makes graphs. A block or backbone is a function that calls these; scopes give its parameters their names.
//
//   Value squeeze_excite(GraphBuilder& g, Value x, int hidden) {
//     Value gate = g.global_average_pool(x);
//     gate = g.relu(g.conv(gate, "fc1", {.out = hidden, .bias = true}));
//     ...
//     return g.multiply(x, gate);
//   }
//
//   auto scope = g.scope("se");           // parameters become "<outer>.se.fc1.weight", ...
//
// Every function throws Error{kShape} naming the scope when channels or strides do not fit, at the moment the
// layer is added.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "marrow/graph/graph.h"

namespace marrow {

struct ConvOptions {
  int out = 0;
  int kernel = 1;
  int stride = 1;
  int dilation = 1;
  int groups = 1;
  std::optional<Padding> padding = {};  // default: symmetric, (dilation * (kernel - 1) + 1) / 2
  bool bias = false;
  // The weights are those of weight_init for good, as part of what the operation is: an average, a copy.
  bool fixed = false;
  // Default for both: U(-b, b), b = 1 / sqrt(fan in).
  std::optional<Init> weight_init = {};
  std::optional<Init> bias_init = {};
};

struct ConvTransposeOptions {
  int out = 0;
  int kernel = 2;
  int stride = 2;
  int padding = 0;
  int output_padding = 0;  // below the stride
  bool bias = true;
};

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;
  std::optional<Init> bias_init = {};  // default 0; the scale starts at 1
};

class GraphBuilder {
 public:
  // Leaves the scope when destroyed.
  class [[nodiscard]] Scope {
   public:
    Scope(GraphBuilder& builder, size_t length) : builder_(builder), length_(length) {}
    ~Scope() { builder_.path_.resize(length_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    GraphBuilder& builder_;
    size_t length_;
  };
  // Appends ".name" to the path; an empty name leaves it as it is.
  Scope scope(std::string_view name);
  const std::string& path() const { return path_; }

  Value input(int channels, const InputFormat& format = {});

  // `name` is appended to the path for the parameters: "<path>.<name>.weight". May be empty.
  Value conv(Value x, std::string_view name, const ConvOptions& options);
  Value conv_transpose(Value x, std::string_view name, const ConvTransposeOptions& options);
  Value conv_transpose(Value x, std::string_view name, int out_channels, int kernel, int stride,
                       int padding = 0) {
    return conv_transpose(x, name,
                          {.out = out_channels, .kernel = kernel, .stride = stride, .padding = padding});
  }
  Value batch_norm(Value x, std::string_view name, const BatchNormOptions& options = {});
  Value linear(Value x, std::string_view name, int out_features, std::optional<Init> weight_init = {},
               std::optional<Init> bias_init = {}, bool bias = true);

  Value activation(Value x, const Activation& activation);  // identity adds no node
  // Activations that take the place of those that convolution units ask for, by the unit's path: what a file
  // says of its own network.
  void replace_activations(std::map<std::string, Activation> by_path) { replaced_ = std::move(by_path); }
  // For the unit at path(): the replacing activation, or `usual`.
  Activation unit_activation(const Activation& usual);
  // Those of replace_activations() that differed from what their unit asked for.
  const std::map<std::string, Activation>& replaced_activations() const { return differing_; }
  Value activation(Value x, ActivationKind kind) { return activation(x, Activation{kind, 0.01, {}}); }
  // Leaky ReLU whose slope is the scalar `name` of the weight store, joined to the current path. Nodes may
  // share one.
  Value leaky_relu(Value x, const std::string& slope_parameter);
  // Declares a named scalar once; later calls with the same name refer to it. Returns its full name.
  std::string scalar(std::string_view name, double initial);
  // Declares a frozen parameter, read by no operation of this graph: the DFL bins of a head whose decode is
  // done elsewhere. Returns its full name.
  std::string constant(std::string_view name, Shape shape, Init init);

  Value add(Value a, Value b);
  Value multiply(Value a, Value b);  // b may be (N, C, 1, 1)
  Value concat(std::span<const Value> values);
  Value concat(std::initializer_list<Value> values) {
    return concat(std::span(values.begin(), values.size()));
  }
  Value slice(Value x, int begin, int end, int groups = 1);  // begin and end count a group's channels
  Value channel_shuffle(Value x, int groups);
  Value max_pool(Value x, int kernel, int stride, int padding = 0);
  Value adaptive_max_pool(Value x, int size);
  Value global_average_pool(Value x);
  // Means over square windows, zeros around the map counted; as a depthwise convolution "<path>.average".
  Value average_pool(Value x, int kernel, int stride, int padding = 0);
  // Zeros around the map; as a depthwise convolution "<path>.pad".
  Value zero_pad(Value x, int before, int after);
  // (N, C, H, W) -> (N, 4 C, H / 2, W / 2): all channels of the upper left pixels of 2 x 2, then of the lower
  // left, the upper right and the lower right ones; as a grouped convolution "<path>.corners" and a shuffle.
  Value space_to_depth(Value x);
  Value upsample(Value x, int factor);
  Value flatten(Value x);
  Value dropout(Value x, double rate, bool downscale_in_inference = false);  // rate 0 adds no node
  Value drop_path(Value x, double rate);                                     // rate 0 adds no node
  // Declares the weight as "<path>.<name>".
  Value scale(Value x, std::string_view name, double initial);
  Value attention(Value x, const Attention& o);  // areas must divide H W of every input
  // Declares the frozen bins as "<path>.<name>" (dfl.conv.weight), unless reg_max is 1 or a decode before it
  // has. `extras`: the maps of an extra, one a level; kAngle wants one channel, points whole ones.
  Value detect_decode(std::span<const Value> maps, std::string_view bins_name, int classes, int reg_max,
                      DetectExtra extra = DetectExtra::kNone, std::span<const Value> extras = {});

  void output(std::string_view name, Value value);
  void tap(std::string_view name, Value value);

  int channels(Value value) const { return graph_.node(value).channels; }
  double stride(Value value) const { return graph_.node(value).stride; }
  const Graph& graph() const { return graph_; }

  // Verifies and hands over the graph.
  Graph build() &&;

 private:
  Value add_node(Operation operation, std::vector<Value> inputs, int channels, double stride);
  std::string full_name(std::string_view name) const;
  std::string add_parameter(std::string_view module, std::string_view leaf, Shape shape, ParameterRole role,
                            Init init);
  [[noreturn]] void fail(std::string_view operation, const std::string& message) const;

  Graph graph_;
  std::unordered_set<std::string> declared_;  // parameters
  std::string path_;
  std::map<std::string, Activation> replaced_, differing_;
};

}  // namespace marrow
