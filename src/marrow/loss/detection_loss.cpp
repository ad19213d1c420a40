#include "marrow/loss/detection_loss.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/loss/class_term.h"
#include "marrow/loss/detection_head.h"
#include "marrow/loss/foreground_terms.h"
#include "marrow/loss/predicted_boxes.h"

namespace marrow::loss {
namespace {

template <class T>
void check_map(const MapView<T>& map, const Shape& wanted, std::string_view what) {
  if (map.shape() != wanted)
    throw Error(ErrorKind::kShape, fmt::format("a map {} is {}; the loss wants {}", what,
                                               to_string(map.shape()), to_string(wanted)));
}

template <class T>
void check_gradient(const MapView<T>& gradient, const MapView<const T>& map) {
  check_map(gradient, map.shape(), "of gradients");
  if (gradient.lanes != map.lanes)
    throw Error(ErrorKind::kShape,
                fmt::format("a map has blocks of {} lanes, its gradients of {}", map.lanes, gradient.lanes));
}

// The background inside the regions.
LeftOut left_out_of(std::span<const AnchorLevel> levels, const Objects& regions,
                    std::span<const ImageAssignment> images) {
  LeftOut left_out(images.size());
  for (size_t i = 0; i < images.size(); ++i) {
    if (regions.first[i] == regions.first[i + 1]) continue;
    std::vector<uint8_t> marks(static_cast<size_t>(anchor_count(levels)));
    mark_inside(levels, regions, static_cast<int64_t>(i), 0, marks);
    for (const AssignedAnchor& assigned : images[i].foreground)
      marks[static_cast<size_t>(assigned.anchor)] = 0;
    if (std::ranges::find(marks, 1) != marks.end()) left_out[i] = std::move(marks);
  }
  return left_out;
}

}  // namespace

double DetectionAssignment::total(const WholeBatch& whole) const {
  double sum = 0;
  for (const ImageAssignment& image : images) sum += image.total;
  sum = whole.total(sum);
  return sum < 1 ? 1 : sum;  // NaN stays
}

int64_t DetectionAssignment::foreground(const WholeBatch& whole) const {
  int64_t count = 0;
  for (const ImageAssignment& image : images) count += std::ssize(image.foreground);
  return static_cast<int64_t>(whole.total(static_cast<double>(count)));
}

DetectionLoss::DetectionLoss(int classes, int reg_max, std::vector<int> strides,
                             const DetectionLossOptions& options)
    : classes_(classes), reg_max_(reg_max), strides_(std::move(strides)), options_(options) {
  options_.assigner = assigner_of(options_, strides_);
  if (!options_.class_weights.empty() && std::ssize(options_.class_weights) != classes_)
    throw Error(ErrorKind::kShape,
                fmt::format("{} class weights for {} classes", options_.class_weights.size(), classes_));
}

DetectionLoss::DetectionLoss(const Graph& graph, const DetectionLossOptions& options)
    : DetectionLoss(detection_head(graph).classes, detection_head(graph).reg_max,
                    detection_head(graph).strides, options) {}

template <class T>
std::vector<AnchorLevel> DetectionLoss::levels(const DetectionLossInput<T>& input) const {
  if (input.maps.empty() || input.maps.size() != strides_.size())
    throw Error(ErrorKind::kShape, fmt::format("{} maps for {} strides", input.maps.size(), strides_.size()));
  if (!input.gradients.empty() && input.gradients.size() != input.maps.size())
    throw Error(ErrorKind::kShape,
                fmt::format("{} maps of gradients for {} maps", input.gradients.size(), input.maps.size()));
  std::vector<AnchorLevel> levels;
  const int64_t images = input.maps[0].sides.images;
  for (size_t l = 0; l < input.maps.size(); ++l) {
    const LevelMaps<const T>& map = input.maps[l];
    const int64_t height = map.sides.height, width = map.sides.width;
    check_map(map.sides, {images, 4 * reg_max_, height, width}, "of sides");
    check_map(map.classes, {images, classes_, height, width}, "of classes");
    if (!input.gradients.empty()) {
      check_gradient(input.gradients[l].sides, map.sides);
      check_gradient(input.gradients[l].classes, map.classes);
    }
    levels.push_back({height, width, strides_[l], anchor_count(levels)});
  }
  return levels;
}

template <class T>
DetectionAssignment DetectionLoss::assign(const DetectionLossInput<T>& input) const {
  const std::vector<AnchorLevel> levels = this->levels(input);
  const int64_t images = input.maps[0].classes.images;
  DetectionAssignment assignment;
  assignment.objects = group_objects(input.targets, images, classes_, width_of(levels), height_of(levels));
  assignment.images.resize(static_cast<size_t>(images));
  std::vector<MapView<const T>> logits;
  for (const LevelMaps<const T>& level : input.maps) logits.push_back(level.classes);
  const LogitLoops<T> loops = logit_loops<T>(simd_);
  const Objects& objects = assignment.objects;
  for_each_chunk(input.pool, images, [&](int64_t image, int) {
    const auto i = static_cast<size_t>(image);
    if (objects.first[i] == objects.first[i + 1]) return;
    std::vector<uint8_t> marks(static_cast<size_t>(anchor_count(levels)));
    mark_inside(levels, objects, image, options_.assigner.smallest_side, marks);
    std::vector<MeasuredBox> boxes(marks.size());
    predict_boxes<T>(levels, input.maps, image, reg_max_, marks, loops, boxes);
    assignment.images[i] = loss::assign<T>(
        levels, logits, image, UprightShapes(objects, image, boxes, options_.assigner.smallest_side), objects,
        options_.assigner);
  });
  return assignment;
}

template <class T>
double DetectionLoss::background(const DetectionLossInput<T>& input, std::span<const AnchorLevel> levels,
                                 const DetectionAssignment& assignment, double scale) const {
  const Objects regions =
      group_regions(input.ignored, input.maps[0].classes.images, width_of(levels), height_of(levels));
  return background_class_term(input, std::span<const double>(options_.class_weights),
                               left_out_of(levels, regions, assignment.images), scale, logit_loops<T>(simd_));
}

template <class T>
DetectionTerms DetectionLoss::terms(const DetectionLossInput<T>& input,
                                    const DetectionAssignment& assignment) const {
  const std::vector<AnchorLevel> levels = this->levels(input);
  const int64_t images = input.maps[0].classes.images;
  const double share = static_cast<double>(input.whole.images(images)) / assignment.total(input.whole);
  const DetectionTerms gains = {options_.box_gain * share, options_.class_gain * share,
                                options_.dfl_gain * share};
  ForegroundOptions foreground = {.reg_max = reg_max_, .class_weights = options_.class_weights};
  for (size_t i = 0; i < gains.size(); ++i) foreground.scales[i] = gains[i] * input.loss_scale;

  DetectionTerms sums = {};
  sums[1] = background(input, levels, assignment, foreground.scales[1]);
  std::vector<DetectionTerms> of_images(static_cast<size_t>(images));
  for_each_chunk(input.pool, images, [&](int64_t image, int) {
    const auto i = static_cast<size_t>(image);
    of_images[i] = foreground_terms(input, std::span<const AnchorLevel>(levels), image, assignment.images[i],
                                    assignment.objects, foreground);
  });
  for (const DetectionTerms& of_image : of_images)
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += of_image[i];
  for (size_t i = 0; i < sums.size(); ++i) sums[i] *= gains[i];
  return sums;
}

template <class T>
DetectionTerms DetectionLoss::operator()(const DetectionLossInput<T>& input) const {
  return terms(input, assign(input));
}

DualDetectionLoss::DualDetectionLoss(int classes, int reg_max, const std::vector<int>& strides,
                                     const DetectionLossOptions& options)
    : many_(classes, reg_max, strides, one_to_many(options)),
      one_(classes, reg_max, strides, one_to_one(options)) {}

template <class T>
DualDetectionLoss::Terms DualDetectionLoss::operator()(const DetectionLossInput<T>& many,
                                                       const DetectionLossInput<T>& one, double share) const {
  DetectionLossInput<T> first = many, second = one;
  first.loss_scale *= share;
  second.loss_scale *= 1 - share;
  const DetectionTerms of_many = many_(first);
  Terms terms = {.loss = {}, .shown = one_(second)};
  for (size_t i = 0; i < of_many.size(); ++i)
    terms.loss[i] = of_many[i] * share + terms.shown[i] * (1 - share);
  return terms;
}

template double DetectionLoss::background(const DetectionLossInput<float>&, std::span<const AnchorLevel>,
                                          const DetectionAssignment&, double) const;
template double DetectionLoss::background(const DetectionLossInput<double>&, std::span<const AnchorLevel>,
                                          const DetectionAssignment&, double) const;
template std::vector<AnchorLevel> DetectionLoss::levels(const DetectionLossInput<float>&) const;
template std::vector<AnchorLevel> DetectionLoss::levels(const DetectionLossInput<double>&) const;
template DetectionAssignment DetectionLoss::assign(const DetectionLossInput<float>&) const;
template DetectionAssignment DetectionLoss::assign(const DetectionLossInput<double>&) const;
template DetectionTerms DetectionLoss::terms(const DetectionLossInput<float>&,
                                             const DetectionAssignment&) const;
template DetectionTerms DetectionLoss::terms(const DetectionLossInput<double>&,
                                             const DetectionAssignment&) const;
template DetectionTerms DetectionLoss::operator()(const DetectionLossInput<float>&) const;
template DetectionTerms DetectionLoss::operator()(const DetectionLossInput<double>&) const;
template DualDetectionLoss::Terms DualDetectionLoss::operator()(const DetectionLossInput<float>&,
                                                                const DetectionLossInput<float>&,
                                                                double) const;
template DualDetectionLoss::Terms DualDetectionLoss::operator()(const DetectionLossInput<double>&,
                                                                const DetectionLossInput<double>&,
                                                                double) const;

}  // namespace marrow::loss
