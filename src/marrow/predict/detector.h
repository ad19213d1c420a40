// From an image to boxes in its pixels, and masks, keypoints or turned boxes where the head has them:
// letterbox, network, decode, suppression, and back.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "marrow/cpu/side_by_side.h"
#include "marrow/detect/extras.h"
#include "marrow/detect/nms.h"
#include "marrow/engine/engine.h"
#include "marrow/geometry/letterbox.h"
#include "marrow/geometry/tiles.h"
#include "marrow/graph/graph.h"
#include "marrow/image/image.h"
#include "marrow/predict/compiled_network.h"
#include "marrow/predict/read_prediction.h"

namespace marrow::predict {

struct PredictTimes {
  double preprocess_ms = 0;
  double inference_ms = 0;
  double postprocess_ms = 0;
};

struct DetectorOptions {
  Size size = {640, 640};  // pixels of the network's input; rounded up to a multiple of the largest stride
  bool rect = true;   // pad only up to the next multiple of the stride, so the input is as small as it can be
  TileOptions tiles;  // cut images into these, each fitted into the input, and join what is found in them
  detect::NmsOptions nms;
  MaskSize masks = MaskSize::kInput;  // of an image that is cut, kImage
  bool outlines = false;              // of masks
  engine::EngineOptions engine;
};

struct DetectionResult {
  std::vector<detect::Detection> detections;  // boxes in pixels of the image, falling confidence
  detect::DetectionExtras extras;             // what the head says beside them
  Size network;                               // the input that the image was fitted into
  PredictTimes times;
};

// The output that a detector's boxes are read from, and whether they want suppression.
struct DetectionOutput {
  std::string name;
  bool suppress = true;
  const DetectDecode* decode = nullptr;  // of the graph
};
// Those that want it, unless `suppress` is false or the graph has no others. Throws Error{kModel} without a
// detection head, Error{kUsage} when only boxes that want suppression are there and `suppress` is false.
DetectionOutput detection_output(const Graph& graph, bool suppress);

// The names of that and of all that goes with it: the prototypes of a head that segments. Throws
// Error{kModel} also when these are missing or not one a coefficient.
std::vector<std::string> detection_outputs(const Graph& graph, bool suppress);

// A detection network ready to run. Compiles itself for each input size it meets and keeps the last few. One
// caller at a time.
class Detector {
 public:
  // Throws Error{kModel} unless the graph has an output that is a detection decode, Error{kUnsupported} for
  // tiles where its head finds keypoints.
  Detector(const Graph& graph, const Weights& weights, const DetectorOptions& options);

  int classes() const { return decode_.classes; }
  int largest_stride() const { return *std::ranges::max_element(decode_.strides); }
  Size size() const { return options_.size; }  // that images are fitted into
  Size network_size(Size picture) const;       // the input that such an image would be fitted into

  DetectionResult detect(const image::Image& image);
  // The same of each image that `next` gives, until it gives nullptr; `take` gets what was found, in their
  // order. At most most_at_once() images of one size are seen side by side, each on its part of the threads,
  // and none waits for another: more in a second, above all where others have work too. Times are then
  // divided by their number. `next` and `take` are called by any thread, each by one at a time, and both at
  // the same time; an image stays where it is until it was taken. What they throw ends it.
  void detect_each(const std::function<const image::Image*()>& next,
                   const std::function<void(DetectionResult)>& take);
  size_t most_at_once() const;

 private:
  Letterbox fit(Size picture) const;
  CompiledNetwork::Compiled& compiled(const image::Image& image, size_t side_by_side);
  // Of images as large as the first two. Returns the first that is not, or nullptr at the end.
  const image::Image* detect_alike(const image::Image& first, const image::Image& second,
                                   const std::function<const image::Image*()>& next,
                                   const std::function<void(DetectionResult)>& take);
  // An image, or a tile of one, in its own pixels.
  DetectionResult detect_part(const image::Image& image, CompiledNetwork::Compiled& network,
                              const ReadOptions& options) const;

  DetectorOptions options_;
  DetectDecode decode_;
  CompiledNetwork network_;
  std::unique_ptr<cpu::SideBySide> side_by_side_;
};

}  // namespace marrow::predict
