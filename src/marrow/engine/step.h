// What a compiled program is made of: views of the arena, and steps that read and write them.
//
// A 4-d value is stored in blocks of channels (engine/kernels/kernels.h): [image][block][y][x][lane]. The
// network's input and everything after a flatten, a linear layer or the detection decode are plain row-major
// tensors: they are views of kind kPlanar, a matrix (N, F) being a planar map of F channels and one pixel.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "marrow/cpu/thread_pool.h"
#include "marrow/engine/kernels/kernels.h"

namespace marrow::engine {

// Where a view's storage lies.
struct Buffer {
  enum class Where { kArena, kInput, kOutput };
  Where where = Where::kArena;
  int output = 0;      // which, for kOutput
  int64_t offset = 0;  // from its beginning, in elements of the view
};

enum class Layout { kBlocked, kPlanar };

struct View {
  Buffer buffer;
  Layout layout = Layout::kBlocked;
  Element element = Element::kFloat32;
  ByteScale scale;  // of bytes
  int64_t images = 1;
  int64_t image_stride = 0;  // elements; more than image_floats() where the view is part of a concatenation
  int channels = 0;
  int64_t height = 1;
  int64_t width = 1;

  int64_t pixels() const { return height * width; }
  int64_t blocks(int lanes) const { return (channels + lanes - 1) / lanes; }
  int64_t block_floats(int lanes) const { return pixels() * lanes; }
  int64_t image_floats(int lanes) const {
    return layout == Layout::kPlanar ? channels * pixels() : blocks(lanes) * block_floats(lanes);
  }
};

// Where a channel lies among several views.
struct ChannelSource {
  int map = 0;  // which view
  int channel = 0;
};

// How a step cuts its work: into tasks enough that threads end together, or by so many elements, a multiple
// of any number of lanes.
constexpr int64_t kTasksPerThread = 4;
constexpr int64_t kTaskElements = 8192;

// What a step runs on. One per engine; the program is shared.
struct RunContext {
  float* arena = nullptr;
  const float* input = nullptr;
  std::span<float* const> outputs;
  float* shared = nullptr;   // of the step that runs, for all its threads
  float* scratch = nullptr;  // scratch_floats for each thread
  int64_t scratch_floats = 0;
  cpu::ThreadPool* pool = nullptr;

  const float* read(const View& view) const {
    return view.buffer.where == Buffer::Where::kInput ? input + view.buffer.offset : write(view);
  }
  float* write(const View& view) const {
    const Buffer& buffer = view.buffer;
    float* base = buffer.where == Buffer::Where::kArena ? arena : outputs[static_cast<size_t>(buffer.output)];
    return base + buffer.offset;
  }
  // Of a view that is stored in fewer bits; such views lie in the arena.
  uint8_t* low_precision(const View& view) const {
    return reinterpret_cast<uint8_t*>(arena) + view.buffer.offset * element_bytes(view.element);
  }
  float* thread_scratch(int thread) const { return scratch + thread * scratch_floats; }
};

class Step {
 public:
  virtual ~Step() = default;
  // Computes the whole output. Allocates nothing, throws nothing.
  virtual void run(const RunContext& context) const = 0;
  virtual std::string kernel() const = 0;               // for describe(): "direct 3x3/2 14x2"
  virtual int64_t shared_floats() const { return 0; }   // what the step needs of RunContext::shared
  virtual int64_t scratch_floats() const { return 0; }  // a thread

  std::string name;  // of the graph's node
};
using StepPtr = std::unique_ptr<Step>;

// One activation with its parameter, as an index into Kernels::unary.
struct Stage {
  int kind = 0;  // 0: identity
  float parameter = 0;
};

// What follows a layer while its output is still in the cache:
//   y = after(join(before(y), other))
struct Epilogue {
  enum class Join { kNone, kAdd, kMultiply };
  Stage before;
  Join join = Join::kNone;
  View other;  // same shape as the layer's output
  Stage after;

  bool empty() const { return before.kind == 0 && join == Join::kNone && after.kind == 0; }
};

// Applies an epilogue to `count` floats in place; `other` points at the matching floats.
void apply(const Epilogue& epilogue, const Kernels& kernels, float* values, const float* other,
           int64_t count);

// " +silu +add": for Step::kernel().
std::string to_string(const Epilogue& epilogue);

}  // namespace marrow::engine
