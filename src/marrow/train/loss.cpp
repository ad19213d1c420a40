#include "marrow/train/loss.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "marrow/base/error.h"
#include "marrow/train/anchors.h"
#include "marrow/train/iou.h"

namespace marrow::train {
namespace {

const Node& detection_node(const Graph& graph) {
  for (const Node& node : graph.nodes)
    if (std::holds_alternative<DetectDecode>(node.operation)) return node;
  throw Error(ErrorKind::kModel, "the model has no detection head");
}

// The expectation of the distances' distributions, whose logits lie along `axis`, which goes.
torch::Tensor expected_distances(const torch::Tensor& logits, int64_t axis) {
  std::vector<int64_t> shape(static_cast<size_t>(logits.dim()), 1);
  shape[static_cast<size_t>(axis)] = -1;
  const torch::Tensor bins = torch::arange(logits.size(axis), logits.options().requires_grad(false));
  return (logits.softmax(axis) * bins.view(shape)).sum(axis);
}

// Rows by image, in the order they came, padded with zeros; boxes in pixels of a `width` x `height` input.
PaddedObjects pad(const DetectionTargets& targets, int64_t images, int classes, double width, double height,
                  torch::Device device) {
  const torch::Tensor image = targets.image.to(torch::kCPU, torch::kInt64).contiguous();
  const torch::Tensor label = targets.classes.to(torch::kCPU, torch::kInt64).contiguous();
  const torch::Tensor box = targets.boxes.to(torch::kCPU, torch::kFloat32).contiguous();
  const int64_t rows = image.numel();
  if (label.numel() != rows || box.numel() != 4 * rows)
    throw Error(ErrorKind::kShape,
                fmt::format("the targets disagree: {} image indices, {} classes, {} box numbers", rows,
                            label.numel(), box.numel()));
  const auto* image_of = image.data_ptr<int64_t>();
  const auto* label_of = label.data_ptr<int64_t>();
  const auto* box_of = box.data_ptr<float>();

  std::vector<int64_t> counts(static_cast<size_t>(images), 0);
  for (int64_t t = 0; t < rows; ++t) {
    if (image_of[t] < 0 || image_of[t] >= images)
      throw Error(ErrorKind::kShape,
                  fmt::format("target {}: image {} of a batch of {}", t, image_of[t], images));
    if (label_of[t] < 0 || label_of[t] >= classes)
      throw Error(ErrorKind::kShape,
                  fmt::format("target {}: class {}, but the model has {} classes", t, label_of[t], classes));
    ++counts[static_cast<size_t>(image_of[t])];
  }
  const int64_t most = images == 0 ? 0 : *std::ranges::max_element(counts);
  torch::Tensor labels = torch::zeros({images, most}, torch::kInt64);
  torch::Tensor boxes = torch::zeros({images, most, 4}, torch::kFloat32);
  auto* labels_out = labels.data_ptr<int64_t>();
  auto* boxes_out = boxes.data_ptr<float>();
  std::ranges::fill(counts, 0);
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  for (int64_t t = 0; t < rows; ++t) {
    const int64_t slot = image_of[t] * most + counts[static_cast<size_t>(image_of[t])]++;
    labels_out[slot] = label_of[t];
    const float cx = box_of[4 * t] * w, cy = box_of[4 * t + 1] * h;
    const float half_width = box_of[4 * t + 2] * w / 2, half_height = box_of[4 * t + 3] * h / 2;
    const float sides[4] = {cx - half_width, cy - half_height, cx + half_width, cy + half_height};
    std::ranges::copy(sides, boxes_out + 4 * slot);
  }
  const torch::Tensor valid = boxes.sum(-1) > 0;
  return {labels.to(device), boxes.to(device), valid.to(device)};
}

// (N, 1, A) float32: 0 for the background's anchors inside a region to ignore, 1 for all others.
torch::Tensor kept_anchors(const torch::Tensor& ignored, const torch::Tensor& foreground,
                           const torch::Tensor& anchors, double width, double height) {
  const torch::Tensor image = ignored.select(1, 0);
  const PaddedObjects regions = pad({image, torch::zeros_like(image), ignored.narrow(1, 1, 4)},
                                    foreground.size(0), 1, width, height, foreground.device());
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
  const auto& decode = std::get<DetectDecode>(detection_node(graph).operation);
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
  const torch::Tensor raw = join_levels(maps).to(torch::kFloat32);  // (N, 4 R + C, A)
  const auto parts = raw.split_with_sizes({sides, classes_}, 1);
  const torch::Tensor &distributions = parts[0], &logits = parts[1];
  const Anchors grid = make_anchors(maps, strides_);
  const double width = static_cast<double>(maps[0].size(3)) * strides_[0];
  const double height = static_cast<double>(maps[0].size(2)) * strides_[0];
  const PaddedObjects objects = pad(targets, n, classes_, width, height, raw.device());

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
    const torch::Tensor target = objects.boxes.index({image, object}) / stride;  // cells
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

namespace {

DetectionLossOptions of_branch(DetectionLossOptions options, int top_k, int top_k_after) {
  options.assigner.top_k = top_k;
  options.assigner.top_k_after = top_k_after;
  return options;
}

}  // namespace

DualDetectionLoss::DualDetectionLoss(int classes, int reg_max, const std::vector<int>& strides,
                                     DetectionLossOptions options)
    : many_(classes, reg_max, strides, of_branch(options, 10, 0)),
      one_(classes, reg_max, strides, of_branch(options, 7, 1)) {}

DetectionLossResult DualDetectionLoss::operator()(std::span<const torch::Tensor> one_to_many,
                                                  std::span<const torch::Tensor> one_to_one,
                                                  const DetectionTargets& targets, double share) const {
  const DetectionLossResult many = many_(one_to_many, targets);
  DetectionLossResult one = one_(one_to_one, targets);
  one.loss = many.loss * share + one.loss * (1 - share);
  return one;
}

double one_to_many_share(int finished, int epochs) {
  return 0.1 + 0.7 * std::max(1 - static_cast<double>(finished) / std::max(epochs - 1, 1), 0.0);
}

std::vector<double> class_weights(std::span<const int64_t> counts, double power) {
  std::vector<double> weights;
  double sum = 0;
  int64_t present = 0;
  for (const int64_t count : counts) {
    weights.push_back(count > 0 ? std::pow(1.0 / static_cast<double>(count), power) : 0);
    sum += weights.back();
    present += count > 0;
  }
  if (power == 0 || present == 0) return {};
  const double mean = sum / static_cast<double>(present);
  for (double& weight : weights) weight = weight > 0 ? weight / mean : 1;
  return weights;
}

std::vector<Value> detection_maps(const Graph& graph) {
  return detection_node(graph).inputs;
}

torch::Tensor soft_cross_entropy(const torch::Tensor& logits, const torch::Tensor& targets) {
  const torch::Tensor wide = logits.scalar_type() == torch::kFloat64 ? logits : logits.to(torch::kFloat32);
  return -(targets * wide.log_softmax(1)).sum(1).mean();
}

}  // namespace marrow::train
