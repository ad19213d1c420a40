#include "marrow/engine/compile/elements.h"

#include <algorithm>
#include <limits>
#include <map>

#include "marrow/base/error.h"

namespace marrow::engine {
namespace {

class Chooser {
 public:
  Chooser(const Graph& graph, Precision precision, Lowered& lowered)
      : graph_(graph),
        element_(precision == Precision::kInt8 ? Element::kByte : Element::kBfloat16),
        lowered_(lowered) {}

  void run() {
    gather_scattered();
    choose_roots();
    std::vector<LoweredOp> ops = std::move(lowered_.ops);
    for (LoweredOp& op : ops) rewrite(std::move(op));
  }

 private:
  static size_t index(Value value) { return static_cast<size_t>(value.id); }
  Value root(Value value) const { return lowered_.placements[index(value)].root; }
  Element element(Value value) const { return lowered_.storage[index(value)].element; }
  const Node& node(const LoweredOp& op) const { return graph_.node(op.node); }

  // The scale of a value of the graph; of bfloat16 there is none, and it is always there.
  const ByteScale* scale(Value value) const {
    static constexpr ByteScale kNone;
    if (element_ == Element::kBfloat16) return &kNone;
    const Value meaning = lowered_.storage[index(value)].meaning;
    if (meaning.id < 0 || !graph_.node(meaning).byte_scale) return nullptr;
    return &*graph_.node(meaning).byte_scale;
  }

  // Convolutions that multiply in low precision.
  bool computes_low_precision(const LoweredOp& op) const {
    if (op.kind != LoweredOp::Kind::kNode) return false;
    const auto* conv = std::get_if<Conv>(&node(op).operation);
    if (conv == nullptr || conv->groups != 1) return false;
    if (is_image(op.inputs[0])) return false;
    if (element_ == Element::kBfloat16) return true;
    const int64_t terms = lowered_.shapes[index(op.inputs[0])][1] * conv->kernel * conv->kernel;
    return node(op).int8 && graph_.node(node(op).inputs[0]).byte_scale &&
           terms <= std::numeric_limits<int32_t>::max() / (255 * 127);
  }

  // The network's input, planar or packed.
  bool is_image(Value value) const {
    const Value meaning = lowered_.storage[index(value)].meaning;
    return meaning.id >= 0 && std::holds_alternative<Input>(graph_.node(meaning).operation);
  }

  // Convolutions that compute in float32 because they read the image.
  bool reads_image(const LoweredOp& op) const {
    if (op.kind != LoweredOp::Kind::kNode) return false;
    const auto* conv = std::get_if<Conv>(&node(op).operation);
    return conv != nullptr && conv->groups == 1 && op.channels.empty() && is_image(op.inputs[0]);
  }

  // Operations whose outputs are inputs.
  bool moves(const LoweredOp& op) const {
    if (op.kind == LoweredOp::Kind::kGather) return true;
    if (op.kind != LoweredOp::Kind::kNode) return false;
    const Operation& operation = node(op).operation;
    if (const auto* pool = std::get_if<MaxPool>(&operation)) return 2 * pool->padding <= pool->kernel;
    return std::holds_alternative<Upsample>(operation);
  }

  // A convolution of low precision reads its channels in order.
  void gather_scattered() {
    std::vector<LoweredOp> ops;
    for (LoweredOp& op : lowered_.ops) {
      if (!op.channels.empty() && computes_low_precision(op)) {
        LoweredOp gather{.kind = LoweredOp::Kind::kGather, .node = op.node, .inputs = op.inputs};
        Shape shape = lowered_.shapes[index(op.inputs[0])];
        shape[1] = static_cast<int64_t>(op.channels.size());
        gather.output = add_value(shape, {.meaning = node(op).inputs[0]});
        gather.channels = std::move(op.channels);
        op.channels.clear();
        op.inputs = {gather.output};
        ops.push_back(std::move(gather));
      }
      ops.push_back(std::move(op));
    }
    lowered_.ops = std::move(ops);
  }

  // Storage is of low precision where such a convolution reads it, itself or moved, when all that lies in it
  // has one scale.
  void choose_roots() {
    std::vector<const ByteScale*> scales(lowered_.storage.size(), nullptr);
    std::vector<bool> possible(lowered_.storage.size(), true), low_precision(lowered_.storage.size(), false);
    const auto visit = [&](Value value) {
      if (value.id < 0) return;
      const size_t r = index(root(value));
      const ByteScale* own = scale(value);
      if (own == nullptr || lowered_.shapes[index(value)].size() != 4 || is_image(value) ||
          (scales[r] != nullptr && *scales[r] != *own))
        possible[r] = false;
      scales[r] = own;
    };
    for (const LoweredOp& op : lowered_.ops) {
      std::ranges::for_each(op.inputs, visit);
      visit(op.other);
      visit(op.output);
    }
    const auto read_low_precision = [&](Value value) {
      const size_t r = index(root(value));
      if (!possible[r] || low_precision[r]) return false;
      low_precision[r] = true;
      return true;
    };
    for (bool changed = true; changed;) {
      changed = false;
      for (const LoweredOp& op : lowered_.ops)
        if (computes_low_precision(op) || (moves(op) && low_precision[index(root(op.output))]))
          for (const Value input : op.inputs) changed |= read_low_precision(input);
    }
    for (size_t i = 0; i < lowered_.storage.size(); ++i) {
      const Value value{static_cast<int>(i)};
      if (!low_precision[index(root(value))]) continue;
      lowered_.storage[i].element = element_;
      lowered_.storage[i].scale = *scales[index(root(value))];
    }
  }

  Value add_value(const Shape& shape, const Lowered::Storage& storage) {
    lowered_.storage.push_back(storage);
    return lowered_.add_value(shape);
  }
  // A value with storage of its own that means the same as `value`.
  Value copy_of(Value value, Element element, ByteScale scale) {
    const Lowered::Storage storage = {element, scale, lowered_.storage[index(value)].meaning};
    return add_value(Shape(lowered_.shapes[index(value)]), storage);
  }

  void convert(Value from, Value to) {
    LoweredOp op{.kind = LoweredOp::Kind::kConvert};
    op.inputs = {from};
    op.output = to;
    lowered_.ops.push_back(op);
  }

  // `value` as the element with that scale: itself, or a copy that is made once.
  Value as(Value value, Element element, ByteScale scale = {}) {
    const Lowered::Storage& now = lowered_.storage[index(value)];
    if (now.element == element && (element != Element::kByte || now.scale == scale)) return value;
    for (const Copy& copy : copies_[value.id])
      if (copy.element == element && copy.scale == scale) return copy.value;
    const Value made = copy_of(value, element, scale);
    convert(value, made);
    copies_[value.id].push_back({element, scale, made});
    return made;
  }

  void rewrite(LoweredOp op) {
    if (computes_low_precision(op)) {
      const ByteScale read =
          element_ == Element::kByte ? *graph_.node(node(op).inputs[0]).byte_scale : ByteScale();
      op.inputs[0] = as(op.inputs[0], element_, read);
      lowered_.ops.push_back(std::move(op));
      return;
    }
    if (moves(op)) {
      const Lowered::Storage to = lowered_.storage[index(op.output)];
      for (Value& input : op.inputs) input = as(input, to.element, to.scale);
      lowered_.ops.push_back(std::move(op));
      return;
    }
    if (reads_image(op)) {  // and writes any element
      if (op.other.id >= 0) op.other = as(op.other, Element::kFloat32);
      lowered_.ops.push_back(std::move(op));
      return;
    }
    for (Value& input : op.inputs) input = as(input, Element::kFloat32);
    if (op.other.id >= 0) op.other = as(op.other, Element::kFloat32);
    const Value output = op.output;
    if (output.id < 0 || element(output) == Element::kFloat32) {
      lowered_.ops.push_back(std::move(op));
      return;
    }
    op.output = copy_of(output, Element::kFloat32, {});
    copies_[output.id].push_back({Element::kFloat32, {}, op.output});
    const Value wide = op.output;
    lowered_.ops.push_back(std::move(op));
    convert(wide, output);
  }

  struct Copy {
    Element element;
    ByteScale scale;
    Value value;
  };

  const Graph& graph_;
  const Element element_;
  Lowered& lowered_;
  std::map<int, std::vector<Copy>> copies_;  // of values
};

}  // namespace

std::string_view precision_name(Precision precision) {
  switch (precision) {
    case Precision::kFloat32:
      return "float32";
    case Precision::kBfloat16:
      return "bf16";
    case Precision::kInt8:
      return "int8";
  }
  return "?";
}

void choose_elements(const Graph& graph, Precision precision, Lowered& lowered) {
  lowered.storage.assign(lowered.placements.size(), {});
  for (size_t i = 0; i < graph.nodes.size(); ++i) lowered.storage[i].meaning = {static_cast<int>(i)};
  lowered.storage[static_cast<size_t>(lowered.packed_input.id)].meaning = {0};
  if (precision == Precision::kFloat32) return;
  if (precision == Precision::kInt8 && std::ranges::none_of(graph.nodes, &Node::int8))
    throw Error(
        ErrorKind::kUsage,
        "the model is not quantised, so there is no int8 to run. 'marrow quantize MODEL --data data.yaml' "
        "makes one that is");
  Chooser(graph, precision, lowered).run();
}

}  // namespace marrow::engine
