// Writes a graph as an ONNX model that every runtime reads: plain operators of the standard domain, opset 11
// to 17.
//
//   images (N, 3, H, W) float32 (float16 with `half`), in the graph's input format: RGB / 255 for a detector,
//            normalised for a classifier that wants it. Its metadata say which.
//   output0 (N, 4 + classes, anchors) of a detector, cx cy w h in input pixels and scores; (N, classes)
//   logits of a
//            classifier. With `nms` (1, max_detections, 6): x1 y1 x2 y2 confidence class, falling confidence,
//            rows of zeros after the last; behind the class a mask's coefficients or keypoints. Of turned
//            boxes cx cy w h confidence class angle.
//
// What one operator cannot say everywhere is several: SiLU is x * Sigmoid(x), hard-swish x * HardSigmoid(x),
// ReLU6 6 * HardSigmoid(x) (OpenCV 4.6 reads neither Clip, whose limits are inputs since opset 11, nor Min
// with a constant), a shuffle Reshape, Transpose, Reshape. The size of a batch is never written down.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "marrow/graph/passes/pass.h"
#include "marrow/onnx/file/proto.h"

namespace marrow::onnx {

inline constexpr int kMinOpset = 11;
inline constexpr int kMaxOpset = 17;

// The suppression that goes into the file: the best class of each anchor, boxes of different classes kept
// apart. ONNX has an operator for upright boxes alone; turned ones are compared all at once.
struct ExportNms {
  float confidence = 0.25f;
  std::vector<float> class_confidence = {};  // instead of it, of each class; empty: none
  float iou = 0.7f;
  int max_detections = 300;
  float max_side = 7680.0f;  // pixels by which classes are moved apart
  int most_compared = 1024;  // turned boxes, the best; max_detections where that is more
};

struct ExportOptions {
  int opset = 13;
  int batch = 1;
  int height = 640;
  int width = 640;
  bool dynamic = false;  // any batch and size: axes "batch", "height", "width" and "anchors"
  // Weights, input and activations in float16. A detector's decode stays in float32, and so does its output:
  // float16 holds coordinates beyond 512 pixels to half a pixel.
  bool half = false;
  // The layers of a quantised model that are int8 (Node::int8) as such, between QuantizeLinear and
  // DequantizeLinear.
  bool int8 = false;
  std::optional<ExportNms> nms;  // detectors, one image at a time
  int max_detections = 300;      // that an end-to-end head chooses
  std::string name = "marrow";   // of the graph
  std::string version;           // of the program
  std::vector<std::pair<std::string, std::string>> metadata;
};

// `source` has one output. That of an end-to-end head (kOneToOneOutput) is written as the list that it
// chooses, (N, K, 6) of x1 y1 x2 y2 confidence class by falling confidence, K = min(max_detections, anchors).
// Throws Error{kUsage} for options out of range, Error{kShape} when the size does not suit the network,
// Error{kUnsupported} naming the node that ONNX cannot express in this form.
ModelProto export_model(const passes::GraphWithWeights& source, const ExportOptions& options);

}  // namespace marrow::onnx
