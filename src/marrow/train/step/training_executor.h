// What computes a training step: forward, loss, backward, the optimizer and the moving average. The trainer
// knows no more of it than this, and no library's tensors; there is one on Marrow's own kernels and one on
// LibTorch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "marrow/distributed/communicator.h"
#include "marrow/graph/graph.h"
#include "marrow/graph/training_mode.h"
#include "marrow/loss/options.h"
#include "marrow/loss/pose_loss.h"
#include "marrow/loss/turned_loss.h"
#include "marrow/train/recipe/optimizer_choice.h"
#include "marrow/train/recipe/schedule.h"
#include "marrow/train/recipe/train_options.h"
#include "marrow/train/step/parameter_groups.h"

namespace marrow::train {

// What the frozen part of a network makes of a batch's images, in their place.
struct Features {
  Shape images;              // that they are of
  std::vector<Tensor> maps;  // (N, C, H, W) float32, one for each of ExecutorSettings::given
};

struct TrainingBatch {
  // (N, C, H, W): a loader's pixels (uint8, or int32 of 16 bits; red first), which become what the graph's
  // input node says (order, scale, mean, std); or float32 that is ready for the network.
  Tensor images;
  // Detection: (T, 6) float32, an object a row: image, class, cx, cy, w, h, as fractions of the image.
  // Classification: (N, classes) float32, rows sum to 1.
  Tensor targets;
  // Detection: (R, 5) float32: image, cx, cy, w, h of regions to ignore. Undefined: none.
  Tensor ignored = {};
  // Segmentation: as loss::SegmentLossInput has them. Turned boxes: `targets` have the angle behind the box.
  Tensor masks = {};
  bool overlapping = true;
  Tensor keypoints = {};   // poses: as loss::PoseLossInput has them
  Features features = {};  // where the executor has values that are given; `images` is not read then
  // The other workers of ExecutorSettings have the rest of the batch. These may be no images then.
  bool is_part = false;
};

// What is minimised.
struct ClassificationObjective {};
struct SegmentObjective {
  loss::DetectionLossOptions detection;
};
// Both branches of an end-to-end head; what the second trains ends where it begins. The weight of the first
// falls over the epochs of the run. The terms that are shown are the second's.
struct DualObjective {
  loss::DetectionLossOptions detection;
  int epochs = 1;
};
using Objective = std::variant<loss::DetectionLossOptions, ClassificationObjective, SegmentObjective,
                               loss::PoseLossOptions, loss::TurnedLossOptions, DualObjective>;

class Workers;  // step/workers.h

struct ExecutorSettings {
  Objective objective;
  std::vector<ParameterGroup> groups;
  OptimizerKind optimizer = OptimizerKind::kSgd;
  double beta1 = 0.9;  // of Adam's family. SGD, MuSGD and RMSprop take theirs with every step
  // A parameter whose name contains one of these ("model.0.") gets no gradient, and a batch norm whose scale
  // is such a parameter normalises by its running statistics, which do not move.
  std::vector<std::string> frozen = {};
  // Values that every batch of accumulate() brings as its features, so that nothing before them is computed:
  // nothing there is trained. None: batches bring images.
  std::vector<Value> given = {};
  std::string device = "cpu";
  std::string precision = "float32";  // of products: "float32", "bf16" or "fp16"
  int threads = 0;                    // 0: all
  Workers* workers = nullptr;         // outlive the executor; none: it is alone
};

// All of an executor between two steps, with no gradient pending. Copies.
struct ExecutorState {
  Weights weights;    // that are trained
  Weights average;    // their moving average, which is validated and kept
  Weights optimizer;  // SLOT/PARAMETER: "momentum/model.0.conv.weight"
  int64_t optimizer_steps = 0;
  double momentum_product = 1;  // NAdam
  int64_t average_updates = 0;
};

// One thread at a time. Every result is a function of the state, the batch and its place.
class TrainingExecutor {
 public:
  virtual ~TrainingExecutor() = default;

  // Forward in training mode, loss, and backward; adds to the gradients, times `loss_scale`. Returns the
  // loss's terms as they are shown: without `loss_scale`, and without the batch size that detection
  // multiplies them by before it differentiates. They may not be finite, and then the gradients are useless.
  // With other workers the terms are those of the whole batch; the gradients are added up over the workers
  // when an update is to follow, and only then. Throws Error{kShape} for a batch that does not fit.
  enum class Then { kAccumulate, kUpdate };
  virtual std::vector<double> accumulate(const TrainingBatch& batch, const TrainingPlace& place,
                                         double loss_scale = 1, Then then = Then::kUpdate) = 0;

  // Scales the gradients by `factor` first, then down to a global norm of `max_norm` where it is above that;
  // returns the norm in between. Where it is not finite the gradients are useless, and update() must not
  // follow.
  virtual double clip_gradients(double max_norm, double factor) = 0;

  // One step of the optimizer and of the average. The gradients are used up.
  virtual void update(const IterationSettings& settings) = 0;
  virtual void drop_gradients() = 0;
  // Copies, by name, of all that accumulate() has added to since the last update, as if not clipped.
  virtual Weights gradients() const = 0;

  // In evaluation mode, by the averaged weights. The loss comes with the outputs, since one forward has both
  // and what the loss reads need not leave the executor.
  struct Evaluation {
    std::vector<Tensor> outputs;  // one a target, float32; of the images at hand
    std::vector<double> losses;   // of the whole batch, as accumulate() returns them
    int64_t all_images = 0;       // of the whole batch
  };
  virtual Evaluation evaluate_average(const TrainingBatch& batch, std::span<const Value> targets) = 0;

  virtual ExecutorState state() const = 0;
  // Throws Error{kModel} naming what is missing, of another shape, or of no parameter. Drops gradients. With
  // other workers the first one's numbers become everyone's, and Error{kModel} names one whose state is
  // another.
  virtual void load(const ExecutorState& state) = 0;
  // VanillaNet's slope, in the weights and in their average.
  virtual void set_scalar(std::string_view name, double value) = 0;

  // Repeats a training forward without moving any statistics and names what first held a NaN or an infinity:
  // "the input", "parameter 'model.3.conv.weight'" or "silu (model.3.act)". Empty when all is finite.
  virtual std::string first_non_finite(const TrainingBatch& batch, const TrainingPlace& place) = 0;
  // The first by name; empty when there is none.
  virtual std::string non_finite_parameter() const = 0;
  virtual std::string non_finite_gradient() const = 0;

  virtual int64_t bytes_in_use() const = 0;  // of memory, for a person to read
  // What evaluate_average() takes beside it, of a batch of this shape; 0 where that is not known.
  virtual int64_t evaluation_bytes(const Shape& images, std::span<const Value> targets) {
    (void)images, (void)targets;
    return 0;
  }
};

using MakeExecutor = std::function<std::unique_ptr<TrainingExecutor>(
    const Graph& graph, const ExecutorState& start, const ExecutorSettings& settings)>;

// What a run computes with.
struct TrainingBackend {
  std::string device = "cpu";         // "cuda:0"
  std::string precision = "float32";  // as in ExecutorSettings
  int threads = 1;
  MakeExecutor make_executor;
  // To the other workers of a run; outlives it. None: it is alone.
  distributed::Communicator* communicator = nullptr;
  std::string program =
      {};  // what workers must have in common, for a person: its version, the kind of processor
};

// From a run's options, of which it reads `device`, `amp`, `threads` and what else concerns only how a step
// is computed. Throws Error{kUsage} for a device that is not here.
using ChooseBackend = std::function<TrainingBackend(const TrainOptions& options)>;

}  // namespace marrow::train
