// marrow export: a model for other runtimes, proved before it is left behind.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <system_error>

#include "commands/commands.h"
#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/detect/sources.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/image/decode.h"
#include "marrow/model/import.h"
#include "marrow/model/onnx_model.h"
#include "marrow/onnx/write/export_int8.h"
#include "marrow/predict/input_size.h"
#include "marrow/predict/output_difference.h"
#include "marrow/weights/checkpoint_file.h"
#include "marrow/weights/safetensors.h"
#include "marrow/weights/torch/torch_writer.h"
#include "support/common_options.h"
#include "support/export_check.h"
#include "support/open_model.h"
#include "support/output_file.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string model;
  std::string format = "onnx";
  std::string output;
  std::vector<int> imgsz;
  int batch = 1;
  int opset = 13;
  bool dynamic = false;
  bool half = false;
  bool int8 = false;
  bool nms = false;
  bool end2end = false;
  onnx::ExportNms suppression;
  std::optional<double> confidence;
  bool deploy = true;
  std::string source;
  double tolerance = 0;  // 0: by the format
  int threads = 0;
  model::ImportOptions import;
};

constexpr double kFloatTolerance = 1e-3, kHalfTolerance = 3e-2;

fs::path output_path(const Options& options) {
  const std::string suffix = options.format == "torch" ? ".pt" : "." + options.format;
  fs::path output = options.output;
  if (output.empty()) {
    output = fs::path(options.model);
    // A checkpoint's own name is not taken from it.
    const bool same = output.extension() == suffix;
    output.replace_filename(output.stem().string() + (same ? "-export" : "") + suffix);
  }
  check_output_file(output, suffix, "a file of format " + options.format, options.model);
  return output;
}

// What the forms are compared on; none: what the program draws.
std::vector<image::Image> images_of(const Options& options, const ImageReading& reading) {
  std::vector<image::Image> pictures;
  if (options.source.empty()) return pictures;
  for (const fs::path& path : detect::expand_sources(options.source)) {
    pictures.push_back(image::decode_image_file(path, {.fit = {}, .reading = reading}).image);
    if (static_cast<int>(pictures.size()) == std::max(options.batch, 2)) break;
  }
  return pictures;
}

// A file that takes its name only when it was found right, and is gone otherwise.
class Draft {
 public:
  explicit Draft(fs::path wanted) : wanted_(std::move(wanted)), path_(wanted_) {
    path_.replace_filename(
        fmt::format(".{}.{}{}", wanted_.stem().string(), ::getpid(), wanted_.extension().string()));
  }
  ~Draft() {
    std::error_code ignored;
    if (!kept_) fs::remove(path_, ignored);
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  const fs::path& path() const { return path_; }
  // Writes it; an error names the file that is wanted.
  void write(const std::function<void(const fs::path&)>& write) const {
    try {
      write(path_);
    } catch (const Error& error) {
      std::string message = error.what();
      if (message.starts_with(path_.string())) message.replace(0, path_.string().size(), wanted_.string());
      throw Error(error.kind(), message);
    }
  }
  void keep() {
    std::error_code error;
    fs::rename(path_, wanted_, error);
    if (error)
      throw Error(ErrorKind::kFile,
                  fmt::format("{}: cannot be written: {}", wanted_.string(), error.message()));
    kept_ = true;
  }

 private:
  fs::path wanted_, path_;
  bool kept_ = false;
};

// Size, batch and so on, as the file will have them.
onnx::ExportOptions onnx_options(const Options& options, const model::Model& model) {
  onnx::ExportOptions result;
  result.opset = options.opset;
  result.batch = options.batch;
  const auto [width, height] = predict::input_size(options.model, model, options.imgsz);
  result.height = height;
  result.width = width;
  result.dynamic = options.dynamic;
  result.half = options.half;
  result.int8 = options.int8;
  if (options.nms) {
    result.nms = options.suppression;
    if (options.confidence)
      result.nms->confidence = static_cast<float>(*options.confidence);
    else
      result.nms->class_confidence = model.thresholds;
  }
  result.max_detections = options.suppression.max_detections;
  result.version = MARROW_VERSION;
  result.name = fs::path(options.model).stem().string();
  result.metadata = model::onnx_metadata(model, result.name, result);
  return result;
}

void export_onnx(const Options& options, const model::TrainedModel& trained, const fs::path& output) {
  passes::GraphWithWeights network{trained.model.graph, trained.weights};
  network.graph.taps.clear();  // nothing in the file reads them
  network = passes::keep_one_decode(network, options.end2end);
  if (options.deploy) network = passes::deploy(network, {.threads = options.threads});
  const onnx::ExportOptions how = onnx_options(options, trained.model);
  Draft draft(output);
  const onnx::ModelProto exported = onnx::export_model(network, how);
  draft.write([&](const fs::path& path) { onnx::write_model(path, exported); });

  // Readers that compute in float32 see the weights rounded, and nothing else.
  if (options.int8) network = onnx::with_int8_weights(network);
  const ExportCheck check = check_export(draft.path(), network, how,
                                         images_of(options, image_reading(network.graph)), options.threads);
  double worst = 0;
  for (const std::string& name : check.passed) fmt::print("{}: accepts the file\n", name);
  if (check.contrast < 1)
    fmt::print("on drawn images of contrast 1/{:.0f}, so that rounding does not decide:\n",
               1 / check.contrast);
  for (const ExportCheck::Run& run : check.runs) {
    fmt::print("{}: differs by {:.2e} of the largest output\n", run.what, run.difference);
    worst = std::max(worst, run.difference);
  }
  for (const std::string& what : check.not_run) fmt::print("not run: {}\n", what);
  const double tolerance = options.tolerance > 0 ? options.tolerance
                           : options.half        ? kHalfTolerance
                                                 : kFloatTolerance;
  if (!(worst <= tolerance)) {
    throw Error(ErrorKind::kModel,
                fmt::format("{}: the exported network differs by {:.2e} of the largest "
                            "output, --tolerance is {:.2e}; nothing "
                            "was written.{}",
                            options.model, worst, tolerance,
                            predict::sensitivity_note(check.sensitivity, tolerance,
                                                      options.source.empty() ? "--source" : "")));
  }
  draft.keep();
  fmt::print("largest difference: {:.2e}\n", worst);
}

// The published names, without what published files do not have.
void export_state_dict(const Options& options, const model::TrainedModel& trained, const fs::path& output) {
  Weights state;
  for (const Parameter& parameter : trained.model.graph.parameters)
    if (const auto found = trained.weights.find(parameter.name); found != trained.weights.end() &&
                                                                 parameter.role != ParameterRole::kScalar &&
                                                                 parameter.role != ParameterRole::kFixed)
      state.insert(*found);
  Draft draft(output);
  draft.write([&](const fs::path& path) {
    if (options.format == "torch")
      weights::write_torch_state_dict(path, state);
    else
      weights::write_safetensors(path, state, {{"format", "pt"}});
  });
  const weights::Checkpoint read = weights::read_checkpoint(draft.path());
  for (const auto& [name, tensor] : state) {
    const auto back = read.state.find(name);
    if (back == read.state.end() || back->second.shape() != tensor.shape() ||
        back->second.dtype() != tensor.dtype() ||
        !std::equal(tensor.bytes(), tensor.bytes() + tensor.byte_size(), back->second.bytes()))
      throw Error(ErrorKind::kModel, fmt::format("{}: tensor '{}' comes back another; nothing was written",
                                                 output.string(), name));
  }
  draft.keep();
  fmt::print("{} tensors, read back equal\n", state.size());
}

void refuse_onnx_options(const Options& options) {
  if (options.dynamic || options.half || options.int8 || options.nms || !options.imgsz.empty() ||
      options.batch != 1)
    throw Error(
        ErrorKind::kUsage,
        fmt::format("--format {} holds weights alone: --imgsz, --batch, --dynamic, --half, --int8 and --nms "
                    "are for onnx",
                    options.format));
}

int export_model_file(const Options& options) {
  const fs::path output = output_path(options);
  if (options.format != "onnx") refuse_onnx_options(options);
  const model::TrainedModel trained = open_checkpoint(options.model, options.import);
  if (options.format != "onnx") {
    export_state_dict(options, trained, output);
  } else {
    if (options.nms && trained.model.task == "classify")
      throw Error(ErrorKind::kUsage, options.model + ": a classifier; --nms is for detectors");
    export_onnx(options, trained, output);
  }
  fmt::print("written: {}\n", output.string());
  return 0;
}

}  // namespace

void declare_export(Command& command) {
  auto options = std::make_shared<Options>();
  command.summary("Write a model for other runtimes, and prove it equal");
  add_checkpoint(command, options->model);
  command
      .option("--format", &options->format,
              "onnx; torch or safetensors: the trained weights alone, under their published names")
      .choices({"onnx", "torch", "safetensors"});
  add_output(command, options->output, "FILE", "MODEL with the format's suffix");
  add_image_size(command, options->imgsz);
  command.option("--batch", &options->batch, "Images at once, where the size is fixed").range(1, 4096);
  command.option("--opset", &options->opset, "Version of ONNX's operators")
      .range(onnx::kMinOpset, onnx::kMaxOpset);
  command.flag("--dynamic", &options->dynamic, "Any batch and image size");
  command.flag("--int8", &options->int8,
               "The int8 layers of a model that 'marrow quantize' made as such, with QuantizeLinear and "
               "DequantizeLinear; opset 13");
  command.flag("--half", &options->half, "float16 weights and input; a detector's decode stays in float32");
  command.flag(
      "--nms", &options->nms,
      "Suppression in the file, by --conf, --iou and --max-det: output (1, max-det, 6) of x1 y1 x2 y2 "
      "confidence class, and of a mask's coefficients or keypoints behind them; of turned boxes (1, "
      "max-det, 7) of cx cy w h confidence class angle");
  add_end_to_end(command, options->end2end);
  add_suppression(command, &options->confidence, options->suppression.iou,
                  options->suppression.max_detections);
  command
      .option("--source", &options->source,
              "Images on which the file is compared with the model: an image, a folder, a pattern or a list")
      .type("PATH")
      .without("drawn ones");
  command
      .option("--tolerance", &options->tolerance,
              "Write nothing when an output differs by more than this share of its largest value")
      .range(0, 1)
      .without("0.001; 0.03 with --half");
  add_deploy(command, options->deploy);
  add_foreign_file(command, options->import);
  add_threads(command, options->threads);
  command.example("marrow export best.safetensors --format onnx --imgsz 640 --dynamic -o best.onnx");
  command.action([options] { return export_model_file(*options); });
}

}  // namespace marrow::cli
