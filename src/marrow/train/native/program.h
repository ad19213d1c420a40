// A graph compiled for training on batches of one shape: steps forward and backward, and one static plan of
// the memory that their maps take.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "marrow/graph/graph.h"
#include "marrow/loss/map_view.h"
#include "marrow/train/native/step.h"
#include "marrow/train/native/steps/convolution.h"
#include "marrow/train/step/flat_parameters.h"

namespace marrow::train::native {

// Channels [begin, end) of a value, of which a loss reads the numbers and writes the gradient.
struct OutputRange {
  Value value;
  int begin = 0, end = 0;
};

struct ProgramSettings {
  std::vector<OutputRange> outputs;
  std::vector<std::string> frozen;  // as in ExecutorSettings
  std::vector<Value> given = {};    // the same
  // Products of these where they gain. REQUIRES: the kernels multiply pairs of them.
  bool bfloat16 = false;
  // What these values alone need is trained by them, but no gradient leaves it for what comes before: the
  // second branches of a head. Values of `outputs`.
  std::vector<Value> apart = {};
  // Stores every value and makes nothing again: for tests of what is made again.
  bool stores_all = false;
  bool input_gradient = false;  // that of the images is wanted, too
  Workers* workers = nullptr;   // whose batches count in batch norms, too
};

// Memory that programs take turns in: of the largest of them.
struct Workspace {
  Tensor arena, shared, scratch;
  std::map<size_t, PackedWeights> packed;  // by node
};

struct StepTime {
  std::string name, kind;
  double macs = 0;
  double forward_ms = 0, backward_ms = 0;  // the shortest of the repetitions
};

class Program {
 public:
  // `images` is the shape of the batch's, also where its features are given. `parameters`, `workspace` and
  // `pool` outlive this. Throws Error{kShape} where the batch does not fit the graph.
  Program(const Graph& graph, const Shape& images, const ProgramSettings& settings,
          FlatParameters& parameters, const Kernels& kernels, Workspace& workspace, cpu::ThreadPool& pool);

  // In training mode. `inputs`: the images, or what is given. What other programs left in the workspace is
  // lost, and does not matter. `version`: of the weights, another one after every change. Throws
  // Error{kShape}, with nothing changed, for inputs of other shapes than the program is for or of a type that
  // it does not know, and where the system has no memory for the workspace.
  void forward(std::span<const Tensor> inputs, const TrainingPlace& place, int64_t version);
  // From the gradients of all outputs, whose lanes beyond the last channel may hold anything. Adds to those
  // of the parameters.
  // `reached` is told every step that it has been through, from the last one down.
  void backward(const std::function<void(size_t step)>& reached = {});
  // The part of a worker without images in what the others compute, whose programs are as this one but for
  // the number of images. The outputs become zeros.
  void forward_without_images(bool moves_statistics);
  void backward_without_images(const std::function<void(size_t step)>& reached);
  void clear_outputs();

  size_t outputs() const { return outputs_.size(); }
  // One of them after forward(), and where its gradient goes.
  loss::MapView<const float> output(size_t index) const;
  loss::MapView<float> output_gradient(size_t index) const;

  // That of the images, after backward().
  loss::MapView<const float> input_gradient() const;

  // A forward that moves no statistics: the first node, "silu (model.3.act)", whose values are not all
  // finite;
  // "" when there is none.
  std::string first_non_finite(std::span<const Tensor> inputs, const TrainingPlace& place, int64_t version);

  // Times every step of `repeats` training steps; the outputs' gradients are what was left there.
  std::vector<StepTime> time_steps(const Tensor& images, int64_t version, int repeats);

  // Parameters whose gradient a backward pass adds to, and the step after which it is complete.
  struct Trained {
    std::string name;
    size_t step = 0;
  };
  const std::vector<Trained>& trained() const { return trained_; }
  const Shape& images() const { return images_; }
  int64_t arena_floats() const { return arena_floats_; }

 private:
  friend class Lowering;

  struct Check {
    std::string name;
    Reader reader;
    size_t after = 0;  // so many steps
    bool raw = false;  // as it is stored, without a batch norm that joined the map since
  };
  struct Unwritten {
    int map = 0;
    int64_t block = 0;
  };

  void plan_gradients();
  void plan_memory();
  void bind();
  void clear_spare_lanes();
  bool travels_back(const Step& step) const { return maps_[static_cast<size_t>(step.output)].has_gradient; }
  void step_back(const Run& run, size_t step);
  void check_inputs(std::span<const Tensor> inputs) const;
  Run run_of(std::span<const Tensor> inputs, const TrainingPlace& place, int64_t version, bool moves);
  template <class AfterStep>
  void run_forward(const Run& run, const AfterStep& after);
  bool is_finite(const Run& run, const Check& check) const;
  Norm& norm_of(const Step& step);  // of its output

  Shape images_;
  const Kernels& kernels_;
  Workspace& workspace_;
  cpu::ThreadPool& pool_;
  std::vector<Map> maps_;
  std::vector<Norm> norms_;
  std::vector<StepPtr> steps_;
  std::vector<std::vector<Unwritten>> unwritten_;  // by step: gradients that no reader gives
  std::vector<int> inputs_, outputs_;              // maps
  std::vector<Check> checks_;
  std::vector<Trained> trained_;
  int64_t arena_floats_ = 0, shared_floats_ = 0, scratch_floats_ = 0;
  TrainingPlace place_;
  int64_t version_ = 0;
};

}  // namespace marrow::train::native
