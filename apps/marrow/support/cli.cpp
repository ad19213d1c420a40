#include "support/cli.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "marrow/base/error.h"
#include "marrow/base/run_folder.h"
#include "marrow/base/text.h"
#include "marrow/predict/classifier_input.h"
#include "marrow/train/recipe/train_options.h"

namespace marrow::cli {

CLI::Validator in_range(double smallest, double largest) {
  const auto refusal = [=](const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    const bool number = end != text.c_str() && *end == '\0';
    return number && value >= smallest && value <= largest
               ? std::string()
               : fmt::format("'{}' is not a number from {} to {}", text, smallest, largest);
  };
  return {refusal, fmt::format("{}..{}", smallest, largest)};
}

void add_threads_option(CLI::App& command, int& threads) {
  constexpr int kMostThreads = 1024;
  command.add_option("--threads", threads, "Threads; 0 = every core this process may use")
      ->check(in_range(0, kMostThreads))
      ->capture_default_str();
}

void add_no_deploy_flag(CLI::App& command, bool& deploy) {
  command.add_flag_callback(
      "--no-deploy", [&deploy] { deploy = false; },
      "Take the network as it was trained, without folding and merging its layers [default: off]");
}

void add_autotune_flag(CLI::App& command, bool& autotune) {
  autotune = true;
  command.add_flag_callback(
      "--no-autotune", [&autotune] { autotune = false; },
      "Choose kernels by a fixed rule, not by measuring them once and remembering it [default: off]");
}

void add_engine_options(CLI::App& command, EngineOptions& options) {
  add_threads_option(command, options.threads);
  add_autotune_flag(command, options.autotune);

  std::vector<std::string> names;
  for (const Precision each : kPrecisions) names.emplace_back(precision_name(each));
  command
      .add_option_function<std::string>(
          "--precision",
          [&options](const std::string& name) {
            for (const Precision each : kPrecisions)
              if (name == precision_name(each)) options.precision = each;
          },
          "What convolutions multiply: float32, bf16, or int8 of a model that 'marrow quantize' made")
      ->check(CLI::IsMember(names))
      ->default_str("float32")
      ->type_name("NAME");
}

void add_image_size_option(CLI::App& command, std::vector<int>& size) {
  constexpr int kSmallest = 1;
  constexpr int kLargest = 16384;
  command
      .add_option(
          "--imgsz", size,
          fmt::format("Network input in pixels: one number, or height,width [default: the file's own if it "
                      "is fixed, or what it was trained at; {}; a classifier's own, or {}]",
                      train::kDetectionSize, predict::kDefaultCrop))
      ->delimiter(',')
      ->expected(1, 2)
      ->check(in_range(kSmallest, kLargest))
      ->type_name("PIXELS");
}

std::filesystem::path RunFolderOptions::make(const std::string& task) const {
  const auto folder = project.empty() ? std::filesystem::path("runs") / task : std::filesystem::path(project);
  return make_run_folder(folder, name, exist_ok);
}

void add_run_folder_options(CLI::App& command, RunFolderOptions& options) {
  const std::string by_task = options.project.empty() ? " [default: runs/detect or runs/classify]" : "";
  command.add_option("--project", options.project, "Folder around the run folders" + by_task)
      ->capture_default_str()
      ->type_name("FOLDER");
  command.add_option("--name", options.name, "Run folder; a number is appended when it exists")
      ->capture_default_str();
  command.add_flag("--exist-ok", options.exist_ok,
                   "Write into the run folder even when it exists [default: off]");
}

void add_detection_options(CLI::App& command, NmsOptions& options) {
  command.add_option("--conf", options.confidence, "Confidence above which a detection counts, 0..1")
      ->check(in_range(0.0, 1.0))
      ->capture_default_str();
  command
      .add_option("--iou", options.iou, "Overlap (IoU) above which the weaker of two boxes is dropped, 0..1")
      ->check(in_range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--max-det", options.max_detections, "Most detections per picture")
      ->check(in_range(1, 1'000'000))
      ->capture_default_str();
  command.add_flag("--agnostic-nms,!--no-agnostic-nms", options.agnostic,
                   "Boxes suppress each other across classes [default: off]");
}

void add_foreign_file_options(CLI::App& command, ImportOptions& options) {
  options.model_flag = "--as";
  options.source_flag = "--weights-source";
  command
      .add_option("--as", options.model,
                  "For a foreign file whose network is not plain: the model it holds (as 'marrow import "
                  "--model') [default: told by the file]")
      ->type_name("MODEL");
  command
      .add_option("--weights-source", options.source,
                  "For a foreign file: the implementation it comes from (as 'marrow import --source') "
                  "[default: told by the file]")
      ->type_name("NAME");
}

void check_output_file(const std::filesystem::path& output, const std::string& suffix,
                       const std::string& kind, const std::filesystem::path& input) {
  if (output.extension() != suffix)
    throw Error(ErrorKind::kUsage,
                fmt::format("{}: the name of {} ends in {}", output.string(), kind, suffix));
  std::error_code ignored;
  if (std::filesystem::equivalent(output, input, ignored))
    throw Error(ErrorKind::kUsage,
                output.string() + ": this is the file that is read, and would be lost; write to another");
}

bool is_checkpoint_path(const std::string& model) {
  const std::filesystem::path path = model;
  const std::string suffix = to_lower(path.extension().string());
  if (suffix == ".yaml" || suffix == ".yml") return false;
  std::error_code ignored;
  return has_checkpoint_suffix(path) || std::filesystem::is_regular_file(path, ignored);
}

void set_example(CLI::App& command, const std::string& example) {
  command.footer("\nExample:\n  " + example);
}

}  // namespace marrow::cli
