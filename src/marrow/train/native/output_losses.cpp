#include "marrow/train/native/output_losses.h"

#include <algorithm>
#include <cmath>

#include "marrow/base/error.h"
#include "marrow/loss/cross_entropy.h"
#include "marrow/loss/detection_head.h"
#include "marrow/loss/detection_loss.h"
#include "marrow/loss/objects.h"
#include "marrow/loss/segment_loss.h"

namespace marrow::train::native {
namespace {

// Of one pair of branches: a level's sides and classes are two ranges.
struct LossLevels {
  std::vector<loss::LevelMaps<const float>> maps;
  std::vector<loss::LevelMaps<float>> gradients;

  // The ranges from `first` on.
  LossLevels(const LossMaps& all, size_t first, size_t levels) {
    for (size_t l = 0; l < levels; ++l) {
      const size_t at = first + 2 * l;
      maps.push_back({all.outputs[at], all.outputs[at + 1]});
      if (!all.gradients.empty()) gradients.push_back({all.gradients[at], all.gradients[at + 1]});
    }
  }
  loss::DetectionLossInput<float> input(const LossMaps& all, const TrainingBatch& batch) const {
    return {.maps = maps,
            .targets = batch.targets,
            .ignored = batch.ignored,
            .gradients = gradients,
            .loss_scale = all.scale,
            .pool = &all.pool,
            .whole = all.whole};
  }
};

// The recipe differentiates the terms times the batch size, and shows them without.
template <class Terms>
std::vector<double> shown(const Terms& terms, const LossMaps& maps) {
  std::vector<double> values;
  const auto images = static_cast<double>(maps.whole.images(maps.outputs[0].images));
  for (const double term : terms) values.push_back(term / images);
  return values;
}

// The last term of masks and of turned boxes is younger than 8.3's rules.
std::vector<double> without_younger(std::vector<double> terms, Rules rules) {
  if (rules == Rules::k83) terms.pop_back();
  return terms;
}

// What detection heads have in common.
class OfHead : public LossOfOutputs {
 public:
  explicit OfHead(const Graph& graph) : head_(loss::detection_head(graph)) {
    add_pair(loss::detection_maps(graph));
  }
  std::vector<OutputRange> ranges() const override { return ranges_; }
  void check(const TrainingBatch& batch, int64_t images) const override {
    loss::group_objects(batch.targets, images, head_.classes, 1, 1);
    loss::group_regions(batch.ignored, images, 1, 1);
  }

 protected:
  void add_pair(std::span<const Value> maps) {
    const int sides = 4 * head_.reg_max;
    for (const Value map : maps) {
      ranges_.push_back({map, 0, sides});
      ranges_.push_back({map, sides, sides + head_.classes});
    }
  }
  void add_extras(const Graph& graph) {
    for (const Value map : loss::extra_maps(graph)) ranges_.push_back({map, 0, head_.extra_channels});
  }
  size_t levels() const { return head_.levels(); }
  // The ranges of the extra's maps.
  template <class Map>
  std::span<const Map> extras(std::span<const Map> maps) const {
    return maps.empty() ? maps : maps.subspan(2 * levels(), levels());
  }

  DetectDecode head_;
  std::vector<OutputRange> ranges_;
};

class OfDetection final : public OfHead {
 public:
  OfDetection(const Graph& graph, const loss::DetectionLossOptions& options)
      : OfHead(graph), loss_(head_.classes, head_.reg_max, head_.strides, options) {}
  std::vector<double> operator()(const LossMaps& maps, const TrainingBatch& batch) const override {
    return shown(loss_(LossLevels(maps, 0, levels()).input(maps, batch)), maps);
  }

 private:
  loss::DetectionLoss loss_;
};

class OfDualDetection final : public OfHead {
 public:
  OfDualDetection(const Graph& graph, const DualObjective& objective)
      : OfHead(graph),
        loss_(head_.classes, head_.reg_max, head_.strides, objective.detection),
        second_(loss::second_detection_maps(graph)),
        epochs_(objective.epochs) {
    add_pair(second_);
  }
  std::vector<Value> apart() const override { return second_; }
  std::vector<double> operator()(const LossMaps& maps, const TrainingBatch& batch) const override {
    const LossLevels many(maps, 0, levels()), one(maps, 2 * levels(), levels());
    const double share = loss::one_to_many_share(static_cast<int>(maps.epoch), epochs_);
    return shown(loss_(many.input(maps, batch), one.input(maps, batch), share).shown, maps);
  }

 private:
  loss::DualDetectionLoss loss_;
  std::vector<Value> second_;
  int epochs_;
};

class OfSegmentation final : public OfHead {
 public:
  OfSegmentation(const Graph& graph, const SegmentObjective& objective)
      : OfHead(graph),
        loss_(head_.classes, head_.reg_max, head_.strides, objective.detection),
        rules_(objective.detection.rules) {
    if (head_.extra != DetectExtra::kCoefficients) fail_model("the model's head does not segment");
    add_extras(graph);
    ranges_.push_back({graph.find(kPrototypesOutput), 0, head_.extra_channels});
  }
  std::vector<double> operator()(const LossMaps& maps, const TrainingBatch& batch) const override {
    const LossLevels head(maps, 0, levels());
    loss::SegmentLossInput<float> input = {.detection = head.input(maps, batch),
                                           .coefficients = extras(maps.outputs),
                                           .prototypes = maps.outputs.back(),
                                           .masks = batch.masks,
                                           .overlapping = batch.overlapping,
                                           .coefficient_gradients = extras(maps.gradients)};
    if (!maps.gradients.empty()) input.prototype_gradient = maps.gradients.back();
    return without_younger(shown(loss_(input), maps), rules_);
  }

 private:
  loss::SegmentLoss loss_;
  Rules rules_;
};

class OfPoses final : public OfHead {
 public:
  OfPoses(const Graph& graph, loss::PoseLossOptions options) : OfHead(graph), loss_(loss_of_head(options)) {
    add_extras(graph);
  }
  std::vector<double> operator()(const LossMaps& maps, const TrainingBatch& batch) const override {
    const LossLevels head(maps, 0, levels());
    return shown(loss_(loss::PoseLossInput<float>{.detection = head.input(maps, batch),
                                                  .points = extras(maps.outputs),
                                                  .keypoints = batch.keypoints,
                                                  .point_gradients = extras(maps.gradients)}),
                 maps);
  }

 private:
  loss::PoseLoss loss_of_head(loss::PoseLossOptions& options) const {
    options.numbers = numbers_of_point(head_.extra);
    if (options.numbers == 1) fail_model("the model's head finds no keypoints");
    options.points = head_.extra_channels / options.numbers;
    return {head_.classes, head_.reg_max, head_.strides, options};
  }

  loss::PoseLoss loss_;
};

class OfTurnedBoxes final : public OfHead {
 public:
  OfTurnedBoxes(const Graph& graph, const loss::TurnedLossOptions& options)
      : OfHead(graph),
        loss_(head_.classes, head_.reg_max, head_.strides, options),
        rules_(options.detection.rules) {
    if (head_.extra != DetectExtra::kAngle) fail_model("the model's head does not turn boxes");
    add_extras(graph);
  }
  void check(const TrainingBatch& batch, int64_t images) const override {
    loss::group_turned_objects(batch.targets, images, head_.classes, 1, 1);
    loss::group_regions(batch.ignored, images, 1, 1);
  }
  std::vector<double> operator()(const LossMaps& maps, const TrainingBatch& batch) const override {
    const LossLevels head(maps, 0, levels());
    const loss::TurnedLossInput<float> input = {.detection = head.input(maps, batch),
                                                .angles = extras(maps.outputs),
                                                .angle_gradients = extras(maps.gradients)};
    return without_younger(shown(loss_(input), maps), rules_);
  }

 private:
  loss::TurnedLoss loss_;
  Rules rules_;
};

class OfClassification final : public LossOfOutputs {
 public:
  explicit OfClassification(const Graph& graph) : logits_(graph.find("logits")) {
    classes_ = graph.node(logits_).channels;
  }
  std::vector<OutputRange> ranges() const override { return {{logits_, 0, classes_}}; }
  void check(const TrainingBatch& batch, int64_t images) const override {
    loss::check_class_targets(batch.targets, images, classes_);
  }
  std::vector<double> operator()(const LossMaps& maps, const TrainingBatch& batch) const override {
    return {loss::soft_cross_entropy(maps.outputs[0], batch.targets,
                                     maps.gradients.empty() ? nullptr : maps.gradients.data(), maps.scale,
                                     maps.whole)};
  }

 private:
  Value logits_;
  int classes_ = 0;
};

}  // namespace

std::unique_ptr<LossOfOutputs> loss_of(const Graph& graph, const Objective& objective) {
  using Loss = std::unique_ptr<LossOfOutputs>;
  return std::visit(
      Overloaded{
          [&](const loss::DetectionLossOptions& o) -> Loss {
            return std::make_unique<OfDetection>(graph, o);
          },
          [&](const ClassificationObjective&) -> Loss { return std::make_unique<OfClassification>(graph); },
          [&](const SegmentObjective& o) -> Loss { return std::make_unique<OfSegmentation>(graph, o); },
          [&](const loss::PoseLossOptions& o) -> Loss { return std::make_unique<OfPoses>(graph, o); },
          [&](const loss::TurnedLossOptions& o) -> Loss { return std::make_unique<OfTurnedBoxes>(graph, o); },
          [&](const DualObjective& o) -> Loss { return std::make_unique<OfDualDetection>(graph, o); }},
      objective);
}

}  // namespace marrow::train::native
