// From an image to class probabilities: the resize, centre crop and normalisation that the network's input
// asks for (of an input that states no sizes: 224 and 224), the network, softmax.
#pragma once

#include <span>
#include <vector>

#include "marrow/engine/engine.h"
#include "marrow/image/image.h"
#include "marrow/predict/compiled_network.h"
#include "marrow/predict/detector.h"

namespace marrow::predict {

struct ClassifierOptions {
  int crop = 0;  // pixels; 0: the network's own. The resize keeps its proportion to the crop
  engine::EngineOptions engine;
};

struct ClassProbability {
  int class_id = 0;
  float probability = 0;
};

// Softmax. A logit that is no number counts as the least.
std::vector<float> class_probabilities(std::span<const float> logits);

// The likeliest classes, at most `top`, by falling probability; equals by number.
std::vector<ClassProbability> likeliest_classes(std::span<const float> probabilities, int top);

struct ClassificationResult {
  std::vector<ClassProbability> top;  // falling probability
  Size network;
  PredictTimes times;
};

class Classifier {
 public:
  // Throws Error{kModel} unless the graph has the output "logits".
  Classifier(const Graph& graph, const Weights& weights, const ClassifierOptions& options);

  int classes() const { return classes_; }
  ClassificationResult classify(const image::Image& image, int top);

 private:
  CompiledNetwork::Compiled& compiled() { return network_.at({1, channels_, format_.crop, format_.crop}); }

  InputFormat format_;
  int channels_;  // of an image
  int classes_ = 0;
  CompiledNetwork network_;
};

}  // namespace marrow::predict
