#include "support/common_options.h"

#include <fmt/format.h>

#include <utility>

#include "marrow/base/error.h"
#include "marrow/base/run_folder.h"
#include "marrow/base/task.h"
#include "marrow/base/text.h"
#include "marrow/geometry/input_format.h"
#include "marrow/train/recipe/train_options.h"
#include "training/train_flags.h"

namespace marrow::cli {
namespace {

std::vector<std::string> precision_names() {
  std::vector<std::string> names;
  for (const engine::Precision each : engine::kPrecisions) names.emplace_back(engine::precision_name(each));
  return names;
}

}  // namespace

Option& add_training_option(Command& command, std::string_view key, Target target) {
  const train::TrainOption& row = train::train_option(key);
  Option& option = row.flag ? command.flag(flag_of(row.key), std::move(target), row.help)
                            : command.option(flag_of(row.key), std::move(target), row.help);
  option.value = row.type;
  option.limits = row.limits;
  option.known = row.known;
  if (option.default_text.empty()) option.without(row.absence);
  return option;
}

void add_checkpoint(Command& command, std::string& model) {
  command.option("--model", &model, "Checkpoint: .safetensors, .pt, .pth, .pth.tar, .pdparams or .onnx")
      .or_place("MODEL")
      .required();
}

void add_model(Command& command, std::string& model) {
  command
      .option(
          "--model", &model,
          "A checkpoint, a YAML, or a name of 'marrow models' (yolov8n, yolov8n-starnet, efficientnet_b0)")
      .or_place("MODEL")
      .required();
}

ForeignFileOptions add_foreign_file(Command& command, model::ImportOptions& options) {
  options.model_flag = "--as";
  options.source_flag = "--weights-source";
  Option& model =
      command
          .option("--as", &options.model,
                  "For a foreign file: the network that it fills, a YAML or a name of 'marrow models'")
          .type("MODEL")
          .without("told by the file");
  Option& source = command
                       .option("--weights-source", &options.source,
                               "For a foreign file: the implementation that the weights come from, such as "
                               "timm or torchvision")
                       .type("NAME")
                       .without("told by the file");
  command
      .option("--norm-eps", &options.norm_eps,
              "For a foreign file that stores none (a bare state dict): eps of all batch norms")
      .type("EPS")
      .range(1e-12, 1)
      .without("the rule of its network");
  return {model, source};
}

void add_data_argument(Command& command, const std::string& name, std::string& data) {
  command.argument(name, &data, train::train_option("data").help).required();
}

void add_label_task(Command& command, std::string& task) {
  command.option("--task", &task, "What the labels are for: boxes, outlines, keypoints, or turned boxes")
      .choices(task_names());
}

void add_class_names(Command& command, std::vector<std::string>& names) {
  command.option("--names", &names, "Class names in the order wanted, separated by commas")
      .type("A,B,...")
      .without("the dataset's");
}

void add_threads(Command& command, int& threads) {
  add_training_option(command, "threads", &threads);
}

void add_seed(Command& command, uint64_t& seed) {
  add_training_option(command, "seed", &seed);
}

void add_engine(Command& command, engine::EngineOptions& options) {
  add_threads(command, options.threads);
  add_autotune(command, options.autotune);
  const auto take = [&options](const std::string& name) {
    for (const engine::Precision each : engine::kPrecisions)
      if (name == engine::precision_name(each)) {
        options.precision = each;
        return;
      }
    throw Error(ErrorKind::kUsage, "--precision: " + unknown_name_message("value", name, precision_names()));
  };
  command
      .option("--precision", take,
              "What convolutions multiply: float32, bf16, or int8 of a model that 'marrow quantize' made")
      .choices(precision_names())
      .without(std::string(engine::precision_name(options.precision)));
}

void add_autotune(Command& command, bool& autotune) {
  autotune = true;
  command.flag("--autotune", &autotune,
               "Choose kernels by measuring them once and remembering it, not by a fixed rule");
}

void add_deploy(Command& command, bool& deploy) {
  command.flag("--deploy", &deploy,
               "The network as 'marrow deploy' writes it: batch norms folded, layers merged");
}

void add_image_size(Command& command, std::vector<int>& size) {
  command.option("--imgsz", &size, "Network input in pixels: one number, or height,width")
      .type("PIXELS")
      .range(1, 16384)
      .at_most(2)
      .without(
          fmt::format("the file's own if it is fixed, or what it was trained at; {}; a classifier's own, "
                      "or {}",
                      train::kDetectionSize, kDefaultCrop));
}

void add_suppression(Command& command, Target confidence, float& iou, int& max_detections,
                     const std::string& absence) {
  const bool may_be_left_out = std::holds_alternative<std::optional<double>*>(confidence);
  Option& option = add_training_option(command, "conf", std::move(confidence));
  if (may_be_left_out)
    option.without(!absence.empty() ? absence
                                    : fmt::format("{}, or each class's own, where the model holds them "
                                                  "(marrow val --thresholds)",
                                                  detect::NmsOptions().confidence));
  add_training_option(command, "iou", &iou);
  add_training_option(command, "max_det", &max_detections);
}

void add_tiles(Command& command, TileFlags& tiles) {
  add_training_option(command, "tile", &tiles.side)
      .without("those that the model was trained on, else images are not cut");
  add_training_option(command, "overlap", &tiles.overlap)
      .without(fmt::format("that of the model's tiles, or {}", TileOptions().overlap));
}

void add_end_to_end(Command& command, bool& end2end) {
  command.flag("--end2end", &end2end,
               "The boxes that an end-to-end head (YOLO26, YOLOv10) chooses itself, without suppression");
}

void add_detection(Command& command, Target confidence, detect::NmsOptions& options, bool& end2end,
                   const std::string& absence) {
  add_end_to_end(command, end2end);
  add_suppression(command, std::move(confidence), options.iou, options.max_detections, absence);
  add_training_option(command, "agnostic_nms", &options.agnostic);
}

std::filesystem::path RunFolderOptions::make(const std::string& task) const {
  const auto folder = project.empty() ? std::filesystem::path("runs") / task : std::filesystem::path(project);
  return make_run_folder(folder, name, exist_ok);
}

void add_run_folder(Command& command, RunFolderOptions& options) {
  add_training_option(command, "project", &options.project);
  add_training_option(command, "name", &options.name);
  add_training_option(command, "exist_ok", &options.exist_ok);
}

void add_output(Command& command, std::string& output, const std::string& type, const std::string& absence) {
  command.option("-o,--output", &output, "The file to write").type(type).without(absence);
}

void add_fast_decode(Command& command, bool& fast_decode) {
  command.flag(
      "--fast-decode", &fast_decode,
      "Decode JPEGs at a half, a quarter or an eighth where the network shrinks them as much: quicker, "
      "but boxes move a little, and saved images are as small");
}

void add_json(Command& command, bool& as_json) {
  command.flag("--json", &as_json, "Print one JSON object on stdout; all else goes to stderr");
}

void add_seconds(Command& command, double& seconds) {
  command.option("--seconds", &seconds, "How long to measure each network and setting").range(0, 3600);
}

}  // namespace marrow::cli
