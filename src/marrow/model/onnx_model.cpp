#include "marrow/model/onnx_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/graph/detect_task.h"
#include "marrow/model/deployed.h"
#include "marrow/model/python_names.h"
#include "marrow/model/spec.h"
#include "marrow/onnx/read/import.h"
#include "marrow/weights/safetensors.h"

namespace marrow::model {
namespace {

// What torchvision's classifiers are trained with; 256 pixels before a crop of 224.
InputFormat imagenet_format(int crop) {
  InputFormat format;
  format.mean = {0.485, 0.456, 0.406};
  format.std = {0.229, 0.224, 0.225};
  format.crop = crop;
  format.resize = (crop * 256 + 112) / 224;
  return format;
}

const DetectDecode* decode_of(const Graph& graph) {
  return std::get_if<DetectDecode>(&graph.node(graph.outputs.front().value).operation);
}

int largest_stride(const Graph& graph) {
  constexpr int kUsual = 32;
  const DetectDecode* decode = decode_of(graph);
  return decode == nullptr ? kUsual : std::max(kUsual, *std::ranges::max_element(decode->strides));
}

std::vector<std::string> names_of(const std::string& file, const onnx::ModelProto& model, int classes) {
  std::vector<std::string> names;
  if (const std::string* text = model.find_metadata("names")) {
    auto parsed = parse_python_names(*text);
    if (!parsed)
      throw Error(ErrorKind::kFormat,
                  fmt::format("{}: metadata 'names' is '{}', wanted a dict like {{0: 'person', 1: 'dog'}}",
                              file, printable(*text)));
    if (static_cast<int>(parsed->size()) != classes)
      throw Error(ErrorKind::kFormat,
                  fmt::format("{}: metadata 'names' has {} names, but the network has {} classes", file,
                              parsed->size(), classes));
    return std::move(*parsed);
  }
  for (int i = 0; i < classes; ++i) names.push_back(fmt::format("class_{}", i));
  return names;
}

}  // namespace

bool is_onnx_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  // A safetensors file may begin with the same bytes: a header length.
  return onnx::looks_like_onnx(file.bytes()) && !weights::looks_like_safetensors(file.bytes());
}

TrainedModel read_onnx_model(const std::filesystem::path& path) {
  const std::string file = path.string();
  const MappedFile mapped(path);
  const onnx::ModelProto proto = onnx::parse_model(mapped.bytes(), file);
  onnx::ImportedNetwork read = onnx::import_network(proto, file);
  Graph& graph = read.network.graph;
  const int outputs = graph.node(graph.outputs.front().value).channels;
  const int classes = read.detector ? decode_of(graph)->classes : outputs;
  if (classes > kMaxModelClasses)
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: {} classes; at most {}", file, classes, kMaxModelClasses));

  InputFormat& format = std::get<Input>(graph.nodes.front().operation).format;
  std::vector<std::string> warnings;
  if (const std::string* stored = proto.find_metadata("input")) {
    try {
      format = parse_input_format(*stored);
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: metadata 'input': {}", file, error.what()));
    }
  } else if (!read.detector && proto.find_metadata("task") == nullptr) {
    constexpr int kImageNetCrop = 224;
    format = imagenet_format(read.height > 0 ? read.height : kImageNetCrop);
    warnings.push_back(
        file + ": the file does not say how pixels become its input; they are normalised as for ImageNet");
  }
  if (!read.detector && format.crop == 0 && read.height > 0) format.crop = format.resize = read.height;
  if (read.nms)
    warnings.push_back(
        fmt::format("{}: the file's own suppression (confidence {}, IoU {}, {} detections) is left out; "
                    "Marrow's own takes its place",
                    file, read.nms->confidence, read.nms->iou, read.nms->max_detections));

  const std::string task = read.detector ? task_name(task_of(decode_of(graph)->extra)) : "classify";
  const int stride = largest_stride(graph);
  TrainedModel result;
  result.weights = std::move(read.network.weights);
  const std::vector<std::string> names = names_of(file, proto, classes);
  try {
    result.model = model_of_graph(std::move(graph), task, names, stride);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", file, error.what()), {.file = file});
  }
  const auto take = [&](const char* key, const auto& parse) {
    const std::string* stored = proto.find_metadata(key);
    if (stored == nullptr) return;
    try {
      parse(*stored);
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: metadata '{}': {}", file, key, error.what()));
    }
  };
  take("thresholds", [&](const std::string& text) {
    result.model.thresholds = parse_thresholds(text, result.model.names.size());
  });
  take("tiles", [&](const std::string& text) { result.model.tiles = parse_tiles(text); });
  result.model.warnings = std::move(warnings);
  result.model.fixed_height = read.height;
  result.model.fixed_width = read.width;
  initialize_missing(result.model.graph, 0, result.weights);  // counters of batch norms
  return result;
}

std::vector<std::pair<std::string, std::string>> onnx_metadata(const Model& model, const std::string& name,
                                                               const onnx::ExportOptions& options) {
  const auto flag = [](bool value) { return value ? "True" : "False"; };
  std::vector<std::pair<std::string, std::string>> metadata = {
      {"description", fmt::format("Marrow {} model, exported for {}", name, model.task)},
      {"author", "Marrow"},
      {"version", options.version},
      {"stride", std::to_string(model.largest_stride)},
      {"task", model.task},
      {"batch", std::to_string(options.batch)},
      {"imgsz", fmt::format("[{}, {}]", options.height, options.width)},
      {"names", python_names(model.names)},
      {"args",
       fmt::format("{{'batch': {}, 'half': {}, 'dynamic': {}, 'opset': {}, 'nms': {}}}", options.batch,
                   flag(options.half), flag(options.dynamic), options.opset, flag(options.nms.has_value()))},
      {"channels", std::to_string(model.graph.nodes.front().channels)},
      {"input", input_format_text(std::get<Input>(model.graph.nodes.front().operation).format)}};
  if (const DetectDecode* decode = decode_of(model.graph))
    if (const int numbers = numbers_of_point(decode->extra); numbers > 1)
      metadata.emplace_back("kpt_shape", fmt::format("[{}, {}]", decode->extra_channels / numbers, numbers));
  if (!model.thresholds.empty()) metadata.emplace_back("thresholds", thresholds_text(model.thresholds));
  if (model.tiles.side > 0) metadata.emplace_back("tiles", tiles_text(model.tiles));
  return metadata;
}

}  // namespace marrow::model
