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

  // The scale of a value of the graph; of bfloat16 there is none, and it is always there.
  const ByteScale* scale(Value value) const {
    static constexpr ByteScale kNone;
    if (element_ == Element::kBfloat16) return &kNone;
    const Value meaning = lowered_.storage[index(value)].meaning;
    if (meaning.id < 0 || !graph_.node(meaning).byte_scale) return nullptr;
    return &*graph_.node(meaning).byte_scale;
  }

  // A dense convolution; or nullptr.
  static const lowered::Convolution* dense(const LoweredOp& op) {
    const auto* layer = std::get_if<lowered::Convolution>(&op.operation);
    return layer != nullptr && layer->conv.groups == 1 ? layer : nullptr;
  }
  // What the graph says of the numbers that a convolution reads.
  Value read_by(const lowered::Convolution& layer) const { return graph_.node(layer.node).inputs[0]; }

  // Convolutions that multiply in low precision.
  bool computes_low_precision(const LoweredOp& op) const {
    const lowered::Convolution* layer = dense(op);
    if (layer == nullptr || is_image(op.inputs[0])) return false;
    if (element_ == Element::kBfloat16) return true;
    const Conv& conv = layer->conv;
    const int64_t terms = lowered_.shapes[index(op.inputs[0])][1] * conv.kernel * conv.kernel;
    return graph_.node(layer->node).int8 && graph_.node(read_by(*layer)).byte_scale &&
           terms <= std::numeric_limits<int32_t>::max() / (255 * 127);
  }

  // The network's input, planar or packed.
  bool is_image(Value value) const {
    const Value meaning = lowered_.storage[index(value)].meaning;
    return meaning.id >= 0 && std::holds_alternative<Input>(graph_.node(meaning).operation);
  }

  // Convolutions that compute in float32 because they read the image.
  bool reads_image(const LoweredOp& op) const {
    const lowered::Convolution* layer = dense(op);
    return layer != nullptr && layer->channels.empty() && is_image(op.inputs[0]);
  }

  // Operations whose outputs are inputs.
  static bool moves(const LoweredOp& op) {
    if (const auto* pool = std::get_if<MaxPool>(&op.operation)) return 2 * pool->padding <= pool->kernel;
    return std::holds_alternative<lowered::Gather>(op.operation) ||
           std::holds_alternative<Upsample>(op.operation);
  }

  // A convolution of low precision reads its channels in order.
  void gather_scattered() {
    std::vector<LoweredOp> ops;
    for (LoweredOp& op : lowered_.ops) {
      auto* layer = std::get_if<lowered::Convolution>(&op.operation);
      if (layer != nullptr && !layer->channels.empty() && computes_low_precision(op)) {
        Shape shape = lowered_.shapes[index(op.inputs[0])];
        shape[1] = static_cast<int64_t>(layer->channels.size());
        const Value gathered = add_value(shape, {.meaning = read_by(*layer)});
        ops.push_back({op.name, std::move(op.inputs), gathered, lowered::Gather{std::move(layer->channels)}});
        layer->channels.clear();
        op.inputs = {gathered};
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
      const size_t r = index(root(value));
      const ByteScale* own = scale(value);
      if (own == nullptr || lowered_.shapes[index(value)].size() != 4 || is_image(value) ||
          (scales[r] != nullptr && *scales[r] != *own))
        possible[r] = false;
      scales[r] = own;
    };
    for (const LoweredOp& op : lowered_.ops) {
      for_each_read(op, visit);
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
    const Value meaning = lowered_.storage[index(to)].meaning;
    lowered_.ops.push_back({meaning.id < 0 ? "" : graph_.node(meaning).name, {from}, to, lowered::Convert()});
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
    const auto read_float = [&](Value& value) { value = as(value, Element::kFloat32); };
    if (computes_low_precision(op)) {
      const Value read = read_by(*dense(op));
      op.inputs[0] = as(op.inputs[0], element_,
                        element_ == Element::kByte ? *graph_.node(read).byte_scale : ByteScale());
    } else if (moves(op)) {
      const Lowered::Storage to = lowered_.storage[index(op.output)];
      for (Value& input : op.inputs) input = as(input, to.element, to.scale);
    } else if (reads_image(op)) {  // and writes any element
      LoweredEpilogue& epilogue = *epilogue_of(op);
      if (epilogue.join != Epilogue::Join::kNone) read_float(epilogue.other);
    } else {
      for_each_read(op, read_float);
      if (const Value output = op.output; element(output) != Element::kFloat32) {
        const Value computed = copy_of(output, Element::kFloat32, {});
        copies_[output.id].push_back({Element::kFloat32, {}, computed});
        op.output = computed;
        lowered_.ops.push_back(std::move(op));
        convert(computed, output);
        return;
      }
    }
    lowered_.ops.push_back(std::move(op));
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
