// The rows of the table.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <iterator>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/train/recipe/option_text.h"
#include "marrow/train/recipe/train_options.h"

namespace marrow::train {
namespace {

constexpr double kMany = 1'000'000;
constexpr double kLargestSeed = 9007199254740992.0;  // 2^53, which a double holds

[[noreturn]] void refuse(const std::string& key, std::string_view text, const std::string& wanted) {
  throw Error(ErrorKind::kUsage, fmt::format("{}: '{}' is not {}", key, printable(text), wanted));
}

std::string number_text(double value) {
  return fmt::format("{}", value);
}

// Builds the table, one call a row.
class Table {
 public:
  // A row, and what else may be said of it.
  class Row {
   public:
    explicit Row(TrainOption& option) : option_(option) {}
    Row& none(std::string what) {
      option_.absence = std::move(what);
      return *this;
    }
    Row& detectors() {
      option_.suits = TrainOption::Suits::kDetectors;
      return *this;
    }
    Row& classifiers() {
      option_.suits = TrainOption::Suits::kClassifiers;
      return *this;
    }
    Row& resumable() {
      option_.resumable = true;
      return *this;
    }

   private:
    TrainOption& option_;
  };

  void group(std::string name) { group_ = std::move(name); }

  template <class Number>  // int, uint64_t or double
  Row number(const std::string& key, Number TrainOptions::*member, double low, double high,
             const std::string& help) {
    return limited(
        key, low, high, help,
        [=](const TrainOptions& o) { return number_text(static_cast<double>(o.*member)); },
        [=](TrainOptions& o, std::string_view text) {
          o.*member = static_cast<Number>(parse(key, text, low, high, !std::is_floating_point_v<Number>));
        });
  }

  Row optional_number(const std::string& key, std::optional<double> TrainOptions::*member, double low,
                      double high, const std::string& help) {
    return limited(
        key, low, high, help,
        [=](const TrainOptions& o) { return o.*member ? number_text(*(o.*member)) : "null"; },
        [=](TrainOptions& o, std::string_view text) {
          if (is_none(text))
            (o.*member).reset();
          else
            o.*member = parse(key, text, low, high, false);
        });
  }

  // 0 stands for none.
  Row number_or_none(const std::string& key, int TrainOptions::*member, double low, double high,
                     const std::string& help) {
    return limited(
        key, low, high, help,
        [=](const TrainOptions& o) { return o.*member == 0 ? "null" : std::to_string(o.*member); },
        [=](TrainOptions& o, std::string_view text) {
          o.*member = is_none(text) ? 0 : static_cast<int>(parse(key, text, low, high, true));
        });
  }

  Row flag(const std::string& key, bool TrainOptions::*member, const std::string& help) {
    const Row row = add(
        key, "", help, [=](const TrainOptions& o) { return o.*member ? "true" : "false"; },
        [=](TrainOptions& o, std::string_view text) {
          const std::optional<bool> value = parse_truth(text);
          if (!value) refuse(key, text, "true or false");
          o.*member = *value;
        });
    rows_.back().flag = true;
    return row;
  }

  Row text(const std::string& key, std::string TrainOptions::*member, const std::string& type,
           const std::string& help) {
    return add(
        key, type, help, [=](const TrainOptions& o) { return yaml_text(o.*member); },
        [=](TrainOptions& o, std::string_view value) {
          o.*member = is_none(value) ? "" : std::string(value);
        });
  }

  Row choice(const std::string& key, std::string TrainOptions::*member, const std::vector<std::string>& known,
             const std::string& help) {
    const Row row = add(
        key, "", help, [=](const TrainOptions& o) { return o.*member; },
        [=](TrainOptions& o, std::string_view value) {
          for (const std::string& name : known)
            if (to_lower(name) == to_lower(value) || (name == "none" && is_none(value))) {
              o.*member = name;
              return;
            }
          throw Error(ErrorKind::kUsage, key + ": " + unknown_name_message("value", printable(value), known));
        });
    rows_.back().known = known;
    return row;
  }

  Row add(std::string key, std::string type, std::string help,
          std::function<std::string(const TrainOptions&)> text,
          std::function<void(TrainOptions&, std::string_view)> set) {
    TrainOption& row = rows_.emplace_back();
    row.key = std::move(key);
    row.group = group_;
    row.type = std::move(type);
    row.help = std::move(help);
    row.text = std::move(text);
    row.set = std::move(set);
    return Row(row);
  }

  std::vector<TrainOption> take() {
    return {std::make_move_iterator(rows_.begin()), std::make_move_iterator(rows_.end())};
  }

 private:
  Row limited(const std::string& key, double low, double high, const std::string& help,
              std::function<std::string(const TrainOptions&)> text,
              std::function<void(TrainOptions&, std::string_view)> set) {
    const Row row = add(key, "", help, std::move(text), std::move(set));
    rows_.back().limits = {low, high};
    return row;
  }

  static double parse(const std::string& key, std::string_view text, double low, double high, bool whole) {
    const std::optional<double> value = parse_number(text);
    if (!value || *value < low || *value > high || (whole && *value != std::floor(*value)))
      refuse(key, text, fmt::format("a {}number from {} to {}", whole ? "whole " : "", low, high));
    return *value;
  }

  std::string group_;
  std::deque<TrainOption> rows_;
};

// "10": the first ten layers. "[0, 2, 5]" or "0,2,5": these.
std::vector<int> parse_layers(std::string_view text) {
  constexpr int kMostLayers = 1000;
  std::vector<int> layers;
  if (is_none(text)) return layers;
  const bool list = text.find(',') != std::string_view::npos || text.starts_with('[');
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  std::string_view rest = text;
  while (true) {
    const size_t comma = rest.find(',');
    std::string_view item = rest.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    const std::optional<double> number = parse_number(item);
    if (!number || *number != std::floor(*number) || *number < 0 || *number >= kMostLayers)
      refuse("freeze", text, "a number of layers, or a list of their indices");
    layers.push_back(static_cast<int>(*number));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (list) return layers;
  const int count = layers.front();
  layers.clear();
  for (int i = 0; i < count; ++i) layers.push_back(i);
  return layers;
}

std::vector<TrainOption> make_table() {
  using O = TrainOptions;
  Table t;
  t.group("What to train");
  t.text("model", &O::model, "MODEL",
         "A name of 'marrow models', a model YAML, or a checkpoint whose weights training starts from")
      .none("none; a run needs one")
      .resumable();
  t.text("backbone", &O::backbone, "NAME",
         "Replaces the model's backbone: a classifier's name of 'marrow models'")
      .none("the model's own");
  t.text("data", &O::data, "PATH",
         "The dataset: its YAML, a COCO JSON file, or a folder (boxes, or one folder a class)")
      .none("none; a run needs one");
  t.text("pretrained", &O::pretrained, "true|false|FILE",
         "Start from the weights of MODEL when it is a checkpoint; FILE: start from these, where names and "
         "shapes fit");
  t.add(
       "freeze", "N|[I,...]", "Do not train the first N layers, or the layers of these indices",
       [](const O& o) {
         return o.freeze.empty() ? std::string("null") : fmt::format("[{}]", fmt::join(o.freeze, ", "));
       },
       [](O& o, std::string_view text) { o.freeze = parse_layers(text); })
      .none("none");
  t.flag("single_cls", &O::single_cls, "Treat all classes as one").detectors();
  t.number("fraction", &O::fraction, 0, 1,
           "Share of the training images to use, the first ones of the sorted list");

  t.group("How long");
  t.number("epochs", &O::epochs, 1, kMany, "Passes over the training images");
  t.optional_number("time", &O::time_hours, 0, kMany, "Hours to train; overrides epochs")
      .none("by epochs")
      .resumable();
  t.number("patience", &O::patience, 0, kMany,
           "Stop after so many epochs without a better fitness; 0 = never")
      .resumable();

  t.group("Batches and machine");
  t.add(
      "batch", "1..65536|-1", fmt::format("Images a batch; -1 = {}", kDefaultBatch),
      [](const O& o) { return std::to_string(o.batch); },
      [](O& o, std::string_view text) {
        const std::optional<double> value = parse_number(text);
        if (!value || *value != std::floor(*value) || *value < -1 || *value == 0 || *value > 65536)
          refuse("batch", text, fmt::format("a whole number from 1 to 65536, or -1 for {}", kDefaultBatch));
        o.batch = static_cast<int>(*value);
      });
  t.number_or_none("imgsz", &O::imgsz, 32, 16384,
                   "Side of the square network input, pixels; a detector's is rounded up to the stride")
      .none(fmt::format("{}; a classifier's own, mostly 224", kDetectionSize));
  t.flag("rect", &O::rect,
         "Batches of images of like shape, padded only as far as needed; no mosaic, no shuffling")
      .detectors();
  t.flag("multi_scale", &O::multi_scale, "Each batch at a random size of 0.5 to 1.5 times imgsz").detectors();
  t.choice(
       "cache", &O::cache, {"false", "ram", "disk", "true"},
       "Keep the decoded images in memory whatever that takes (ram, true), or when they take at most half "
       "of it (false, disk); never changes the result")
      .resumable();
  t.text("device", &O::device, "cpu|cuda[:N]", "Where to compute")
      .none("CUDA where there is one, else the CPU")
      .resumable();
  t.number("workers", &O::workers, 0, 1024,
           "Threads that load and augment images; at most one a core is used")
      .resumable();
  t.number("threads", &O::threads, 0, 1024, "Threads that compute; 0 = every core this process may use")
      .resumable();
  t.flag("amp", &O::amp, "Mixed precision, on CUDA");
  t.choice("amp_type", &O::amp_type, {"auto", "bf16", "fp16"},
           "Its number format; auto = bf16 on CUDA, none on a CPU");
  t.flag("channels_last", &O::channels_last,
         "Lay maps out with their channels innermost: quicker on a CPU, and rounded otherwise");
  t.number("seed", &O::seed, 0, kLargestSeed, "Of every random choice: the same seed, the same result");
  t.flag("deterministic", &O::deterministic,
         "On CUDA, take algorithms whose result never varies, where there are such; on a CPU it never does");

  t.group("Optimizer and schedule");
  t.choice("optimizer", &O::optimizer,
           {"auto", "SGD", "Adam", "Adamax", "AdamW", "NAdam", "RAdam", "RMSProp"},
           "auto chooses by the length of the run, and then ignores lr0 and momentum");
  t.number("lr0", &O::lr0, 0, 1000, "First learning rate");
  t.number("lrf", &O::lrf, 0, 1000, "The last learning rate is lr0 * lrf");
  t.flag("cos_lr", &O::cos_lr, "The rate falls along a cosine instead of a line");
  t.number("momentum", &O::momentum, 0, 1, "SGD's momentum, Adam's beta1");
  t.number("weight_decay", &O::weight_decay, 0, 1000, "Of convolution weights, for a step of nbs images");
  t.number("warmup_epochs", &O::warmup_epochs, 0, kMany,
           "Epochs of warm-up, at least 100 iterations; 0 = none");
  t.number("warmup_momentum", &O::warmup_momentum, 0, 1, "Momentum the warm-up starts from");
  t.number("warmup_bias_lr", &O::warmup_bias_lr, 0, 1000, "Rate of the biases that the warm-up starts from");
  t.number("nbs", &O::nbs, 1, 65536, "Images an optimizer step stands for: smaller batches are accumulated");
  t.number(
      "act_decay_epochs", &O::act_decay_epochs, 0, kMany,
      "VanillaNet's deep training: the slope of its inner activations grows to 1 (identity) over so many "
      "epochs; 0 = it is 1 from the start");
  t.choice("act_decay", &O::act_decay, {"linear", "cos"}, "How that slope grows");
  t.number("dropout", &O::dropout, 0, 1, "Rate of the dropout before the last layer; 0 = the network's own")
      .classifiers();

  t.group("Loss");
  t.number("box", &O::box, 0, kMany, "Gain of the box loss").detectors();
  t.number("cls", &O::cls, 0, kMany, "Gain of the class loss").detectors();
  t.number("dfl", &O::dfl, 0, kMany, "Gain of the distribution focal loss").detectors();
  t.number("label_smoothing", &O::label_smoothing, 0, 1, "Share of the target spread over all classes")
      .classifiers();

  t.group("Augmentation");
  t.number("hsv_h", &O::hsv_h, 0, 1, "Hue, +- share of the circle");
  t.number("hsv_s", &O::hsv_s, 0, 1, "Saturation, +- share");
  t.number("hsv_v", &O::hsv_v, 0, 1, "Brightness, +- share");
  t.number("degrees", &O::degrees, 0, 180, "Rotation, +- degrees").detectors();
  t.number("translate", &O::translate, 0, 1, "Shift, +- share of the side").detectors();
  t.number("scale", &O::scale, 0, 1,
           "Zoom, 1-scale to 1+scale; for a classifier crops of at least 1-scale of the image");
  t.number("shear", &O::shear, -180, 180, "Shear, +- degrees").detectors();
  t.number("perspective", &O::perspective, 0, 0.001, "Perspective").detectors();
  t.number("flipud", &O::flipud, 0, 1, "Probability of a vertical flip");
  t.number("fliplr", &O::fliplr, 0, 1, "Probability of a horizontal flip");
  t.number("bgr", &O::bgr, 0, 1, "Probability of swapped colour channels").detectors();
  t.number("mosaic", &O::mosaic, 0, 1, "Probability of a mosaic of four images").detectors();
  t.number("mixup", &O::mixup, 0, 1,
           "Probability of mixing in a second image; for a classifier of mixing a batch");
  t.number("cutmix", &O::cutmix, 0, 1,
           "Probability of pasting in a part of a second image; for a classifier as mixup");
  t.number("copy_paste", &O::copy_paste, 0, 1, "Probability of copying objects; needs polygons").detectors();
  t.choice("copy_paste_mode", &O::copy_paste_mode, {"flip"}, "Where the copies come from: the mirrored image")
      .detectors();
  t.number("close_mosaic", &O::close_mosaic, 0, kMany,
           "Last epochs without mosaic, mixup, cutmix and copy_paste")
      .detectors();
  t.choice("auto_augment", &O::auto_augment, {"randaugment", "none"}, "The policy").classifiers();
  t.number("erasing", &O::erasing, 0, 0.9, "Probability of erasing a rectangle").classifiers();

  t.group("Validation");
  t.flag("val", &O::val, "Validate after each epoch; the last epoch is always validated");
  t.text("split", &O::split, "SPLIT", "Split of the dataset to measure on: train, val or test");
  t.optional_number("conf", &O::conf, 0, 1, "Confidence above which a detection counts")
      .none("0.001")
      .detectors();
  t.number("iou", &O::iou, 0, 1, "Overlap (IoU) above which the weaker of two boxes is dropped").detectors();
  t.number("max_det", &O::max_det, 1, kMany, "Most detections per image").detectors();
  t.flag("agnostic_nms", &O::agnostic_nms, "Boxes of different classes suppress each other").detectors();
  t.flag("save_json", &O::save_json, "Write predictions.json after the last validation").detectors();
  t.flag("plots", &O::plots,
         "Plots and images in the run folder: curves, confusion matrices, the first batches")
      .resumable();

  t.group("Results");
  t.flag("save", &O::save, "Write checkpoints");
  t.number("save_period", &O::save_period, -1, kMany,
           "Keep an extra checkpoint every so many epochs; -1 = none")
      .resumable();
  t.text("project", &O::project, "FOLDER", "Folder around the run folders")
      .none("runs/detect or runs/classify")
      .resumable();
  t.text("name", &O::name, "NAME", "Run folder; a number is appended when it exists");
  t.flag("exist_ok", &O::exist_ok, "Write into the run folder even when it exists");
  t.flag("verbose", &O::verbose, "Print a line for each class").resumable();
  return t.take();
}

}  // namespace

const std::vector<TrainOption>& train_option_table() {
  static const std::vector<TrainOption> table = make_table();
  return table;
}

}  // namespace marrow::train
