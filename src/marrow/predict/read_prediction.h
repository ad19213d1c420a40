// From a decoded prediction of one image to what was found in it, in pixels of the image.
#pragma once

#include <cstdint>

#include "marrow/base/tensor.h"
#include "marrow/detect/extras.h"
#include "marrow/detect/nms.h"
#include "marrow/geometry/letterbox.h"
#include "marrow/graph/operation.h"

namespace marrow::predict {

// At which size masks are made: that of the network's input, or of the image, which costs more and is finer.
enum class MaskSize { kInput, kImage };

struct ImagePrediction {
  const DetectDecode& decode;
  const float* prediction = nullptr;  // (decode.rows(), anchors)
  int64_t anchors = 0;
  detect::Prototypes prototypes;  // of kCoefficients
  Size network;                   // the input that the image was fitted into
  Size picture;
  RatioPad ratio_pad;  // how
};

// Of an output (1, count, height, width), which outlives the result.
detect::Prototypes prototypes_of(const Tensor& maps);

struct ReadOptions {
  detect::NmsOptions nms;
  MaskSize masks = MaskSize::kInput;
  bool outlines = false;              // of masks
  size_t most_mask_bytes = SIZE_MAX;  // of all masks together, a byte a pixel
};

struct ImageFindings {
  std::vector<detect::Detection> detections;  // by falling confidence
  detect::DetectionExtras extras;
};

// Those of the masks in it, in pixels of the image.
void add_outlines(detect::DetectionExtras& extras, Size picture);

// Detections whose mask is empty are left out. Throws Error{kUnsupported} where masks would take more memory
// than options allow.
ImageFindings read_prediction(const ImagePrediction& image, const ReadOptions& options);

}  // namespace marrow::predict
