#include "marrow/train/torch/loss.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/loss/objects.h"
#include "marrow/train/torch/anchors.h"
#include "marrow/train/torch/iou.h"

namespace marrow::train {
namespace {

torch::Tensor at_least_float32(const torch::Tensor& x) {
  return x.scalar_type() == torch::kFloat64 ? x : x.to(torch::kFloat32);
}

// The expectation of the distances' distributions, whose logits lie along `axis`, which goes.
torch::Tensor expected_distances(const torch::Tensor& logits, int64_t axis) {
  std::vector<int64_t> shape(static_cast<size_t>(logits.dim()), 1);
  shape[static_cast<size_t>(axis)] = -1;
  const torch::Tensor bins = torch::arange(logits.size(axis), logits.options().requires_grad(false));
  return (logits.softmax(axis) * bins.view(shape)).sum(axis);
}

// Padded with zeros; boxes in pixels.
PaddedObjects pad(const loss::Objects& objects, torch::Device device) {
  const auto images = static_cast<int64_t>(objects.first.size()) - 1;
  int64_t most = 0;
  for (size_t i = 1; i < objects.first.size(); ++i)
    most = std::max(most, objects.first[i] - objects.first[i - 1]);
  torch::Tensor labels = torch::zeros({images, most}, torch::kInt64);
  torch::Tensor boxes = torch::zeros({images, most, 4}, torch::kFloat32);
  for (int64_t image = 0; image < images; ++image) {
    const int64_t first = objects.first[static_cast<size_t>(image)];
    for (int64_t object = first; object < objects.first[static_cast<size_t>(image) + 1]; ++object) {
      const int64_t slot = image * most + object - first;
      labels.data_ptr<int64_t>()[slot] = objects.labels[static_cast<size_t>(object)];
      std::ranges::copy(objects.boxes[static_cast<size_t>(object)], boxes.data_ptr<float>() + 4 * slot);
    }
  }
  const torch::Tensor valid = boxes.sum(-1) > 0;
  return {labels.to(device), boxes.to(device), valid.to(device)};
}

// In pixels of a `width` x `height` input.
loss::Objects objects_of(const DetectionTargets& targets, int64_t images, int classes, double width,
                         double height) {
  const int64_t rows = targets.image.numel();
  if (targets.classes.numel() != rows || targets.boxes.numel() != 4 * rows)
    throw Error(ErrorKind::kShape,
                fmt::format("the targets disagree: {} image indices, {} classes, {} box numbers", rows,
                            targets.classes.numel(), targets.boxes.numel()));
  const auto columns = [&](const torch::Tensor& values, int64_t count) {
    return values.to(torch::kCPU, torch::kFloat32).reshape({rows, count});
  };
  const torch::Tensor table =
      torch::cat({columns(targets.image, 1), columns(targets.classes, 1), columns(targets.boxes, 4)}, 1);
  return loss::group_objects(from_torch(table), images, classes, width, height);
}

// (N, 1, A) float32: 0 for the background's anchors inside a region to ignore, 1 for all others.
torch::Tensor kept_anchors(const torch::Tensor& ignored, const torch::Tensor& foreground,
                           const torch::Tensor& anchors, double width, double height) {
  const PaddedObjects regions =
      pad(loss::group_regions(from_torch(ignored.to(torch::kFloat32)), foreground.size(0), width, height),
          foreground.device());
  const torch::Tensor inside = anchors_inside(anchors, regions).any(1);  // (N, A)
  return inside.logical_not().logical_or_(foreground).to(torch::kFloat32).unsqueeze(1);
}

}  // namespace

torch::Tensor distribution_focal_loss(const torch::Tensor& logits, const torch::Tensor& distances) {
  const torch::Tensor target = distances.clamp(0, static_cast<double>(logits.size(-1)) - 1.01);
  const torch::Tensor left = target.to(torch::kInt64);
  const torch::Tensor right_weight = target - left, left_weight = 1 - right_weight;
  const torch::Tensor log_probability = logits.log_softmax(-1);
  const auto log_of = [&](const torch::Tensor& bin) {
    return log_probability.gather(-1, bin.unsqueeze(-1)).squeeze(-1);
  };
  return -(log_of(left) * left_weight + log_of(left + 1) * right_weight).mean(-1);
}

DetectionLoss::DetectionLoss(int classes, int reg_max, std::vector<int> strides,
                             const DetectionLossOptions& options)
    : classes_(classes), reg_max_(reg_max), strides_(std::move(strides)), options_(options) {
  options_.assigner = loss::assigner_of(options_, strides_);
}

DetectionLoss::DetectionLoss(const Graph& graph, const DetectionLossOptions& options) : options_(options) {
  const DetectDecode& decode = loss::detection_head(graph);
  classes_ = decode.classes;
  reg_max_ = decode.reg_max;
  strides_ = decode.strides;
  options_.assigner = loss::assigner_of(options_, strides_);
}

DetectionLossResult DetectionLoss::operator()(std::span<const torch::Tensor> maps,
                                              const DetectionTargets& targets) const {
  if (maps.empty() || maps.size() != strides_.size())
    throw Error(ErrorKind::kShape, fmt::format("{} maps for {} strides", maps.size(), strides_.size()));
  for (const torch::Tensor& map : maps)
    if (map.dim() != 4 || map.size(0) != maps[0].size(0) || map.size(1) != 4 * reg_max_ + classes_)
      throw Error(ErrorKind::kShape,
                  fmt::format("a map is {}; the loss wants ({}, {}, H, W)", to_string(map.sizes().vec()),
                              maps[0].size(0), 4 * reg_max_ + classes_));

  const int64_t n = maps[0].size(0), sides = 4 * reg_max_;
  const torch::Tensor raw = at_least_float32(join_levels(maps));  // (N, 4 R + C, A)
  const auto parts = raw.split_with_sizes({sides, classes_}, 1);
  const torch::Tensor &distributions = parts[0], &logits = parts[1];
  const Anchors grid = make_anchors(maps, strides_);
  const double width = static_cast<double>(maps[0].size(3)) * strides_[0];
  const double height = static_cast<double>(maps[0].size(2)) * strides_[0];
  const PaddedObjects objects = pad(objects_of(targets, n, classes_, width, height), raw.device());

  Assignment assignment;
  {
    const torch::NoGradGuard no_grad;
    const torch::Tensor sides_of =
        reg_max_ == 1 ? distributions : expected_distances(distributions.reshape({n, 4, reg_max_, -1}), 2);
    const torch::Tensor distances = sides_of.transpose(1, 2);
    assignment = assign(logits, distances_to_boxes(grid.centres, distances) * grid.strides,
                        grid.centres * grid.strides, objects, options_.assigner);
  }
  const torch::Tensor total = assignment.weights.sum().clamp_min(1);

  // The binary cross entropy of a logit x and a target t is softplus(x) - x t, and t is 0 but for one class
  // of each foreground anchor.
  torch::Tensor class_weights;
  if (!options_.class_weights.empty()) class_weights = torch::tensor(options_.class_weights, raw.options());
  torch::Tensor class_term = at::softplus(logits);
  if (class_weights.defined()) class_term = class_term * class_weights.view({1, -1, 1});
  if (targets.ignored.defined() && targets.ignored.size(0) > 0)
    class_term = class_term * kept_anchors(targets.ignored, assignment.foreground,
                                           grid.centres * grid.strides, width, height);
  class_term = class_term.sum();
  torch::Tensor box_term = torch::zeros({}, raw.options()), third_term = box_term;
  const torch::Tensor foreground = assignment.foreground.nonzero();  // (F, 2)
  if (foreground.size(0) > 0) {
    const torch::Tensor image = foreground.select(1, 0), anchor = foreground.select(1, 1);
    const torch::Tensor weight = assignment.weights.index({image, anchor});
    const torch::Tensor object = assignment.object.index({image, anchor});
    const torch::Tensor label = objects.labels.index({image, object});
    const torch::Tensor counts = class_weights.defined() ? weight * class_weights.index({label}) : weight;
    class_term = class_term - (logits.index({image, label, anchor}) * counts).sum();

    const torch::Tensor stride = grid.strides.index({anchor}), centre = grid.centres.index({anchor});
    const torch::Tensor target =
        objects.boxes.index({image, object}).to(raw.scalar_type()) / stride;  // cells
    const torch::Tensor wanted = boxes_to_distances(centre, target);
    const torch::Tensor distribution =
        distributions.transpose(1, 2).index({image, anchor}).view({-1, 4, reg_max_});
    const torch::Tensor found = reg_max_ == 1 ? distribution.squeeze(2) : expected_distances(distribution, 2);
    const torch::Tensor box = distances_to_boxes(centre, found);
    box_term = ((1 - box_iou(box, target, IouKind::kCiou)) * weight).sum();
    if (reg_max_ == 1) {
      const torch::Tensor sides_of_input =
          torch::tensor({width, height, width, height}, raw.options().requires_grad(false));
      third_term = ((found - wanted).abs() * stride / sides_of_input).mean(-1) * weight;
    } else {
      third_term = distribution_focal_loss(distribution, wanted) * weight;
    }
    third_term = third_term.sum();
  }
  const torch::Tensor items = torch::stack({box_term * options_.box_gain, class_term * options_.class_gain,
                                            third_term * options_.dfl_gain}) /
                              total;
  return {items * n, items.detach(), assignment, objects};
}

DualDetectionLoss::DualDetectionLoss(int classes, int reg_max, const std::vector<int>& strides,
                                     const DetectionLossOptions& options)
    : many_(classes, reg_max, strides, loss::one_to_many(options)),
      one_(classes, reg_max, strides, loss::one_to_one(options)) {}

DetectionLossResult DualDetectionLoss::operator()(std::span<const torch::Tensor> one_to_many,
                                                  std::span<const torch::Tensor> one_to_one,
                                                  const DetectionTargets& targets, double share) const {
  const DetectionLossResult many = many_(one_to_many, targets);
  DetectionLossResult one = one_(one_to_one, targets);
  one.loss = many.loss * share + one.loss * (1 - share);
  return one;
}

torch::Tensor soft_cross_entropy(const torch::Tensor& logits, const torch::Tensor& targets) {
  return -(targets * at_least_float32(logits).log_softmax(1)).sum(1).mean();
}

}  // namespace marrow::train
