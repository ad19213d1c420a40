// The rows of the table.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
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

  Row optional_flag(const std::string& key, std::optional<bool> TrainOptions::*member,
                    const std::string& help) {
    const Row row = add(
        key, "", help,
        [=](const TrainOptions& o) { return !(o.*member)   ? "null"
                                            : *(o.*member) ? "true"
                                                           : "false"; },
        [=](TrainOptions& o, std::string_view text) {
          o.*member = is_none(text) ? std::nullopt : parse_truth(text);
          if (!(o.*member) && !is_none(text)) refuse(key, text, "true or false");
        });
    rows_.back().flag = true;
    return row;
  }

  // A flag that may have another value.
  Row switch_or(const std::string& key, const std::string& type, const std::string& help,
                std::function<std::string(const TrainOptions&)> text,
                std::function<void(TrainOptions&, std::string_view)> set) {
    const Row row = add(key, type, help, std::move(text), std::move(set));
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
          const std::optional<bool> truth = parse_truth(value);
          for (const std::string& name : known)
            if (to_lower(name) == to_lower(value) || (name == "none" && is_none(value)) ||
                (truth && parse_truth(name) == truth)) {
              o.*member = name;
              return;
            }
          throw Error(ErrorKind::kUsage, key + ": " + unknown_name_message("value", value, known));
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
    for (TrainOption& row : rows_) let_none_be_the_default(row);
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

  // "null" in a file, where a setting has a value in any case.
  static void let_none_be_the_default(TrainOption& row) {
    const bool has_none = std::ranges::find(row.known, "none") != row.known.end();
    if (!row.absence.empty() || has_none) return;
    row.set = [set = row.set, text = row.text(TrainOptions())](TrainOptions& o, std::string_view value) {
      set(o, is_none(value) && !value.empty() ? std::string_view(text) : value);
    };
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

// The items of "[a, b]", "(a, b)", "a,b" or "a"; none of none.
std::vector<std::string> items_of(std::string_view text) {
  std::vector<std::string> items;
  const auto strip = [](std::string_view part, std::string_view what) {
    const size_t first = part.find_first_not_of(what);
    if (first == std::string_view::npos) return std::string_view();
    return part.substr(first, part.find_last_not_of(what) - first + 1);
  };
  if (text.size() > 1 &&
      ((text.front() == '[' && text.back() == ']') || (text.front() == '(' && text.back() == ')')))
    text = text.substr(1, text.size() - 2);
  if (strip(text, " ").empty()) return items;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    items.emplace_back(strip(text.substr(at, comma - at), " '\""));
    at = comma + 1;
  }
  return items;
}

std::string list_text(const std::vector<double>& values) {
  return values.size() == 1 ? number_text(values[0]) : fmt::format("[{}]", fmt::join(values, ", "));
}

std::vector<double> parse_numbers(const std::string& key, std::string_view text, const std::string& wanted) {
  std::vector<double> values;
  for (const std::string& item : items_of(text)) {
    const std::optional<double> value = parse_number(item);
    if (!value) refuse(key, text, wanted);
    values.push_back(*value);
  }
  if (values.empty()) refuse(key, text, wanted);
  return values;
}

std::vector<double> parse_fraction(std::string_view text) {
  const std::string wanted =
      "a share above 0 up to 1, a whole number of images, or a list of up to three of these: train, val, "
      "test";
  std::vector<double> values = parse_numbers("fraction", text, wanted);
  if (values.size() > 3) refuse("fraction", text, wanted);
  for (const double value : values)
    if (value <= 0 || value > 1e12 || (value > 1 && value != std::floor(value)))
      refuse("fraction", text, wanted);
  return values;
}

std::vector<double> parse_scale(std::string_view text) {
  const std::string wanted = "a number from 0 to 1, or two factors of the size, the smaller first";
  std::vector<double> values = parse_numbers("scale", text, wanted);
  const bool fits = values.size() == 1
                        ? values[0] >= 0 && values[0] <= 1
                        : values.size() == 2 && values[0] > 0 && values[0] <= values[1] && values[1] <= 100;
  if (!fits) refuse("scale", text, wanted);
  return values;
}

void set_batch(TrainOptions& o, std::string_view text) {
  const std::optional<double> value = parse_number(text);
  const bool share = value && *value > 0 && *value < 1;
  if (!value || (!share && (*value != std::floor(*value) || *value < -1 || *value == 0 || *value > 65536)))
    refuse("batch", text,
           fmt::format("a whole number from 1 to 65536, a share of the memory between 0 and 1, or -1 for {}",
                       kDefaultBatch));
  o.batch = share ? -1 : static_cast<int>(*value);
  o.batch_memory = share ? *value : 0;
}

void set_amp(TrainOptions& o, std::string_view text) {
  const std::string lower = to_lower(text);
  if (lower == "bf16" || lower == "fp16" || lower == "fp32")
    o.amp = lower;
  else if (const std::optional<bool> truth = parse_truth(text))
    o.amp = *truth ? "true" : "false";
  else
    refuse("amp", text, "true, false, bf16, fp16 or fp32");
}

void set_cache(TrainOptions& o, std::string_view text) {
  const std::string lower = to_lower(text);
  if (lower == "ram" || lower == "disk" || lower == kFeatureCache)
    o.cache = lower;
  else if (const std::optional<bool> truth = parse_truth(text))
    o.cache = *truth ? "true" : "false";
  else
    refuse("cache", text, "true, false, ram, disk or features");
}

void set_multi_scale(TrainOptions& o, std::string_view text) {
  const std::optional<double> value = parse_number(text);
  if (value && *value >= 0 && *value <= 1)
    o.multi_scale = *value;
  else if (const std::optional<bool> truth = parse_truth(text))
    o.multi_scale = *truth ? kMultiScaleTrue : 0;
  else
    refuse("multi_scale", text, "a number from 0 to 1, true or false");
}

// "10": the first ten layers. "[0, 2, 22.cv2]" or "0,2,22.cv2": these. "backbone" stands for all of its
// layers.
std::vector<std::string> parse_layers(std::string_view text) {
  constexpr int kMostLayers = 1000;
  std::vector<std::string> layers = items_of(text);
  const bool list =
      text.find(',') != std::string_view::npos || text.starts_with('[') || text.starts_with('(');
  for (const std::string& layer : layers) {
    const std::optional<double> number = parse_number(layer);
    const bool index = number && *number == std::floor(*number) && *number >= 0 && *number < kMostLayers;
    const bool name =
        std::ranges::all_of(layer,
                            [](unsigned char c) { return std::isalnum(c) != 0 || c == '.' || c == '_'; }) &&
        std::isdigit(static_cast<unsigned char>(layer.front())) != 0 &&
        layer.find('.') != std::string::npos && !layer.ends_with('.') &&
        std::ranges::any_of(layer, [](unsigned char c) { return std::isalpha(c) != 0; });
    if (layer != kWholeBackbone && (layer.empty() || (!index && !name)))
      refuse("freeze", text,
             "a number of layers, 'backbone', or a list of indices and parts, such as [0, 22.cv2]");
  }
  if (list || layers.empty() || !parse_number(layers.front())) return layers;
  const int count = static_cast<int>(*parse_number(layers.front()));
  layers.clear();
  for (int i = 0; i < count; ++i) layers.push_back(std::to_string(i));
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
  t.add(
      "pretrained", "true|false|FILE",
      "Start from the weights of MODEL when it is a checkpoint; FILE: start from these, where names and "
      "shapes fit",
      [](const O& o) { return yaml_text(o.pretrained); },
      [](O& o, std::string_view text) {
        const std::optional<bool> truth = parse_truth(text);
        o.pretrained = truth ? (*truth ? "true" : "false") : std::string(text);
      });
  t.flag("cls_remap", &O::cls_remap,
         "Take the outputs of classes from those weights by the classes' names, with the rules of 8.4")
      .detectors();
  t.choice("rules", &O::rules, rules_names(),
           "Whose rules decide where releases of Ultralytics differ: those of 8.4, or 8.3's");
  t.add(
       "freeze", "N|backbone|[I,...]",
       "Do not train the first N layers, those of the backbone, or the layers of these indices and parts, "
       "such "
       "as [0, 22.cv2]",
       [](const O& o) {
         return o.freeze.empty() ? std::string("null") : fmt::format("[{}]", fmt::join(o.freeze, ", "));
       },
       [](O& o, std::string_view text) {
         o.freeze = is_none(text) ? std::vector<std::string>() : parse_layers(text);
       })
      .none("none");
  t.add(
       "classes", "CLASS,...",
       "Only the objects of these classes, by number or name; the network keeps its outputs for all",
       [](const O& o) {
         std::vector<std::string> texts;
         for (const std::string& name : o.classes) texts.push_back(yaml_text(name));
         return texts.empty() ? std::string("null") : fmt::format("[{}]", join(texts, ", "));
       },
       [](O& o, std::string_view text) {
         o.classes = is_none(text) ? std::vector<std::string>() : items_of(text);
         for (const std::string& name : o.classes)
           if (name.empty()) refuse("classes", text, "a list of numbers or names");
       })
      .none("all")
      .detectors();
  t.flag("single_cls", &O::single_cls, "Treat all classes as one").detectors();
  t.add(
      "fraction", "SHARE|N|[TRAIN,VAL,TEST]",
      "The training images to use, as a share or a number: of a detector the first ones of the sorted list, "
      "of a classifier some spread evenly over it; a list has one for each split",
      [](const O& o) { return list_text(o.fraction); },
      [](O& o, std::string_view text) { o.fraction = parse_fraction(text); });

  t.group("How long");
  t.number("epochs", &O::epochs, 1, kMany, "Passes over the training images; a resumed run may have more")
      .resumable();
  t.optional_number("time", &O::time_hours, 0, kMany, "Hours to train; overrides epochs")
      .none("by epochs")
      .resumable();
  t.number("patience", &O::patience, 0, kMany,
           "Stop after so many epochs without a better fitness; 0 = never")
      .resumable();

  t.group("Batches and machine");
  t.add(
      "batch", "1..65536|0..1|-1",
      fmt::format(
          "Images a batch; below 1: as many as this share of the free memory holds, up to nbs; -1 = {}",
          kDefaultBatch),
      [](const O& o) { return o.batch_memory > 0 ? number_text(o.batch_memory) : std::to_string(o.batch); },
      set_batch);
  t.number_or_none("imgsz", &O::imgsz, 32, 16384,
                   "Side of the square network input, pixels; a detector's is rounded up to the stride")
      .none(fmt::format("{}; a classifier's own, mostly 224", kDetectionSize));
  t.number_or_none(
       "tile", &O::tile, 0, 16384,
       "Cut images into squares of so many pixels, and join what is found across their borders; for "
       "small objects in large images")
      .none("images are not cut")
      .detectors();
  t.number("overlap", &O::overlap, 0, 0.9,
           "How much of a tile lies in its neighbour; at least the largest object is best")
      .detectors();
  t.flag("rect", &O::rect,
         "Batches of images of like shape, padded only as far as needed; no mosaic, no shuffling")
      .detectors();
  t.switch_or(
       "multi_scale", "0..1", "Each batch at a random size of imgsz, this share less or more",
       [](const O& o) { return o.multi_scale == kMultiScaleTrue ? "true" : number_text(o.multi_scale); },
       set_multi_scale)
      .detectors();
  t.switch_or(
       "cache", "ram|disk|features",
       "Keep the decoded images in memory whatever that takes (ram, true), or when they take at most half "
       "of it (false, disk), which never changes the result; features: keep what frozen layers make of them",
       [](const O& o) { return o.cache; }, set_cache)
      .resumable();
  t.number(
      "cache_limit", &O::cache_limit, 0, 1e9,
      "Megabytes of images that all workers keep together; of shards the order of images follows from it; "
      "0 = half of the free memory, of shards 1000");
  t.number("cache_variants", &O::cache_variants, 1, 10000,
           "With --cache features: so many augmented versions of each image, which epochs take in turn")
      .detectors();
  t.text("device", &O::device, "cpu|cuda[:N]",
         "Where to compute; CUDA is for marrow-train-torch, a program with LibTorch that this one starts")
      .none("cpu")
      .resumable();
  t.number("workers", &O::workers, 0, 1024,
           "Threads that load and augment images; at most one a core is used")
      .resumable();
  t.number("threads", &O::threads, 0, 1024, "Threads that compute; 0 = every core this process may use")
      .resumable();
  t.switch_or(
      "amp", "bf16|fp16|fp32",
      "Mixed precision: on CUDA bf16 unless fp16 is said; on a CPU bf16 where it is said and the processor "
      "has "
      "AVX-512 BF16, else float32",
      [](const O& o) { return o.amp; }, set_amp);
  t.flag("channels_last", &O::channels_last,
         "Lay LibTorch's maps out with their channels innermost; no effect on Marrow's own");
  t.number("seed", &O::seed, 0, kLargestSeed, "Of every random choice: the same seed, the same result");
  t.flag("deterministic", &O::deterministic,
         "On CUDA, take algorithms whose result never varies, where there are such; on a CPU it never does");

  t.group("Optimizer and schedule");
  t.choice("optimizer", &O::optimizer,
           {"auto", "SGD", "MuSGD", "Adam", "Adamax", "AdamW", "NAdam", "RAdam", "RMSprop"},
           "auto chooses by the length of the run, and then ignores lr0 and momentum");
  t.number("lr0", &O::lr0, 0, kLargestRate, "First learning rate");
  t.number("lrf", &O::lrf, 0, kLargestRate, "The last learning rate is lr0 * lrf");
  t.flag("cos_lr", &O::cos_lr, "The rate falls along a cosine instead of a line");
  t.number("momentum", &O::momentum, 0, 1, "SGD's momentum, Adam's beta1");
  t.number("weight_decay", &O::weight_decay, 0, 1000, "Of convolution weights, for a step of nbs images");
  t.number("warmup_epochs", &O::warmup_epochs, 0, kMany,
           "Epochs of warm-up, all but the last at most; with 8.3's rules 100 iterations at least; 0 = none");
  t.number("warmup_momentum", &O::warmup_momentum, 0, 1, "Momentum the warm-up starts from");
  t.number("warmup_bias_lr", &O::warmup_bias_lr, 0, kLargestRate,
           "Rate of the biases that the warm-up starts from");
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
  t.number("cls_pw", &O::cls_pw, 0, 1,
           "Rare classes count more in the class loss: by this power of how rare they are; 0 = all alike")
      .detectors();
  t.number("pose", &O::pose, 0, kMany, "Gain of the loss of keypoints' places").detectors();
  t.number("kobj", &O::kobj, 0, kMany, "Gain of the loss of keypoints' visibility").detectors();
  t.number("angle", &O::angle, 0, kMany, "Gain of the loss of turned boxes' angles").detectors();
  t.flag("overlap_mask", &O::overlap_mask,
         "Masks are trained as one picture, in which the smaller object is seen; false: each by itself")
      .detectors();
  t.number("mask_ratio", &O::mask_ratio, 1, 64, "How many times smaller than images masks are trained")
      .detectors();
  t.number("label_smoothing", &O::label_smoothing, 0, 1, "Share of the target spread over all classes")
      .classifiers();

  t.group("Augmentation");
  t.number("hsv_h", &O::hsv_h, 0, 1, "Hue, +- share of the circle");
  t.number("hsv_s", &O::hsv_s, 0, 1, "Saturation, +- share");
  t.number("hsv_v", &O::hsv_v, 0, 1, "Brightness, +- share");
  t.number("degrees", &O::degrees, 0, 180, "Rotation, +- degrees").detectors();
  t.number("translate", &O::translate, 0, 1, "Shift, +- share of the side").detectors();
  t.add(
      "scale", "0..1|LOW,HIGH",
      "Zoom, 1-scale to 1+scale, or between two factors; for a classifier crops of at least 1-scale of the "
      "image",
      [](const O& o) { return list_text(o.scale); },
      [](O& o, std::string_view text) { o.scale = parse_scale(text); });
  t.number("shear", &O::shear, -180, 180, "Shear, +- degrees").detectors();
  t.number("perspective", &O::perspective, 0, 1, "Perspective; 0.001 is much").detectors();
  t.number("flipud", &O::flipud, 0, 1, "Probability of a vertical flip");
  t.number("fliplr", &O::fliplr, 0, 1, "Probability of a horizontal flip");
  t.number("bgr", &O::bgr, 0, 1, "Probability of swapped colour channels").detectors();
  t.number("mosaic", &O::mosaic, 0, 1, "Probability of a mosaic of four images").detectors();
  t.number("mixup", &O::mixup, 0, 1,
           "Probability of mixing in a second image; for a classifier of mixing a batch");
  t.number("cutmix", &O::cutmix, 0, 1,
           "Probability of pasting in a part of a second image; for a classifier as mixup");
  t.number("copy_paste", &O::copy_paste, 0, 1, "Probability of copying objects; needs polygons").detectors();
  t.choice("copy_paste_mode", &O::copy_paste_mode, {"flip", "mixup"},
           "Where the copies come from: the mirrored image, or another one")
      .detectors();
  t.number("close_mosaic", &O::close_mosaic, 0, kMany,
           "Last epochs without mosaic, mixup, cutmix and copy_paste")
      .detectors();
  t.choice("auto_augment", &O::auto_augment, {"randaugment", "autoaugment", "augmix", "none"},
           "The policy; none: hsv_h, hsv_s and hsv_v")
      .classifiers();
  t.number("erasing", &O::erasing, 0, 1, "Probability of erasing a rectangle").classifiers();

  t.group("Validation");
  t.flag("val", &O::val, "Validate after each epoch; the last epoch is always validated");
  t.number("val_every", &O::val_every, 1, kMany, "Epochs from one validation to the next");
  t.choice("best_metric", &O::best_metric,
           {"fitness", "mAP50-95", "mAP50", "precision", "recall", "top1", "top5"},
           "Which number tells the best epoch; fitness: mAP50-95, or the mean of top-1 and top-5");
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

  t.group("Several workers");
  t.number("nproc", &O::nproc, 1, 4096,
           "So many processes on this machine train together, each on its part of every batch; starts mpirun")
      .resumable();
  t.optional_flag("sync_bn", &O::sync_bn, "Batch norms see the whole batch, not a worker's part of it")
      .none(fmt::format("on where a worker's part has less than {} images", kSyncBelow))
      .resumable();
  t.choice("reduce_type", &O::reduce_type, {"fp32", "bf16"},
           "How gradients travel between workers; bf16: rounded, half the bytes")
      .resumable();
  t.number("dist_timeout", &O::dist_timeout, 1, kMany,
           "Seconds that another worker may be silent before the run ends")
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

std::pair<double, double> zoom_range(const TrainOptions& o) {
  if (o.scale.size() == 2) return {o.scale[0], o.scale[1]};
  return {1 - o.scale[0], 1 + o.scale[0]};
}

double multi_scale_share(const TrainOptions& o) {
  if (o.multi_scale != kMultiScaleTrue) return o.multi_scale;
  return rules_named(o.rules) == Rules::k84 ? 1.0 : 0.5;
}

size_t images_kept(const TrainOptions& o, std::string_view split, size_t n) {
  const size_t place = split == "train" ? 0 : split == "val" ? 1 : 2;
  if (place >= o.fraction.size()) return n;
  const double value = o.fraction[place];
  const double wanted = value > 1 ? value : std::nearbyint(static_cast<double>(n) * value);
  return std::min(n, static_cast<size_t>(std::max(wanted, 1.0)));
}

const std::vector<TrainOption>& train_option_table() {
  static const std::vector<TrainOption> table = make_table();
  return table;
}

}  // namespace marrow::train
