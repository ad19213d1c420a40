// Runs a graph on this CPU: compiles it once for one input shape, then runs it any number of times without an
// allocation.
//
//   Engine engine(graph, weights, {1, 3, 640, 640}, {});
//   engine.run(image);
//   const Tensor& raw = engine.output(0);
//
// Compiling runs the passes (graph/passes/deploy.h), fuses activations, sums and products into the layer
// before them, lays concatenations out so that their parts are written in place, plans the memory, and packs
// the weights for the kernels of the SIMD level.
//
// With one choice of implementations the numbers do not depend on the number of threads; autotuning chooses
// for each number of threads. One caller at a time per engine; several engines may run at once, each with a
// pool of its own. The engine does not refer to the graph after its construction; of the weights it may share
// storage.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "marrow/engine/precision.h"
#include "marrow/graph/graph.h"

namespace marrow::engine {

struct EngineOptions {
  int threads = 0;   // 0: available_threads()
  std::string simd;  // "" : the environment variable MARROW_SIMD, else the fastest; see cpu/simd_level.h
  // Run the passes first. A caller that compiles one network for several input sizes calls deploy() once and
  // sets this to false. Without deploy() before, false runs the network with all layers of its training.
  bool deploy = true;
  Precision precision = Precision::kFloat32;
  // Where a layer has several implementations, measure them and remember the fastest
  // (engine/compile/tuner.h): up to a second when a network is compiled for the first time. Otherwise a fixed
  // rule chooses.
  bool autotune = false;
  // Anchors of a detection head none of whose scores is above this are left undecoded where that saves time:
  // their boxes and scores are 0. For callers that drop such anchors in any case.
  float least_score = 0;
};

struct StepTime {
  std::string name;    // of the graph's node
  std::string kernel;  // with the tile and what is fused
  double ms = 0;       // the shortest of the repetitions
  double macs = 0;     // multiply-adds of convolutions and linear layers, 0 for others
};

class Engine {
 public:
  // `input` is (N, C, H, W). `outputs` are names of outputs or taps of the graph; empty means the graph's
  // outputs. Throws Error: kModel for an unknown name or missing parameters, kShape where the shapes do not
  // meet, kUsage for a SIMD level that this CPU lacks and for a senseless number of threads. Messages name
  // the node.
  Engine(const Graph& graph, const Weights& weights, const Shape& input,
         std::span<const std::string> outputs = {}, const EngineOptions& options = {});
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // Another engine for the same input that shares the packed weights, with memory and threads of its own: for
  // callers that run at the same time.
  Engine share(int threads = 0) const;

  // The values of the whole input, NCHW. Throws Error{kShape} when their number is not the compiled one.
  void run(std::span<const float> nchw);
  void run(const Tensor& input);  // float32 of the compiled shape

  size_t output_count() const;
  // Float32, of the shape the graph gives; overwritten by the next run.
  const Tensor& output(size_t i) const;
  // The output without a copy: `tensor`, of its shape, takes its place for the next run.
  void swap_output(size_t i, Tensor& tensor);

  int64_t bytes() const;  // of memory that it works in, its outputs among it; packed weights aside

  // Level, threads, memory, and a line a step: node, kernel, output shape, the memory it writes and reads.
  std::string describe() const;
  // Runs `repeats` times and times every step.
  std::vector<StepTime> time_steps(const Tensor& input, int repeats);

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace marrow::engine
