#include "marrow/onnx/read/shaped_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/onnx/read/fold_constants.h"
#include "marrow/onnx/read/shape_rules.h"

namespace marrow::onnx {

const Attribute* ShapedNode::find(std::string_view name) const {
  const auto found = std::ranges::find(proto->attributes, name, &Attribute::name);
  return found == proto->attributes.end() ? nullptr : &*found;
}
int64_t ShapedNode::integer(std::string_view name, int64_t fallback) const {
  const Attribute* found = find(name);
  return found != nullptr && found->type == Attribute::Type::kInt ? found->integer : fallback;
}
double ShapedNode::real(std::string_view name, double fallback) const {
  const Attribute* found = find(name);
  return found != nullptr && found->type == Attribute::Type::kFloat ? double{found->real} : fallback;
}
std::string_view ShapedNode::text(std::string_view name, std::string_view fallback) const {
  const Attribute* found = find(name);
  return found != nullptr && found->type == Attribute::Type::kString ? std::string_view(found->text)
                                                                     : fallback;
}
std::vector<int64_t> ShapedNode::integers(std::string_view name) const {
  const Attribute* found = find(name);
  return found != nullptr && found->type == Attribute::Type::kInts ? found->integers : std::vector<int64_t>{};
}
std::string ShapedNode::label() const {
  return fmt::format("'{}' ({})", printable(proto->name), printable(proto->op_type));
}

const Tensor* ShapedGraph::constant(ValueId v) const {
  return v.id >= 0 && value(v).constant ? &*value(v).constant : nullptr;
}

std::vector<const Tensor*> ShapedGraph::constants(const ShapedNode& node) const {
  std::vector<const Tensor*> result;
  for (const ValueId input : node.inputs) result.push_back(constant(input));
  return result;
}

std::optional<double> ShapedGraph::scalar(ValueId v) const {
  const Tensor* tensor = constant(v);
  if (tensor == nullptr || tensor->size() != 1) return std::nullopt;
  return tensor->to_float().values()[0];
}

const ShapedNode* ShapedGraph::producer(ValueId v) const {
  if (v.id < 0 || value(v).node < 0) return nullptr;
  return &nodes[static_cast<size_t>(value(v).node)];
}

const ShapedNode* ShapedGraph::producer(ValueId v, std::string_view op) const {
  const ShapedNode* node = producer(v);
  return node != nullptr && node->is(op) ? node : nullptr;
}

const Shape& ShapedGraph::shape(ValueId v) const {
  if (v.id < 0) throw Error(ErrorKind::kFormat, "an input is missing");
  if (value(v).shape) return *value(v).shape;
  const ShapedNode* node = producer(v);
  for (const ShapedNode* before = node; before != nullptr;) {  // the first in the chain that is not known
    node = before;
    before = nullptr;
    for (const ValueId input : node->inputs)
      if (input.id >= 0 && !value(input).shape) before = producer(input);
  }
  throw Error(ErrorKind::kUnsupported,
              fmt::format("node {}: Marrow does not know what this operator does to its input's shape",
                          node == nullptr ? "?" : node->label()));
}

int64_t ShapedGraph::split_begin(const ShapedNode& split, size_t axis, size_t output) const {
  int64_t begin = 0;
  for (size_t i = 0; i < output; ++i) {
    if (split.outputs[i].id < 0)
      throw Error(ErrorKind::kUnsupported, "a Split whose outputs are partly left out is not read");
    begin += shape(split.outputs[i]).at(axis);
  }
  return begin;
}

namespace {

// Of one map of a network, in float32; more would not fit into memory.
constexpr int64_t kMaxElements = int64_t{1} << 31;
// All folded constants of a file together: anchors and shapes are thousands.
constexpr int64_t kMaxFoldedTotal = 4 * kMaxFoldedElements;
// A network reads each weight once or a few times. Every reader costs the time, and some the memory, of a
// copy.
constexpr int64_t kMostReads = 4;

// The nodes so that each stands behind those whose outputs it reads, otherwise in the file's order:
// converters to float16 put their casts where they like. What no order helps, since an output is missing or
// the graph runs in a circle, comes last.
std::vector<const NodeProto*> in_order_of_data(const std::vector<NodeProto>& nodes) {
  std::unordered_map<std::string_view, size_t> maker;
  for (size_t i = 0; i < nodes.size(); ++i)
    for (const std::string& name : nodes[i].outputs)
      if (!name.empty()) maker.emplace(name, i);
  std::vector<int> waits(nodes.size(), 0);
  std::vector<std::vector<size_t>> readers(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i)
    for (const std::string& name : nodes[i].inputs)
      if (const auto found = maker.find(name); found != maker.end()) {
        ++waits[i];
        readers[found->second].push_back(i);
      }
  std::set<size_t> ready;
  for (size_t i = 0; i < nodes.size(); ++i)
    if (waits[i] == 0) ready.insert(i);
  std::vector<const NodeProto*> order;
  while (!ready.empty()) {
    const size_t node = ready.extract(ready.begin()).value();
    order.push_back(&nodes[node]);
    for (const size_t reader : readers[node])
      if (--waits[reader] == 0) ready.insert(reader);
  }
  for (size_t i = 0; i < nodes.size(); ++i)
    if (waits[i] > 0) order.push_back(&nodes[i]);
  return order;
}

class Shaper {
 public:
  Shaper(const ModelProto& model, const Shape& input) {
    graph_.model = &model;
    const auto opset = model.opsets.find("");
    graph_.opset = opset == model.opsets.end() ? 0 : opset->second;
    if (graph_.opset < kMinReadOpset || graph_.opset > kMaxReadOpset)
      throw Error(ErrorKind::kUnsupported, fmt::format("operator set {}; {} to {} are read", graph_.opset,
                                                       kMinReadOpset, kMaxReadOpset));
    for (const TensorProto& tensor : model.graph.initializers) {
      most_read_ += kMostReads * tensor.value.size();
      ShapedValue value;
      value.constant = normalised_constant(tensor.value);
      value.shape = tensor.value.shape();
      define(tensor.name, std::move(value));
    }
    for (const ValueInfo& info : model.graph.inputs) {
      if (ids_.contains(info.name)) continue;  // old files list their weights among the inputs
      if (graph_.input.id >= 0)
        throw Error(ErrorKind::kUnsupported,
                    fmt::format("inputs '{}' and '{}'; networks with one input are read",
                                printable(graph_.value(graph_.input).name), printable(info.name)));
      ShapedValue value;
      value.shape = input;
      graph_.input = define(info.name, std::move(value));
    }
    if (graph_.input.id < 0) throw Error(ErrorKind::kFormat, "the graph has no input");
  }

  ShapedGraph run() {
    for (const NodeProto* in_order : in_order_of_data(graph_.model->graph.nodes)) {
      const NodeProto& proto = *in_order;
      ShapedNode node;
      node.proto = &proto;
      try {
        for (const std::string& name : proto.inputs) node.inputs.push_back(lookup(name));
        take(std::move(node));
      } catch (const Error& error) {
        throw Error(error.kind(), fmt::format("node '{}' ({}): {}", printable(proto.name),
                                              printable(proto.op_type), error.what()));
      }
    }
    for (const ValueInfo& info : graph_.model->graph.outputs) {
      const auto found = ids_.find(info.name);
      if (found == ids_.end())
        throw Error(ErrorKind::kFormat, fmt::format("no node makes the output '{}'", printable(info.name)));
      graph_.outputs.push_back({found->second});
    }
    if (graph_.outputs.empty()) throw Error(ErrorKind::kFormat, "the graph has no output");
    return std::move(graph_);
  }

 private:
  ValueId define(const std::string& name, ShapedValue value) {
    const ValueId id{static_cast<int>(graph_.values.size())};
    if (!ids_.emplace(name, id.id).second)
      throw Error(ErrorKind::kFormat, fmt::format("the value '{}' is made twice", printable(name)));
    value.name = name;
    graph_.values.push_back(std::move(value));
    return id;
  }

  ValueId lookup(const std::string& name) const {
    if (name.empty()) return {};
    const auto found = ids_.find(name);
    if (found == ids_.end())
      throw Error(
          ErrorKind::kFormat,
          fmt::format("it reads '{}', which no node makes before it: the graph is incomplete or runs in a "
                      "circle",
                      printable(name)));
    return {found->second};
  }

  void take(ShapedNode node) {
    const NodeProto& proto = *node.proto;
    if (proto.outputs.empty()) throw Error(ErrorKind::kFormat, "it has no output");
    const bool standard = proto.domain.empty() || proto.domain == "ai.onnx";
    if (standard) check_inputs(node);
    if (standard && forwards(node)) return alias(node);
    // Behind data that decides shapes, a shape is data too.
    const bool of_known =
        !node.inputs.empty() && node.inputs[0].id >= 0 && graph_.value(node.inputs[0]).shape;
    if (standard && proto.op_type == "Shape" && of_known) return define_shape(node);

    const std::vector<const Tensor*> constants = graph_.constants(node);
    std::vector<Operand> operands;
    bool all_constant = true, all_known = true;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId input = node.inputs[i];
      const bool known = input.id < 0 || graph_.value(input).shape.has_value();
      operands.push_back({input.id < 0 || !known ? nullptr : &*graph_.value(input).shape, constants[i]});
      all_constant = all_constant && (input.id < 0 || constants[i] != nullptr);
      if (constants[i] != nullptr) read_ += constants[i]->size();
      all_known = all_known && known;
    }
    if (read_ > most_read_)
      throw Error(ErrorKind::kFormat, "the constants of the file are read many times over");
    if (standard && all_constant && proto.outputs.size() == 1)
      if (auto folded = fold(node, constants)) return define_constant(proto.outputs[0], std::move(*folded));

    node.outputs.resize(proto.outputs.size());
    std::optional<std::vector<Shape>> shapes;
    if (standard && all_known) shapes = output_shapes(node, operands);
    for (size_t i = 0; i < proto.outputs.size(); ++i) {
      if (proto.outputs[i].empty()) continue;
      ShapedValue value;
      if (shapes && i < shapes->size()) value.shape = checked((*shapes)[i]);
      value.node = static_cast<int>(graph_.nodes.size());
      value.output = i;
      node.outputs[i] = define(proto.outputs[i], std::move(value));
    }
    graph_.nodes.push_back(std::move(node));
  }

  // What later code takes for granted.
  static void check_inputs(const ShapedNode& node) {
    static const std::unordered_map<std::string_view, size_t> kWanted = {{"Constant", 0},
                                                                         {"Add", 2},
                                                                         {"Sub", 2},
                                                                         {"Mul", 2},
                                                                         {"Div", 2},
                                                                         {"Conv", 2},
                                                                         {"ConvTranspose", 2},
                                                                         {"MatMul", 2},
                                                                         {"Gemm", 2},
                                                                         {"PRelu", 2},
                                                                         {"BatchNormalization", 5}};
    const auto found = kWanted.find(node.proto->op_type);
    const size_t wanted = found == kWanted.end() ? 1 : found->second;
    size_t given = 0;
    while (given < node.inputs.size() && node.inputs[given].id >= 0) ++given;
    if (given < wanted)
      throw Error(ErrorKind::kFormat, fmt::format("it has {} inputs, wanted {} or more", given, wanted));
  }

  // Does nothing to data when a network runs.
  bool forwards(const ShapedNode& node) const {
    if (node.is("Identity") || node.is("Dropout")) return true;
    // Rounding to bytes is left to a runtime that runs the network in bytes.
    const bool rounds = node.is("QuantizeLinear") || node.is("DequantizeLinear");
    if (rounds && !node.inputs.empty() && graph_.constant(node.inputs[0]) == nullptr) return true;
    return node.is("Cast") && node.inputs.size() == 1 && graph_.constant(node.inputs[0]) == nullptr;
  }

  void alias(const ShapedNode& node) {
    if (node.inputs.empty() || node.inputs[0].id < 0) throw Error(ErrorKind::kFormat, "it has no input");
    if (!ids_.emplace(node.proto->outputs[0], node.inputs[0].id).second)
      throw Error(ErrorKind::kFormat,
                  fmt::format("the value '{}' is made twice", printable(node.proto->outputs[0])));
  }

  void define_shape(const ShapedNode& node) {
    if (node.inputs.size() != 1) throw Error(ErrorKind::kFormat, "wants one input");
    const Shape& shape = graph_.shape(node.inputs[0]);
    const auto rank = static_cast<int64_t>(shape.size());
    const auto place = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
    const int64_t begin = place(node.integer("start", 0));
    const int64_t end = std::max(place(node.integer("end", rank)), begin);
    Tensor value({end - begin}, DType::kInt64);
    std::copy(shape.begin() + begin, shape.begin() + end, value.values<int64_t>().begin());
    define_constant(node.proto->outputs[0], std::move(value));
  }

  void define_constant(const std::string& name, Tensor tensor) {
    folded_ += tensor.size();
    if (folded_ > kMaxFoldedTotal)
      throw Error(ErrorKind::kFormat, "the constants that the file computes are too large");
    ShapedValue value;
    value.shape = with_few_axes(tensor.shape());
    value.constant = std::move(tensor);
    define(name, std::move(value));
  }

  static Shape with_few_axes(Shape shape) {
    if (shape.size() > kMaxRank)
      throw Error(ErrorKind::kFormat, fmt::format("its result would have {} dimensions", shape.size()));
    return shape;
  }

  static Shape checked(Shape shape) {
    shape = with_few_axes(std::move(shape));
    for (const int64_t size : shape)
      if (size < 1) throw Error(ErrorKind::kFormat, fmt::format("its result would be {}", to_string(shape)));
    if (element_count(shape) > kMaxElements)
      throw Error(ErrorKind::kFormat,
                  fmt::format("its result would be {}, more than memory holds", to_string(shape)));
    return shape;
  }

  ShapedGraph graph_;
  std::unordered_map<std::string, int> ids_;
  int64_t folded_ = 0, read_ = 0, most_read_ = kMostReads * kMaxFoldedTotal;  // numbers
};

}  // namespace

ShapedGraph shape_graph(const ModelProto& model, const Shape& input) {
  return Shaper(model, input).run();
}

}  // namespace marrow::onnx
