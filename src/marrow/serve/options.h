// What a server is told about its models and their work, and what it is where nobody says; limits of HTTP are
// in http/limits.h. Each is a flag of marrow-serve.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "marrow/engine/engine.h"

namespace marrow::serve {

struct NetworkOptions {
  std::vector<int> imgsz;  // of the input: one number, or height and width; empty: the model's own
  bool rect = true;        // pad pictures only to the next multiple of the stride
  int max_side = 1280;     // pixels of an input that a client may send; at least the input's own
  size_t max_batch = 4;    // pictures that run at once at most
  engine::EngineOptions engine;
};

struct QueueOptions {
  size_t pictures = 64;         // of a model, that are waiting, being decoded or running; more are refused
  double delay_seconds = 0;     // that a picture waits for others to run with
  double longest_seconds = 30;  // that a picture waits at all
};

struct InferLimits {
  size_t batch = 32;              // pictures of one request
  int64_t pixels = 50'000'000;    // of an encoded picture
  size_t mask_bytes = 512 << 20;  // of all masks of a picture, a byte a pixel
};

inline constexpr int kUsualWorkers = 2;  // threads that decode, and read and write JSON

struct DrainOptions {
  double delay = 0;     // seconds in which connections are still taken
  double longest = 20;  // seconds for what is under way
};

}  // namespace marrow::serve
