// Options that several commands have, so that each has the same name, help and values in all of them. Those
// that training has too are rows of its table (train/recipe/train_options.h).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "command_line/command_line.h"
#include "marrow/detect/nms.h"
#include "marrow/engine/engine.h"
#include "marrow/model/import.h"

namespace marrow::cli {

// The option that training's table has under this key, for a variable of the command, whose value is the
// default.
Option& add_training_option(Command& command, std::string_view key, Target target);

// MODEL, or --model MODEL: a checkpoint.
void add_checkpoint(Command& command, std::string& model);
// MODEL, or --model MODEL: a checkpoint, a YAML or a name.
void add_model(Command& command, std::string& model);
// --as and --weights-source, which say what a foreign file does not.
struct ForeignFileOptions {
  Option& model;
  Option& source;
};
ForeignFileOptions add_foreign_file(Command& command, model::ImportOptions& options);

// DATA as an argument, in place of --data.
void add_data_argument(Command& command, const std::string& name, std::string& data);
// --task of a dataset's labels: "detect" and so on.
void add_label_task(Command& command, std::string& task);
// --names, which replace a dataset's class names.
void add_class_names(Command& command, std::vector<std::string>& names);

void add_threads(Command& command, int& threads);
void add_seed(Command& command, uint64_t& seed);
// --threads, --precision and --autotune of the CPU engine, which the programs tune unless told otherwise.
void add_engine(Command& command, engine::EngineOptions& options);
void add_autotune(Command& command, bool& autotune);
// --deploy: run the passes first.
void add_deploy(Command& command, bool& deploy);
// --imgsz, the network's input size: one number (square) or height,width.
void add_image_size(Command& command, std::vector<int>& size);
// --conf, --iou, --max-det. Of a confidence that may be left out, the model's own thresholds take the place,
// or what `absence` says.
void add_suppression(Command& command, Target confidence, float& iou, int& max_detections,
                     const std::string& absence = {});
// --tile and --overlap, which may be left out: then a model's own take their place (open_model.h).
struct TileFlags {
  std::optional<int> side;
  std::optional<double> overlap;
};
void add_tiles(Command& command, TileFlags& tiles);
// --end2end.
void add_end_to_end(Command& command, bool& end2end);
// These, --agnostic-nms and --end2end.
void add_detection(Command& command, Target confidence, detect::NmsOptions& options, bool& end2end,
                   const std::string& absence = {});

// The folder that a command leaves its results in.
struct RunFolderOptions {
  std::string project;  // empty: runs/TASK
  std::string name;
  bool exist_ok = false;

  std::filesystem::path make(const std::string& task = {}) const;
};

// --project, --name and --exist-ok.
void add_run_folder(Command& command, RunFolderOptions& options);

// --output; `absence` is what happens without it.
void add_output(Command& command, std::string& output, const std::string& type, const std::string& absence);
void add_fast_decode(Command& command, bool& fast_decode);
void add_json(Command& command, bool& as_json);
// How long something is measured.
void add_seconds(Command& command, double& seconds);

}  // namespace marrow::cli
