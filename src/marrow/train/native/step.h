// What a native program is made of: maps that are stored, and steps that compute them and travel back.
//
// All maps are the engine's kind, [image][block][y][x][lane] (engine/kernels/kernels.h). What is stored is a
// convolution's output before its batch norm, or what another step made; readers make the rest again
// (reader.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/train/native/kernels/kernels.h"
#include "marrow/train/native/norm.h"
#include "marrow/train/native/reader.h"
#include "marrow/train/step/training_executor.h"

namespace marrow::train::native {

struct Map {
  int64_t images = 1;
  int channels = 0;
  int64_t height = 1, width = 1;
  int norm = 0;               // in Run::norms: what all readers see it through; 0: as it is
  bool streamed = false;      // larger than caches: written past them
  bool has_gradient = false;  // something that is trained lies behind it
  // Floats from the beginning of the arena.
  int64_t value_at = 0;
  int64_t gradient_at = 0;
  // There, while the program runs. The gradient is that of what readers see before their activation: dn, or
  // dy without a norm.
  float* value = nullptr;
  float* gradient = nullptr;

  int64_t pixels() const { return height * width; }
  int64_t blocks(int lanes) const { return (channels + lanes - 1) / lanes; }
  int64_t image_floats(int lanes) const { return blocks(lanes) * pixels() * lanes; }
  int64_t floats(int lanes) const { return images * image_floats(lanes); }
  // Floats before a pixel of a block.
  int64_t at(int lanes, int64_t image, int64_t block, int64_t pixel) const {
    return image * image_floats(lanes) + (block * pixels() + pixel) * lanes;
  }
};

constexpr size_t kMostLanes = 16;  // of any SIMD level

// Work is cut into so many shares by its shape alone. Each adds up in its own place, and the places are added
// in order: no result depends on the number of threads.
constexpr int64_t kMostShares = 16;

// What a step runs on.
struct Run {
  const Kernels* kernels = nullptr;
  const engine::Kernels* engine = nullptr;
  cpu::ThreadPool* pool = nullptr;
  std::span<const Map> maps;
  std::span<Norm> norms;
  std::span<const Tensor> inputs;  // of the batch: its images or its features, as TrainingBatch has them
  TrainingPlace place;
  bool moves_statistics = true;
  int64_t version = 0;       // of the weights: what is packed of them is packed anew when it changes
  float* shared = nullptr;   // of the step that runs, for all its threads
  float* scratch = nullptr;  // scratch_floats a thread
  int64_t scratch_floats = 0;

  int lanes() const { return kernels->lanes; }
  float* thread_scratch(int thread) const { return scratch + thread * scratch_floats; }

  // The first floats of `shared`, as zeros.
  float* zeros(int64_t floats) const;

  // work(chunk, share, thread) for every chunk; those of a share follow each other in order.
  template <class Work>
  void for_chunks(int64_t chunks, int64_t shares, const Work& work) const {
    pool->parallel_for(shares, [&](int64_t share, int thread) {
      for (int64_t chunk = share * chunks / shares; chunk < (share + 1) * chunks / shares; ++chunk)
        work(chunk, share, thread);
    });
  }
};

inline float* Run::zeros(int64_t floats) const {
  constexpr int64_t kPiece = 1 << 16;
  pool->parallel_for((floats + kPiece - 1) / kPiece, [&](int64_t piece, int) {
    std::fill_n(shared + piece * kPiece, std::min(kPiece, floats - piece * kPiece), 0.0F);
  });
  return shared;
}

class Step {
 public:
  virtual ~Step() = default;

  // Computes the whole output.
  virtual void forward(const Run& run) = 0;
  // From the output's gradient: gives those of what it reads to the readers, and adds those of its
  // parameters. Called when the output has a gradient.
  virtual void backward(const Run& run) = 0;
  virtual int64_t scratch_floats() const { return 0; }  // a thread
  virtual int64_t shared_floats() const { return 0; }   // what it needs of Run::shared
  virtual std::string kind() const = 0;                 // for tables: "winograd 3x3"
  // Multiply-adds of the forward pass, of layers that have weights. The gradients of data and of weights take
  // as many each.
  virtual double macs() const { return 0; }

  std::string name;  // "conv (model.3.conv)", of the graph's node
  int output = -1;   // the map it computes
  std::vector<Reader> inputs;
};
using StepPtr = std::unique_ptr<Step>;

}  // namespace marrow::train::native
