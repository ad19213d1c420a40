// Between the public API (include/marrow/marrow.hpp, namespace v0) and the layers below: what its sources
// share.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/image/image.h"
#include "marrow/marrow.hpp"
#include "marrow/model/checkpoint.h"
#include "marrow/predict/classifier.h"
#include "marrow/predict/detector.h"

// The layers have types of the same names: these are the layers' ones.
namespace marrow::v0::inside {

using LayerError = marrow::Error;
using LayerDetector = marrow::predict::Detector;
using LayerClassifier = marrow::predict::Classifier;
using LayerDetectorOptions = marrow::predict::DetectorOptions;
using LayerClassifierOptions = marrow::predict::ClassifierOptions;
using LayerEngineOptions = marrow::engine::EngineOptions;
using LayerPrecision = marrow::engine::Precision;
using LayerDetection = marrow::detect::Detection;
using LayerClassProbability = marrow::predict::ClassProbability;
using LayerModel = marrow::model::Model;
using LayerImage = marrow::image::Image;
using LayerSize = marrow::Size;

}  // namespace marrow::v0::inside

namespace marrow::v0 {

struct Image::Impl {
  inside::LayerImage pixels;
  std::string warning;
};

struct Model::Impl {
  std::string file;
  model::TrainedModel trained;
  Task task;
  inside::LayerSize input;
};

namespace inside {

// As models name them.
inline constexpr std::pair<const char*, Task> kTasks[] = {{"detect", Task::kDetect},
                                                          {"classify", Task::kClassify},
                                                          {"segment", Task::kSegment},
                                                          {"pose", Task::kPose},
                                                          {"obb", Task::kObb}};

// The error that a program sees for the exception being handled: to be called in a catch block.
// std::bad_alloc passes.
[[noreturn]] void rethrow();

template <class Function>
auto guarded(const Function& function) {
  try {
    return function();
  } catch (...) {
    rethrow();
  }
}

// What a moved-from object answers with.
template <class Pointer>
const auto& checked(const Pointer& impl, const char* type) {
  if (impl == nullptr)
    throw Error(ErrorKind::kUsage,
                std::string("this ") + type + " was moved from, and can only be assigned to");
  return *impl;
}

// The image as a model wants it. Throws Error{kUsage} for pixels that cannot lie in memory as the view
// says, or that are not what it wants; grey of 8 bits is made of any pixels.
LayerImage copy_view(const ImageView& view, const ImageReading& wanted);

// Throws Error{kUsage} for a value that the options do not allow.
LayerEngineOptions engine_options(const EngineOptions& options);

// The input for a wish that the options state, checked with what the model's file is fixed at. 0: no wish.
LayerSize input_size(const std::string& file, const LayerModel& model, int width, int height);

// function(image) of each. Of several, errors name the image's place.
template <class Result, class Function>
std::vector<Result> for_each_image(std::span<const ImageView> images, const Function& function) {
  if (images.data() == nullptr && !images.empty())
    throw Error(ErrorKind::kUsage, "the images are a null pointer");
  std::vector<Result> results;
  results.reserve(images.size());
  for (size_t i = 0; i < images.size(); ++i) {
    try {
      results.push_back(function(images[i]));
    } catch (const Error& error) {
      if (images.size() == 1) throw;
      throw Error(error.kind(), "image " + std::to_string(i) + " of the batch: " + error.what());
    }
  }
  return results;
}

}  // namespace inside
}  // namespace marrow::v0
