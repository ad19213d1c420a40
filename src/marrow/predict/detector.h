// From a picture to boxes in its pixels: letterbox, network, decode, suppression, and back.
#pragma once

#include <list>
#include <vector>

#include "marrow/detect/nms.h"
#include "marrow/engine/engine.h"
#include "marrow/geometry/letterbox.h"
#include "marrow/graph/graph.h"
#include "marrow/image/image.h"

namespace marrow::predict {

struct PredictTimes {
  double preprocess_ms = 0;
  double inference_ms = 0;
  double postprocess_ms = 0;
};

struct DetectorOptions {
  Size size = {640, 640};  // pixels of the network's input; rounded up to a multiple of the largest stride
  bool rect = true;  // pad only up to the next multiple of the stride, so the input is as small as it can be
  detect::NmsOptions nms;
  engine::EngineOptions engine;
};

struct DetectionResult {
  std::vector<detect::Detection> detections;  // boxes in pixels of the picture, falling confidence
  Size network;                               // the input that the picture was fitted into
  PredictTimes times;
};

// A detection network ready to run. Compiles itself for each input size it meets and keeps the last few. One
// caller at a time.
class Detector {
 public:
  // Throws Error{kModel} unless the graph has an output that is a detection decode.
  Detector(Graph graph, Weights weights, const DetectorOptions& options);

  int classes() const { return classes_; }
  int largest_stride() const { return largest_stride_; }
  Size size() const { return options_.size; }  // that pictures are fitted into
  Size network_size(Size picture) const;       // the input that such a picture would be fitted into

  DetectionResult detect(const image::Image& image);

 private:
  struct Compiled {
    Size size;
    Tensor input;
    engine::Engine engine;
  };
  Compiled& compiled(Size size);
  Letterbox fit(Size picture) const;

  Graph graph_;
  Weights weights_;
  DetectorOptions options_;
  std::string output_;
  int classes_ = 0;
  int largest_stride_ = 32;
  std::list<Compiled> compiled_;  // most recently used first
};

}  // namespace marrow::predict
