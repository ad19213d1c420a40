#include "marrow/loss/segment_loss.h"

#include <fmt/format.h>

#include <cmath>

#include "marrow/base/error.h"
#include "marrow/loss/extra_maps.h"
#include "marrow/loss/mask_term.h"

namespace marrow::loss {
namespace {

// 8.3 rounds the boxes of an image with fewer foreground anchors, on a CPU, to whole pixels of the masks.
constexpr size_t kRoundedBelow = 50;

DetectionLossOptions with_unweighted(DetectionLossOptions options) {
  options.assigner.with_unweighted = true;
  return options;
}

void check_masks(const Tensor& masks, bool overlapping, int64_t images, int64_t targets) {
  const int64_t planes = overlapping ? images : targets;
  if (masks.shape().size() != 3 || masks.dim(0) != planes ||
      (masks.dtype() != DType::kUInt8 && masks.dtype() != DType::kInt32) ||
      (planes > 0 && masks.dim(1) * masks.dim(2) == 0))
    throw Error(ErrorKind::kShape,
                fmt::format("the masks are {} of {}; the loss wants ({}, height, width) of U8 or I32",
                            to_string(masks.shape()), dtype_name(masks.dtype()), planes));
}

// One image's masks.
template <class T>
class MasksOfImage {
 public:
  MasksOfImage(const SegmentLossInput<T>& input, std::span<const AnchorLevel> levels,
               const DetectionAssignment& assignment, int64_t image, double scale, Rules rules)
      : input_(input),
        levels_(levels),
        assignment_(assignment),
        image_(image),
        scale_(scale),
        rules_(rules) {}

  // The sum over the foreground. Writes the gradients.
  double sum() {
    const bool with_gradient = !input_.coefficient_gradients.empty();
    for (const MapView<T>& map : input_.coefficient_gradients) fill_with_zeros(map, image_);
    const auto& foreground = assignment_.images[static_cast<size_t>(image_)].foreground;
    if (foreground.empty()) {
      if (with_gradient) fill_with_zeros(input_.prototype_gradient, image_);
      return 0;
    }
    PlanarPrototypes<T> prototypes =
        planar(input_.prototypes, image_, input_.masks.dim(1), input_.masks.dim(2), with_gradient);
    double sum = 0;
    for (const AssignedAnchor& assigned : foreground) {
      const CellOfAnchor cell = cell_of(levels_, assigned.anchor);
      std::vector<double> gradient(static_cast<size_t>(prototypes.count), 0);
      sum += mask_term<T>(prototypes, numbers_at(input_.coefficients[cell.level], image_, cell.cell),
                          mask_of(assigned.object), region_of(assigned.object), scale_, gradient);
      if (with_gradient) write_at(input_.coefficient_gradients[cell.level], image_, cell.cell, gradient);
    }
    if (with_gradient) write_gradient(prototypes, input_.prototype_gradient, image_);
    return sum;
  }

 private:
  ObjectMask mask_of(int64_t object) const {
    const int64_t pixels = input_.masks.dim(1) * input_.masks.dim(2);
    if (!input_.overlapping)
      return {&input_.masks, assignment_.objects.rows[static_cast<size_t>(object)] * pixels, 0};
    return {&input_.masks, image_ * pixels,
            object - assignment_.objects.first[static_cast<size_t>(image_)] + 1};
  }
  MaskRegion region_of(int64_t object) const {
    const BoxXyxy& box = assignment_.objects.boxes[static_cast<size_t>(object)];
    const double width = width_of(levels_), height = height_of(levels_);
    // Rounded as the boxes are recorded: an edge on a whole pixel decides whether it counts.
    const auto x = static_cast<float>(input_.masks.dim(2));
    const auto y = static_cast<float>(input_.masks.dim(1));
    const auto w = static_cast<float>(width), h = static_cast<float>(height);
    MaskRegion region = {box[0] / w * x, box[1] / h * y, box[2] / w * x, box[3] / h * y,
                         (box[2] - box[0]) / width * ((box[3] - box[1]) / height)};
    if (rules_ == Rules::k83 &&
        assignment_.images[static_cast<size_t>(image_)].foreground.size() < kRoundedBelow)
      for (double* edge : {&region.x1, &region.y1, &region.x2, &region.y2}) *edge = std::nearbyint(*edge);
    return region;
  }

  const SegmentLossInput<T>& input_;
  std::span<const AnchorLevel> levels_;
  const DetectionAssignment& assignment_;
  int64_t image_;
  double scale_;
  Rules rules_;
};

// Each pixel that of the given masks at the same share of the way.
Tensor nearest_masks(const Tensor& masks, int64_t height, int64_t width) {
  const auto resize = [&]<class Number>(Number) {
    Tensor resized({masks.dim(0), height, width}, masks.dtype());
    const auto from = masks.values<Number>();
    auto to = resized.values<Number>().begin();
    for (int64_t plane = 0; plane < masks.dim(0); ++plane)
      for (int64_t y = 0; y < height; ++y)
        for (int64_t x = 0; x < width; ++x) {
          const int64_t row = y * masks.dim(1) / height, column = x * masks.dim(2) / width;
          *to++ = from[static_cast<size_t>((plane * masks.dim(1) + row) * masks.dim(2) + column)];
        }
    return resized;
  };
  return masks.dtype() == DType::kUInt8 ? resize(uint8_t{}) : resize(int32_t{});
}

}  // namespace

SegmentLoss::SegmentLoss(int classes, int reg_max, const std::vector<int>& strides,
                         const DetectionLossOptions& options)
    : detection_(classes, reg_max, strides, with_unweighted(options)),
      gain_(options.box_gain),
      rules_(options.rules) {}

template <class T>
DetectionAssignment SegmentLoss::assign(const SegmentLossInput<T>& input) const {
  return detection_.assign(input.detection);
}

template <class T>
SegmentTerms SegmentLoss::terms(const SegmentLossInput<T>& input,
                                const DetectionAssignment& assignment) const {
  const DetectionLossInput<T>& detection = input.detection;
  const std::vector<AnchorLevel> levels = detection_.levels(detection);
  const int64_t images = detection.maps[0].sides.images;
  check_masks(input.masks, input.overlapping, images, detection.targets.dim(0));
  check_extra_maps<T>(input.coefficients, input.coefficient_gradients, levels, images,
                      input.prototypes.channels);

  SegmentLossInput<T> resized = input;
  const int64_t height = input.prototypes.height, width = input.prototypes.width;
  if (rules_ == Rules::k83 && (input.masks.dim(1) != height || input.masks.dim(2) != width))
    resized.masks = nearest_masks(input.masks, height, width);
  const int64_t count = assignment.foreground(detection.whole);
  const double scale =
      count == 0 ? 0
                 : gain_ * static_cast<double>(detection.whole.images(images)) / static_cast<double>(count);
  std::vector<double> sums(static_cast<size_t>(images));
  for_each_chunk(detection.pool, images, [&](int64_t image, int) {
    sums[static_cast<size_t>(image)] =
        MasksOfImage<T>(resized, levels, assignment, image, scale * detection.loss_scale, rules_).sum();
  });
  double sum = 0;
  for (const double of_image : sums) sum += of_image;
  const DetectionTerms shared = detection_.terms(detection, assignment);
  return {shared[0], sum * scale, shared[1], shared[2], 0};
}

template DetectionAssignment SegmentLoss::assign(const SegmentLossInput<float>&) const;
template DetectionAssignment SegmentLoss::assign(const SegmentLossInput<double>&) const;
template SegmentTerms SegmentLoss::terms(const SegmentLossInput<float>&, const DetectionAssignment&) const;
template SegmentTerms SegmentLoss::terms(const SegmentLossInput<double>&, const DetectionAssignment&) const;

}  // namespace marrow::loss
