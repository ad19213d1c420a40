// The whole way from an image's bytes to objects: decode, letterbox or crop, network, suppression.
#pragma once

#include <filesystem>

#include "marrow/benchmark/latency.h"
#include "marrow/engine/engine.h"
#include "marrow/geometry/letterbox.h"
#include "marrow/image/decode.h"
#include "marrow/model/checkpoint.h"

namespace marrow::benchmark {

struct EndToEndOptions {
  std::filesystem::path source;  // an image; empty: a drawn one of 1440x1920 pixels
  Size size = {640, 640};        // of the network's input
  bool rect = true;              // a detector pads to the next multiple of its stride only
  bool fast_decode = false;      // DecodeOptions::fit; detectors only
  engine::EngineOptions engine;
  double seconds = 2;
};

struct EndToEnd {
  Size picture;
  int64_t bytes = 0;  // of the file
  Size network;       // the input that the image was fitted into
  Latency total;
  double decode_ms = 0, preprocess_ms = 0, network_ms = 0, postprocess_ms = 0;  // medians
};

// Throws what reading the image throws, and Error{kUnsupported} unless the model detects or classifies.
EndToEnd measure_end_to_end(const model::TrainedModel& trained, const EndToEndOptions& options);

}  // namespace marrow::benchmark
