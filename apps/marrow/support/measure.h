// What the commands that change a model share: images to compare on, and how good a model is.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <vector>

#include "marrow/base/rules.h"
#include "marrow/data/class_match.h"
#include "marrow/data/dataset.h"
#include "marrow/engine/engine.h"
#include "marrow/image/image.h"
#include "marrow/model/checkpoint.h"

namespace marrow::cli {

// Up to `wanted` images, evenly spread over a split. One that cannot be read is named on stderr and
// skipped. Throws Error{kFile} when none can be read.
std::vector<image::Image> spread_images(const data::Dataset& dataset, const std::string& split, int wanted,
                                        const ImageReading& reading);

// Throws Error{kUsage} unless the dataset fits the model's task and check_classes agrees.
void check_task(const std::string& model_file, const model::Model& model, const std::string& data,
                const data::Dataset& dataset);

// Throws Error{kUsage} unless the dataset has as many classes as a detector, or no more than a classifier;
// says where they are not matched one by one.
data::ClassMatch check_classes(const std::string& model_file, const model::Model& model,
                               const std::string& data, const data::Dataset& dataset);

// What stands under a table of accuracy() that has mAP.
inline const std::string kMapOfCommands =
    fmt::format("mAP by Ultralytics' definition (rules of {})", rules_name(kDefaultRules));

struct Accuracy {
  std::string name;  // "mAP50-95", "top-1", ...
  double value = 0;
};

struct AccuracyOptions {
  std::string split = "val";
  int size = 640;  // of a detector's input, pixels
  int crop = 0;    // of a classifier's; 0: its own
  engine::EngineOptions engine;
};

std::vector<Accuracy> accuracy(const data::Dataset& dataset, const model::TrainedModel& trained,
                               const AccuracyOptions& options);

// A line of a table: what, before, after, change.
void print_comparison(const std::string& what, const std::string& before, const std::string& after,
                      const std::string& change);
void print_comparison(const std::vector<Accuracy>& before, const std::vector<Accuracy>& after);

}  // namespace marrow::cli
