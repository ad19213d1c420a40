// Layers with weights, pools and resizing.
#include <fmt/format.h>

#include <cmath>

#include "marrow/base/error.h"
#include "marrow/graph/shapes.h"
#include "marrow/onnx/read/recognise.h"
#include "marrow/onnx/read/shape_math.h"
#include "marrow/onnx/read/shape_rules.h"

namespace marrow::onnx {
namespace {

using Values = std::vector<Value>;

class LayerRecogniser {
 public:
  LayerRecogniser(const ShapedGraph& graph, const ShapedNode& node, bool as_map)
      : graph_(graph), node_(node), as_map_(as_map) {}

  std::optional<Plan> run() const {
    const std::string& op = node_.proto->op_type;
    if (op == "Conv") return conv();
    if (op == "ConvTranspose") return conv_transpose();
    if (op == "BatchNormalization") return batch_norm();
    if (op == "Gemm" || op == "MatMul" || op == "Add") return linear();
    if (op == "MaxPool" || op == "AveragePool") return pool();
    if (op == "GlobalAveragePool") return global_average(in(0), true);
    if (op == "GlobalMaxPool")
      return Plan{{{in(0)}}, [](Building& b, const Values& x) { return b.graph.adaptive_max_pool(x[0], 1); }};
    if (op == "ReduceMean") return reduce_mean();
    if (op == "Resize" || op == "Upsample") return resize();
    return std::nullopt;
  }

 private:
  ValueId in(size_t i) const { return node_.input(i); }

  // A constant as float32.
  Tensor weight(ValueId v, const char* what) const {
    const Tensor* constant = graph_.constant(v);
    if (constant == nullptr) fail_unsupported(fmt::format("its {} is not constant", what));
    return constant->to_float();
  }
  std::optional<Tensor> bias(size_t i, int64_t channels) const {
    if (in(i).id < 0) return std::nullopt;
    const Tensor tensor = weight(in(i), "bias");
    if (tensor.size() != channels)
      throw Error(ErrorKind::kFormat,
                  fmt::format("the bias is {}, wanted ({})", to_string(tensor.shape()), channels));
    return tensor.reshape({channels});
  }

  // One rule for both axes, or none.
  Padding padding_of(const Window& window, const Shape& map, const std::vector<int64_t>& extra) const {
    const auto side = [](int64_t size) { return static_cast<int>(size); };
    const int64_t top = window.before[0] + extra[0], left = window.before[1] + extra[1];
    const int64_t bottom = window.after[0] + extra[2], right = window.after[1] + extra[3];
    Padding same = Padding::tensorflow_same();
    const auto is_same = [&](size_t axis, int64_t before, int64_t after) {
      const Padding resolved = resolve_padding(same, map[2 + axis], side(window.kernel[axis]),
                                               side(window.strides[axis]), side(window.dilations[axis]));
      return resolved.before == before && resolved.after == after;
    };
    const bool named_same = node_.text("auto_pad", "NOTSET") == "SAME_UPPER";
    if (!named_same && top == left && bottom == right) return {side(top), side(bottom), false};
    if (is_same(0, top, bottom) && is_same(1, left, right)) return same;
    fail_unsupported(fmt::format("rows and columns are padded in different ways ({}, {} and {}, {})", top,
                                 bottom, left, right));
  }

  // Zeros that a Pad node adds before the convolution: top, left, bottom, right.
  std::vector<int64_t> pads_before(ValueId& x) const {
    const ShapedNode* pad = graph_.producer(x, "Pad");
    if (pad == nullptr || graph_.shape(x).size() != 4) return {0, 0, 0, 0};
    std::vector<int64_t> pads = pad->integers("pads");
    if (pad->inputs.size() > 1 && graph_.constant(pad->inputs[1]) != nullptr)
      pads = integers_of(*graph_.constant(pad->inputs[1]));
    const bool zeros =
        pad->inputs.size() < 3 || pad->inputs[2].id < 0 || graph_.scalar(pad->inputs[2]) == 0.0;
    if (pads.size() != 8 || pad->text("mode", "constant") != "constant" || !zeros || pads[0] != 0 ||
        pads[1] != 0 || pads[4] != 0 || pads[5] != 0)
      fail_unsupported("the padding before it is not of zeros around the map");
    for (const int64_t amount : pads)
      if (amount < 0) fail_unsupported("the padding before it cuts");
    x = pad->inputs[0];
    return {pads[2], pads[3], pads[6], pads[7]};
  }

  // The window of a square kernel.
  Window square_window(const Shape& map, const std::vector<int64_t>& kernel) const {
    const Window window = window_of(node_, map, kernel);
    if (window.kernel[0] != window.kernel[1] || window.strides[0] != window.strides[1] ||
        window.dilations[0] != window.dilations[1])
      fail_unsupported(fmt::format(
          "kernels, strides and dilations that differ in height and width are not read (kernel {}x{})",
          window.kernel[0], window.kernel[1]));
    return window;
  }

  static void add_layer_weights(Building& b, const std::string& name, const Tensor& weight,
                                const std::optional<Tensor>& bias) {
    b.weights[name + ".weight"] = weight;
    if (bias) b.weights[name + ".bias"] = *bias;
  }

  Plan conv_plan(Wanted x, const std::string& name, const ConvOptions& options, const Tensor& weight,
                 const std::optional<Tensor>& bias) const {
    return {{x},
            [=](Building& b, const Values& inputs) {
              const std::string own = b.free_name(name);
              const Value value = b.graph.conv(inputs[0], own, options);
              add_layer_weights(b, own, weight, bias);
              return value;
            },
            true};
  }

  Plan conv() const {
    ValueId x = in(0);
    const Tensor w = weight(in(1), "weight");
    if (w.shape().size() != 4) fail_unsupported("only convolutions over two axes are read");
    const std::vector<int64_t> extra = pads_before(x);
    const Shape& map = graph_.shape(x);
    const Window window = square_window(graph_.shape(in(0)), {w.dim(2), w.dim(3)});
    const auto groups = node_.integer("group", 1);
    if (groups < 1 || w.dim(0) % groups != 0 || w.dim(1) * groups != map.at(1))
      throw Error(ErrorKind::kFormat, fmt::format("weight {} and {} groups do not go with {}",
                                                  to_string(w.shape()), groups, to_string(map)));
    const auto b = bias(2, w.dim(0));
    const ConvOptions options{.out = static_cast<int>(w.dim(0)),
                              .kernel = static_cast<int>(w.dim(2)),
                              .stride = static_cast<int>(window.strides[0]),
                              .dilation = static_cast<int>(window.dilations[0]),
                              .groups = static_cast<int>(groups),
                              .padding = padding_of(window, map, extra),
                              .bias = b.has_value()};
    return conv_plan({x}, layer_name(graph_, node_, in(1)), options, w, b);
  }

  Plan conv_transpose() const {
    const Tensor w = weight(in(1), "weight");
    const Window window = square_window(graph_.shape(in(0)), {w.dim(2), w.dim(3)});
    const int64_t pad = window.before[0];
    bool plain = node_.integer("group", 1) == 1 && window.dilations[0] == 1;
    for (const int64_t amount : {window.before[1], window.after[0], window.after[1]})
      plain = plain && amount == pad;
    std::vector<int64_t> added = node_.integers("output_padding");
    added.resize(2, 0);
    plain = plain && added[0] == added[1];
    if (!plain || !node_.integers("output_shape").empty())
      fail_unsupported("groups, dilations and uneven padding are not read");
    const Tensor b = bias(2, w.dim(1)).value_or(Tensor({w.dim(1)}));
    return {{{in(0)}},
            [=, name = layer_name(graph_, node_, in(1))](Building& building, const Values& x) {
              const std::string own = building.free_name(name);
              const Value value =
                  building.graph.conv_transpose(x[0], own,
                                                {.out = static_cast<int>(w.dim(1)),
                                                 .kernel = static_cast<int>(w.dim(2)),
                                                 .stride = static_cast<int>(window.strides[0]),
                                                 .padding = static_cast<int>(pad),
                                                 .output_padding = static_cast<int>(added[0])});
              add_layer_weights(building, own, w, b);
              return value;
            },
            true};
  }

  Plan batch_norm() const {
    if (graph_.shape(in(0)).size() != 4) fail_unsupported("only batch norms of maps are read");
    const int64_t channels = graph_.shape(in(0))[1];
    std::vector<Tensor> tensors;
    for (size_t i = 1; i <= 4; ++i) tensors.push_back(bias(i, channels).value());
    const double eps = node_.real("epsilon", 1e-5);
    return {{{in(0)}},
            [=, name = layer_name(graph_, node_, in(1))](Building& b, const Values& x) {
              const std::string own = b.free_name(name);
              const Value value = b.graph.batch_norm(x[0], own, {.eps = eps});
              size_t i = 0;
              for (const char* leaf : {".weight", ".bias", ".running_mean", ".running_var"})
                b.weights[own + leaf] = tensors[i++];
              return value;
            },
            true};
  }

  // Gemm, MatMul, or the Add of a bias behind a MatMul.
  std::optional<Plan> linear() const {
    const ShapedNode* product = &node_;
    std::optional<Tensor> b;
    if (node_.is("Add")) {
      for (const size_t i : {0, 1})
        if (const Tensor* constant = graph_.constant(in(i)); constant != nullptr) {
          product = graph_.producer(in(1 - i), "MatMul");
          b = constant->to_float();
        }
      if (!b || product == nullptr) return std::nullopt;
    }
    const ValueId x = product->inputs.at(0);
    if (graph_.shape(x).size() != 2 || graph_.constant(product->inputs.at(1)) == nullptr) {
      if (node_.is("Add")) return std::nullopt;
      fail_unsupported("only the product of a vector and a constant matrix is read");
    }
    const bool gemm = product->is("Gemm");
    if (gemm && (product->real("alpha", 1) != 1 || product->real("beta", 1) != 1))
      fail_unsupported("alpha and beta other than 1");
    const bool transposed = gemm && product->integer("transB", 0) != 0;
    const Tensor w = as_rows_of_outputs(graph_.constant(product->inputs[1])->to_float(), transposed);
    const int64_t out = w.dim(0);
    if (gemm && product->inputs.size() > 2) b = bias(2, out);
    if (b && b->size() != out) throw Error(ErrorKind::kFormat, "the bias does not fit the product");
    if (b) b = b->reshape({out});
    const std::string name = layer_name(graph_, *product, product->inputs[1]);
    if (as_map_)
      return conv_plan({x, true}, name, {.out = static_cast<int>(out), .bias = b.has_value()},
                       w.reshape({out, w.dim(1), 1, 1}), b);
    return Plan{{{x}},
                [=](Building& building, const Values& inputs) {
                  // A flattened map of several pixels: its length follows the image's size, a graph's must
                  // not.
                  if (building.graph.channels(inputs[0]) != w.dim(1))
                    fail_unsupported(fmt::format(
                        "it reads {} numbers of {} channels; only maps that were pooled to one pixel "
                        "are read by linear layers",
                        w.dim(1), building.graph.channels(inputs[0])));
                  const std::string own = building.free_name(name);
                  const Value value =
                      building.graph.linear(inputs[0], own, static_cast<int>(out), {}, {}, b.has_value());
                  add_layer_weights(building, own, w, b);
                  return value;
                },
                true};
  }

  static Tensor as_rows_of_outputs(const Tensor& matrix, bool already) {
    if (matrix.shape().size() != 2) fail_unsupported("the product's matrix has not two dimensions");
    if (already) return matrix;
    const int64_t rows = matrix.dim(0), columns = matrix.dim(1);
    Tensor result({columns, rows});
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c)
        result.values()[static_cast<size_t>(c * rows + r)] =
            matrix.values()[static_cast<size_t>(r * columns + c)];
    return result;
  }

  Plan pool() const {
    const Shape& map = graph_.shape(in(0));
    const Window window = square_window(map, node_.integers("kernel_shape"));
    const int64_t kernel = window.kernel[0], stride = window.strides[0], pad = window.before[0];
    const bool even = window.before == window.after && window.before[0] == window.before[1];
    if (node_.is("AveragePool")) {
      if (map[2] == kernel && map[3] == kernel && even && pad == 0) return global_average(in(0), true);
      if (kernel == 1 && stride == 1 && even && pad == 0)
        return pass_on({in(0)});  // adaptive, to the size there is
      fail_unsupported("average pooling is read over whole maps only");
    }
    if (!even || window.dilations[0] != 1 || 2 * pad > kernel)
      fail_unsupported("max pooling with dilation or uneven padding is not read");
    // Rounding up adds a window only where the strides leave a rest.
    const Shape& result = graph_.shape(node_.outputs.at(0));
    for (const size_t axis : {2, 3})
      if (result[axis] != (map[axis] + 2 * pad - kernel) / stride + 1)
        fail_unsupported("max pooling that rounds its size up (ceil_mode) is not read");
    return {{{in(0)}}, [=](Building& b, const Values& x) {
              return b.graph.max_pool(x[0], static_cast<int>(kernel), static_cast<int>(stride),
                                      static_cast<int>(pad));
            }};
  }

  static Plan global_average(ValueId x, bool keep) {
    return {{{x}}, [keep](Building& b, const Values& in) {
              const Value pooled = b.graph.global_average_pool(in[0]);
              return keep ? pooled : b.graph.flatten(pooled);
            }};
  }

  Plan reduce_mean() const {
    const Shape& map = graph_.shape(in(0));
    const auto axes = axes_of(node_, graph_.constants(node_));
    std::vector<bool> reduced(map.size(), false);
    for (const int64_t axis : axes.value_or(std::vector<int64_t>{}))
      reduced[checked_axis(axis, map.size())] = true;
    if (map.size() != 4 || reduced != std::vector<bool>{false, false, true, true})
      fail_unsupported("means are read over height and width together");
    return global_average(in(0), as_map_ || node_.integer("keepdims", 1) != 0);
  }

  Plan resize() const {
    std::vector<Operand> operands;
    for (const ValueId input : node_.inputs)
      operands.push_back({input.id < 0 ? nullptr : &graph_.shape(input), graph_.constant(input)});
    const std::vector<double> factors = resize_factors(node_, operands);
    const bool whole = factors.size() == 4 && factors[0] == 1 && factors[1] == 1 &&
                       factors[2] == factors[3] && factors[2] == std::floor(factors[2]) && factors[2] >= 1;
    if (!whole || node_.text("mode", "nearest") != "nearest")
      fail_unsupported("resizing is read for nearest neighbours and a whole factor, the same on both axes");
    const auto factor = static_cast<int>(factors[2]);
    const std::string_view place = node_.text("coordinate_transformation_mode", "half_pixel");
    const std::string_view round = node_.text("nearest_mode", "round_prefer_floor");
    // Upsample and the first Resize (opset 10) scale as asymmetric does and round down.
    const bool old = node_.is("Upsample") || graph_.opset < 11;
    const bool floors =
        place == "asymmetric" && (round == "floor" || (round == "round_prefer_floor" && factor <= 2));
    const bool centres = place.ends_with("half_pixel") && round.starts_with("round_prefer");
    if (!old && !floors && !centres)
      fail_unsupported(fmt::format("nearest neighbours by '{}' and '{}' are not read", place, round));
    return {{{in(0)}}, [factor](Building& b, const Values& x) { return b.graph.upsample(x[0], factor); }};
  }

  const ShapedGraph& graph_;
  const ShapedNode& node_;
  bool as_map_;
};

}  // namespace

std::optional<Plan> recognise_layer(const ShapedGraph& graph, const ShapedNode& node, bool as_map) {
  return LayerRecogniser(graph, node, as_map).run();
}

}  // namespace marrow::onnx
