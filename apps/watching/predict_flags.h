// The options of whatever finds objects in images or videos. Two programs declare them: marrow, and
// marrow-video, which it starts for videos.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "command_line/command_line.h"
#include "marrow/model/import.h"
#include "marrow/predict/detector.h"
#include "support/common_options.h"

namespace marrow::cli {

struct PredictFlags {
  std::string model;
  model::ImportOptions import;
  std::string source;
  std::vector<int> imgsz;
  std::optional<double> confidence;
  detect::NmsOptions nms;
  bool end2end = false;
  TileFlags tiles;
  std::vector<std::string> classes;
  bool rect = true;
  bool fast_decode = false;
  bool retina_masks = false;
  bool save = true;
  bool save_txt = false;
  bool save_conf = false;
  bool save_crop = false;
  bool save_dota = false;
  bool save_frames = false;
  int vid_stride = 1;
  bool stream_buffer = false;
  RunFolderOptions folder{.name = "predict"};
  bool as_json = false;
  engine::EngineOptions engine;
};

// All but the model and the confidence, which not every command asks for in the same way.
void declare_frame_flags(Command& command, PredictFlags& flags);
// Of `predict`.
void declare_predict_flags(Command& command, PredictFlags& flags);

// Throws Error{kUsage} where an option does not fit the model.
predict::DetectorOptions detector_options(const PredictFlags& flags, const model::Model& model);

}  // namespace marrow::cli
