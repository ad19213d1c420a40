#include "marrow/onnx/read/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <unordered_set>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/geometry/probiou.h"
#include "marrow/onnx/read/recognise.h"

namespace marrow::onnx {
namespace {

constexpr int64_t kMaxSide = 16384;  // pixels
constexpr int64_t kMaxBatch = 4096;
constexpr int64_t kMaxChannels = 4096;

const ValueInfo& input_of(const ModelProto& model) {
  std::unordered_set<std::string_view> weights;
  for (const TensorProto& tensor : model.graph.initializers) weights.insert(tensor.name);
  for (const ValueInfo& info : model.graph.inputs)
    if (!weights.contains(info.name)) return info;
  throw Error(ErrorKind::kFormat, "the graph has no input");
}

// The decode whose boxes a later stage receives.
std::optional<ValueId> find_decode(const ShapedGraph& graph, BoxForm form) {
  for (const ShapedNode& node : graph.nodes)
    if (form_of_decode(graph, node) == form) return node.outputs.at(0);
  return std::nullopt;
}

ValueId decode_before_suppression(const ShapedGraph& graph) {
  for (const BoxForm form : {BoxForm::kCentre, BoxForm::kCorners})
    if (const auto decode = find_decode(graph, form)) return *decode;
  throw Error(ErrorKind::kUnsupported,
              "there is a NonMaxSuppression, but no detection decode of YOLO before it");
}

// The best detections of an end-to-end head, (N, K, 6) chosen by TopK, of which no suppression follows.
bool is_chosen_list(const ShapedGraph& graph, ValueId output) {
  const auto& shape = graph.value(output).shape;
  const bool chooses =
      std::ranges::any_of(graph.nodes, [](const ShapedNode& node) { return node.is("TopK"); });
  return chooses && (!shape || (shape->size() == 3 && shape->back() == 6));
}

const ShapedNode* suppression(const ShapedGraph& graph) {
  for (const ShapedNode& node : graph.nodes)
    if (node.is("NonMaxSuppression")) return &node;
  return nullptr;
}

ExportNms settings_of(const ShapedGraph& graph, const ShapedNode& node) {
  ExportNms nms;
  const auto number = [&](size_t i, double fallback) {
    return i < node.inputs.size() ? graph.scalar(node.inputs[i]).value_or(fallback) : fallback;
  };
  nms.max_detections = static_cast<int>(std::clamp(number(2, nms.max_detections), 1.0, 1e6));
  nms.iou = static_cast<float>(number(3, 0));
  nms.confidence = static_cast<float>(number(4, 0));
  return nms;
}

// A constant that nodes of this kind compare with, where there is one.
std::optional<double> compared_with(const ShapedGraph& graph, std::string_view op) {
  for (const ShapedNode& node : graph.nodes)
    if (node.is(op) && node.inputs.size() == 2)
      if (const auto constant = graph.scalar(node.inputs[1])) return constant;
  return std::nullopt;
}

// The plain operators behind a decode of turned boxes that export_turned_nms writes.
std::optional<ExportNms> turned_suppression(const ShapedGraph& graph, ValueId decode) {
  const ShapedNode* last = graph.producer(graph.outputs.front(), "Slice");
  const bool chooses =
      std::ranges::any_of(graph.nodes, [](const ShapedNode& node) { return node.is("TopK"); });
  const auto distance = compared_with(graph, "Less");
  if (last == nullptr || !chooses || !distance || graph.outputs.front() == decode) return std::nullopt;
  ExportNms nms;
  nms.iou = static_cast<float>(probiou_at_distance(*distance));
  nms.confidence = static_cast<float>(compared_with(graph, "Greater").value_or(0));
  if (const auto most = graph.scalar(last->inputs.at(2)))
    nms.max_detections = static_cast<int>(std::clamp(*most, 1.0, 1e6));
  return nms;
}

// What the file computes, once its own suppression or softmax is taken off.
struct Result {
  ValueId value;
  std::optional<ExportNms> nms = {};
  bool end2end = false;
};

// A second output of maps beside a decoded one.
bool has_prototypes(const ShapedGraph& graph, ValueId decoded) {
  if (graph.outputs.size() != 2) return false;
  const ShapedNode* decode = graph.producer(decoded);
  const auto& maps = graph.value(graph.outputs[1]).shape;
  return decode != nullptr && form_of_decode(graph, *decode).has_value() && maps && maps->size() == 4;
}

Result result_of(const ShapedGraph& graph) {
  if (const ShapedNode* node = suppression(graph))
    return {decode_before_suppression(graph), settings_of(graph, *node)};
  if (const auto decode = find_decode(graph, BoxForm::kCentre))
    if (const auto nms = turned_suppression(graph, *decode)) return {*decode, nms};
  if (graph.outputs.size() > (has_prototypes(graph, graph.outputs[0]) ? 2 : 1))
    throw Error(ErrorKind::kUnsupported,
                fmt::format("the network has {} outputs; detectors and classifiers have one, and those that "
                            "segment a second of prototypes",
                            graph.outputs.size()));
  const ValueId output = graph.outputs.front();
  if (is_chosen_list(graph, output))
    if (const auto decode = find_decode(graph, BoxForm::kCorners)) return {.value = *decode, .end2end = true};
  const ShapedNode* last = graph.producer(output, "Softmax");
  if (last != nullptr && graph.shape(output).size() == 2) return {last->inputs.at(0), {}};
  return {output, {}};
}

bool same_weights(const Weights& a, const Weights& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    const Tensor &left = x.second, &right = y.second;
    return x.first == y.first && left.dtype() == right.dtype() && left.shape() == right.shape() &&
           std::ranges::equal(std::span(left.bytes(), left.byte_size()),
                              std::span(right.bytes(), right.byte_size()));
  });
}

ImportedNetwork read_at(const ModelProto& model, const Shape& input) {
  const ShapedGraph graph = shape_graph(model, input);
  const Result result = result_of(graph);
  const Shape& shape = graph.shape(result.value);
  const ShapedNode* last = graph.producer(result.value);
  const auto form = last == nullptr ? std::nullopt : form_of_decode(graph, *last);
  const bool detector = form.has_value();
  if (form == BoxForm::kCorners && !result.end2end && !result.nms)
    throw Error(ErrorKind::kUnsupported,
                "the boxes are corners, wanted centre and size as YOLO's detectors have them");
  if (!detector && shape.size() != 2)
    throw Error(
        ErrorKind::kUnsupported,
        fmt::format(
            "the output '{}' is {}: neither the decoded boxes of a YOLOv8 detector nor a classifier's "
            "(N, classes){}",
            printable(graph.value(result.value).name), to_string(shape),
            last == nullptr ? "" : ", made by node " + last->label()));
  ImportedNetwork read;
  std::vector<NamedResult> wanted = {{result.value, !detector        ? std::string_view("logits")
                                                    : result.end2end ? kOneToOneOutput
                                                                     : kDecodedOutput}};
  if (has_prototypes(graph, result.value)) wanted.push_back({graph.outputs[1], kPrototypesOutput});
  read.network = recognise(graph, wanted);
  read.detector = detector;
  read.nms = result.nms;
  return read;
}

ImportedNetwork read(const ModelProto& model) {
  const ValueInfo& input = input_of(model);
  if (input.dtype != DType::kFloat32 && input.dtype != DType::kFloat16)
    throw Error(ErrorKind::kUnsupported,
                fmt::format("the input is of type {}, wanted float32 or float16", dtype_name(input.dtype)));
  if (input.shape.size() != 4 || input.shape[1].value < 1 || input.shape[1].value > kMaxChannels)
    throw Error(ErrorKind::kUnsupported, "the input is no (N, channels, height, width) of images");
  const int64_t batch = input.shape[0].value, channels = input.shape[1].value, height = input.shape[2].value,
                width = input.shape[3].value;
  if (batch > kMaxBatch || height > kMaxSide || width > kMaxSide)
    throw Error(ErrorKind::kUnsupported,
                fmt::format("an input of {} images of {}x{} pixels", batch, height, width));

  // Multiples of every stride; no two numbers of the first equal those of the second or each other.
  struct Probe {
    int64_t batch, height, width;
  };
  const auto shape_at = [&](const Probe& probe) {
    return Shape{batch > 0 ? batch : probe.batch, channels, height > 0 ? height : probe.height,
                 width > 0 ? width : probe.width};
  };
  ImportedNetwork result = read_at(model, shape_at({1, 256, 384}));
  if (batch < 0 || height < 0 || width < 0) {
    const ImportedNetwork again = read_at(model, shape_at({3, 512, 128}));
    if (again.network.graph != result.network.graph ||
        !same_weights(again.network.weights, result.network.weights))
      throw Error(ErrorKind::kUnsupported, "the network is another one for another input size");
  }
  result.dynamic_batch = batch < 0;
  result.height = height > 0 ? static_cast<int>(height) : 0;
  result.width = width > 0 ? static_cast<int>(width) : 0;
  result.half = input.dtype == DType::kFloat16;
  return result;
}

}  // namespace

ImportedNetwork import_network(const ModelProto& model, const std::string& where) {
  try {
    return read(model);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", where, error.what()));
  }
}

}  // namespace marrow::onnx
