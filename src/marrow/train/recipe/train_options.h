// Every setting of a training run. One table holds their names, types, ranges and help texts; flags, --cfg
// files, args.yaml and checkpoints all go through it. Defaults are those of a fresh TrainOptions.
//
// Names and meanings are those that users of YOLOv8 know; a name from there that means nothing here is
// accepted in a file and reported, not obeyed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "marrow/base/rules.h"

namespace marrow::train {

inline constexpr int kDetectionSize = 640;  // pixels; what YOLOv8 detectors are trained with
inline constexpr int kDefaultBatch = 16;
inline constexpr double kMultiScaleTrue = -1;
inline constexpr std::string_view kFeatureCache = "features";   // of `cache`
inline constexpr std::string_view kWholeBackbone = "backbone";  // of `freeze`
inline constexpr int kSyncBelow = 16;  // images of a worker's batch: `sync_bn` is on below it
inline constexpr double kLargestRate = 1000;
inline constexpr double kSecondsPerHour = 3600;  // of `time`
inline constexpr double kBoxGain = 7.5, kClassGain = 0.5, kDflGain = 1.5;
inline constexpr double kPoseGain = 12, kVisibilityGain = 1, kAngleGain = 1;

struct TrainOptions {
  std::string model;
  std::string backbone;
  std::string data;
  int epochs = 100;
  std::optional<double> time_hours;
  int patience = 100;
  int batch = kDefaultBatch;  // -1: kDefaultBatch, or what batch_memory holds
  double batch_memory = 0;    // of the memory that is free, for batch -1; 0: no matter
  int imgsz = 0;              // pixels; 0: kDetectionSize, or a classifier's own crop
  bool save = true;
  int save_period = -1;
  std::string cache = "false";
  double cache_limit = 0;  // MB; 0: half of the free memory, for shards kDefaultShardLimit
  int cache_variants = 8;  // of each training image, with kFeatureCache
  std::string device;
  int workers = 8;
  int threads = 0;
  int nproc = 1;                // workers on this machine, each a process
  std::optional<bool> sync_bn;  // none: as kSyncBelow says
  std::string reduce_type = "fp32";
  double dist_timeout = 120;  // seconds
  std::string project;
  std::string name = "train";
  bool exist_ok = false;
  std::string pretrained = "true";
  bool cls_remap = true;
  std::string rules = std::string(rules_name(kDefaultRules));
  std::string optimizer = "auto";
  bool verbose = true;
  uint64_t seed = 0;
  bool deterministic = true;
  bool single_cls = false;
  bool rect = false;
  int tile = 0;          // pixels; 0: images are not cut
  double overlap = 0.2;  // of neighbouring tiles
  bool cos_lr = false;
  int close_mosaic = 10;
  std::string amp = "true";
  bool channels_last = false;
  std::vector<double> fraction = {1};  // of train, val, test: up to 1 a share, above it a number of images
  std::vector<std::string> freeze;     // each freezes the names with "model.<this>." in them; kWholeBackbone
  double multi_scale = 0;              // kMultiScaleTrue: what `true` stands for
  std::vector<std::string> classes;    // numbers or names; empty: all
  double dropout = 0.0;
  double act_decay_epochs = 0;
  std::string act_decay = "linear";

  bool val = true;
  int val_every = 1;  // epochs
  std::string best_metric = "fitness";
  std::string split = "val";
  bool save_json = false;
  std::optional<double> conf;
  double iou = 0.7;
  int max_det = 300;
  bool agnostic_nms = false;
  bool plots = true;

  double lr0 = 0.01;
  double lrf = 0.01;
  double momentum = 0.937;
  double weight_decay = 0.0005;
  double warmup_epochs = 3.0;
  double warmup_momentum = 0.8;
  double warmup_bias_lr = 0.1;
  double box = kBoxGain;
  double cls = kClassGain;
  double dfl = kDflGain;
  double cls_pw = 0;
  double pose = kPoseGain;
  double kobj = kVisibilityGain;
  double angle = kAngleGain;
  bool overlap_mask = true;
  int mask_ratio = 4;
  int nbs = 64;

  double hsv_h = 0.015;
  double hsv_s = 0.7;
  double hsv_v = 0.4;
  double degrees = 0.0;
  double translate = 0.1;
  std::vector<double> scale = {0.5};  // either way; or the smallest and the largest factor
  double shear = 0.0;
  double perspective = 0.0;
  double flipud = 0.0;
  double fliplr = 0.5;
  double bgr = 0.0;
  double mosaic = 1.0;
  double mixup = 0.0;
  double cutmix = 0.0;
  double copy_paste = 0.0;
  std::string copy_paste_mode = "flip";
  std::string auto_augment = "randaugment";
  double erasing = 0.4;
  double label_smoothing = 0.0;
};

struct TrainOption {
  enum class Suits { kEveryTask, kDetectors, kClassifiers };

  std::string key;    // "warmup_epochs"; the option is --warmup-epochs
  std::string group;  // heading in --help
  std::string type;   // what a value is called: "FILE"; empty where the limits or the known values say it
  std::string help;
  bool flag = false;                                     // true or false, or another of `known` or `limits`
  std::optional<std::pair<double, double>> limits = {};  // of a number
  std::vector<std::string> known = {};                   // the values there are
  std::string absence = {};                              // what none stands for
  Suits suits = Suits::kEveryTask;                       // without effect on the others
  bool resumable = false;                                // a resumed run may change it
  // The value as a line of YAML has it; "null" for none.
  std::function<std::string(const TrainOptions&)> text;
  // From such a text, in Python's spelling too (None, True); none stands for the default where it has no
  // other meaning. Throws Error{kUsage} "lr0: ..., wanted 0..1".
  std::function<void(TrainOptions&, std::string_view)> set;
};

const std::vector<TrainOption>& train_option_table();

// The smallest and the largest zoom that `scale` allows.
std::pair<double, double> zoom_range(const TrainOptions& options);

// Each batch has a size of imgsz (1 - this) to imgsz (1 + this).
double multi_scale_share(const TrainOptions& options);

// How many of n images of a split ("train", "val", "test") `fraction` keeps; at least one.
size_t images_kept(const TrainOptions& options, std::string_view split, size_t n);

// The row of a key that there is.
const TrainOption& train_option(std::string_view key);

// Sets one option by name. Throws Error{kUsage} for a value that does not fit, and for an unknown key, with
// the nearest one.
void set_train_option(TrainOptions& options, std::string_view key, std::string_view text);

// Reads a YAML of `key: value` lines over `options`. Returns one line for each known key that means nothing
// here and has a value that would have mattered. Throws Error{kFile, kFormat, kUsage} "file:line: ...".
std::vector<std::string> read_train_options(const std::filesystem::path& path, TrainOptions& options);

// All options in the table's order as YAML, with `more` (key, value text) after them: args.yaml.
std::string to_yaml(const TrainOptions& options, const std::map<std::string, std::string>& more = {});

// The same as key -> text, and back: for checkpoints. Unknown keys and values that do not fit throw
// Error{kFormat} beginning with `where`.
std::map<std::string, std::string> to_map(const TrainOptions& options);
TrainOptions train_options_of(const std::map<std::string, std::string>& texts, const std::string& where);

}  // namespace marrow::train
