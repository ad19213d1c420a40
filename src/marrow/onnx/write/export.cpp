#include "marrow/onnx/write/export.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/graph/shapes.h"
#include "marrow/onnx/file/proto_numbers.h"
#include "marrow/onnx/write/export_int8.h"
#include "marrow/onnx/write/export_operations.h"

namespace marrow::onnx {
namespace {

constexpr const char* kOutputName = "output0";
constexpr const char* kSecondOutputName = "output1";

bool has_prototypes(const Graph& graph) {
  return graph.outputs.size() == 2 && graph.outputs[1].name == kPrototypesOutput;
}

// The first IR version whose readers know the opset.
int64_t ir_version_for(int opset) {
  return opset < 12 ? 6 : opset < 15 ? 7 : 8;
}

void check(const passes::GraphWithWeights& source, const ExportOptions& o) {
  const auto refuse = [](const std::string& message) { throw Error(ErrorKind::kUsage, message); };
  if (o.opset < kMinOpset || o.opset > kMaxOpset)
    refuse(fmt::format("opset {}: {} to {} can be written", o.opset, kMinOpset, kMaxOpset));
  if (o.int8 && (o.opset < kInt8Opset || o.half))
    refuse(fmt::format("int8 layers want opset {} or later, and float32 between them", kInt8Opset));
  if (o.int8 && std::ranges::none_of(source.graph.nodes, &Node::int8))
    refuse("the model is not quantised: 'marrow quantize MODEL --data data.yaml' makes one that is");
  if (o.batch < 1 || o.height < 1 || o.width < 1)
    refuse(fmt::format("an input of {} images of {}x{} pixels", o.batch, o.height, o.width));
  if (o.nms && (o.nms->max_detections < 1 || o.batch != 1))
    refuse("suppression in the file wants a batch of 1 and at least one detection");
  if (source.graph.outputs.size() != 1 && !has_prototypes(source.graph))
    throw Error(
        ErrorKind::kUnsupported,
        fmt::format("the network has {} outputs; detectors and classifiers, which have one, and those "
                    "with prototypes of masks behind it can be exported",
                    source.graph.outputs.size()));
  if (source.graph.outputs.front().name == kOneToOneOutput && (o.nms || o.dynamic))
    refuse(
        "an end-to-end head's boxes need no suppression, and the list of them has a fixed size: without "
        "--nms and --dynamic");
  verify(source.graph, source.weights);
}

Dimension fixed(int64_t value) {
  return {value, {}};
}

// The second output, float32.
ValueInfo prototypes_output(Exporting& e) {
  const Value maps = e.source.graph.outputs[1].value;
  std::string output = e.name(maps);
  if (e.options.half)
    output = e.out.node("Cast", {output}, {attribute("to", element_of_dtype(DType::kFloat32))});
  e.out.rename(output, kSecondOutputName);
  ValueInfo info{kSecondOutputName, DType::kFloat32, {}};
  for (const int64_t size : e.shape(maps)) info.shape.push_back(fixed(size));
  if (e.options.dynamic) {
    info.shape[0] = {-1, "batch"};
    info.shape[2] = {-1, "mask_height"};
    info.shape[3] = {-1, "mask_width"};
  }
  return info;
}

}  // namespace

ModelProto export_model(const passes::GraphWithWeights& source, const ExportOptions& options) {
  check(source, options);
  const Graph& graph = source.graph;
  const Value result = graph.outputs.front().value;
  const auto* decode = std::get_if<DetectDecode>(&graph.node(result).operation);
  if (options.nms && decode == nullptr)
    throw Error(ErrorKind::kUsage, "suppression is for detectors; this network has no detection decode");

  GraphWriter writer;
  writer.reserve(kInputName);
  writer.reserve(kOutputName);
  if (has_prototypes(graph)) writer.reserve(kSecondOutputName);
  const DType network_type = options.half ? DType::kFloat16 : DType::kFloat32;
  writer.set_float_type(network_type);
  const int channels = graph.nodes.front().channels;
  Exporting exporting{source, options,
                      writer, infer_shapes(graph, {options.batch, channels, options.height, options.width}),
                      {},     {}};
  for (const Node& node : graph.nodes) exporting.names.push_back(export_operation(exporting, node));

  std::string output = exporting.name(result);
  const Shape& shape = exporting.shape(result);
  ValueInfo info{kOutputName, DType::kFloat32, {}};
  for (const int64_t size : shape) info.shape.push_back(fixed(size));
  if (options.dynamic) {
    info.shape.front() = {-1, "batch"};
    if (decode != nullptr) info.shape.back() = {-1, "anchors"};
  }
  if (graph.outputs.front().name == kOneToOneOutput && decode != nullptr) {
    output = export_choice(exporting, output, shape);
    info.shape = {fixed(options.batch), fixed(std::min<int64_t>(options.max_detections, shape[2])), fixed(6)};
  } else if (options.nms) {
    output = decode->extra == DetectExtra::kAngle
                 ? export_turned_nms(exporting, output, *decode, shape.back(), *options.nms)
                 : export_nms(exporting, output, *decode, *options.nms);
    info.shape = {fixed(1), fixed(options.nms->max_detections), fixed(6 + decode->extra_channels)};
  } else if (options.half && decode == nullptr) {
    output = writer.node("Cast", {output}, {attribute("to", element_of_dtype(DType::kFloat32))});
  }
  writer.rename(output, kOutputName);
  std::vector<ValueInfo> outputs = {std::move(info)};
  if (has_prototypes(graph)) outputs.push_back(prototypes_output(exporting));

  ValueInfo input{kInputName,
                  network_type,
                  {fixed(options.batch), fixed(channels), fixed(options.height), fixed(options.width)}};
  if (options.dynamic)
    input.shape = {
        options.nms ? fixed(1) : Dimension{-1, "batch"}, fixed(channels), {-1, "height"}, {-1, "width"}};

  ModelProto model;
  model.ir_version = ir_version_for(options.opset);
  model.producer_name = "marrow";
  model.producer_version = options.version;
  model.opsets = {{"", options.opset}};
  model.graph = std::move(writer).finish();
  model.graph.name = options.name;
  model.graph.inputs = {std::move(input)};
  model.graph.outputs = std::move(outputs);
  model.metadata = options.metadata;
  return model;
}

}  // namespace marrow::onnx
