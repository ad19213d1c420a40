#include "marrow/loss/pose_loss.h"

#include <fmt/format.h>

#include <cmath>

#include "marrow/base/error.h"
#include "marrow/loss/extra_maps.h"

namespace marrow::loss {
namespace {

constexpr double kPointEps = 1e-9;

// The two terms of points before their gains and means.
using PointSums = std::array<double, 2>;

struct PointScales {
  double place = 0, visibility = 0;  // of the gradients
};

// One image's points.
template <class T>
class PointsOfImage {
 public:
  PointsOfImage(const PoseLossInput<T>& input, std::span<const AnchorLevel> levels,
                const DetectionAssignment& assignment, int64_t image, const PoseLossOptions& options,
                const PointScales& scales)
      : input_(input),
        levels_(levels),
        assignment_(assignment),
        image_(image),
        options_(options),
        scales_(scales) {}

  PointSums sums() {
    for (const MapView<T>& map : input_.point_gradients) fill_with_zeros(map, image_);
    for (const AssignedAnchor& assigned : assignment_.images[static_cast<size_t>(image_)].foreground) {
      const CellOfAnchor cell = cell_of(levels_, assigned.anchor);
      const std::vector<double> raw = numbers_at(input_.points[cell.level], image_, cell.cell);
      const std::vector<double> gradient = add(cell, raw, assigned.object);
      if (!input_.point_gradients.empty())
        write_at<T>(input_.point_gradients[cell.level], image_, cell.cell, gradient);
    }
    return sums_;
  }

 private:
  std::vector<double> add(const CellOfAnchor& cell, const std::vector<double>& raw, int64_t object) {
    const auto points = static_cast<size_t>(options_.points), numbers = static_cast<size_t>(options_.numbers);
    const float* const labels = input_.keypoints.values().data() +
                                assignment_.objects.rows[static_cast<size_t>(object)] * options_.points * 3;
    const BoxXyxy& box = assignment_.objects.boxes[static_cast<size_t>(object)];
    const double area = static_cast<double>(box[2] - box[0]) * static_cast<double>(box[3] - box[1]) /
                        (static_cast<double>(cell.stride) * cell.stride);
    double labelled = 0;
    for (size_t k = 0; k < points; ++k) labelled += labels[3 * k + 2] != 0;
    const double factor = options_.points / (labelled + kPointEps);
    std::vector<double> gradient(raw.size(), 0);
    for (size_t k = 0; k < points; ++k) {
      const bool is_labelled = labels[3 * k + 2] != 0;
      if (is_labelled) {
        const double x =
            2 * raw[numbers * k] + cell.x - 0.5 - labels[3 * k] * width_of(levels_) / cell.stride;
        const double y =
            2 * raw[numbers * k + 1] + cell.y - 0.5 - labels[3 * k + 1] * height_of(levels_) / cell.stride;
        const double sigma = options_.sigmas[k];
        const double unit = 4 * sigma * sigma * (area + kPointEps) * 2;
        const double e = std::exp(-(x * x + y * y) / unit);
        sums_[0] += factor * (1 - e);
        const double slope =
            scales_.place * factor * e * 4 / unit;  // twice from the square, twice from the point
        gradient[numbers * k] = slope * x;
        gradient[numbers * k + 1] = slope * y;
      }
      if (numbers == 3) {
        const double logit = raw[3 * k + 2], wanted = is_labelled ? 1 : 0;
        sums_[1] += std::log1p(std::exp(-std::abs(logit))) + std::max(logit, 0.0) - logit * wanted;
        gradient[3 * k + 2] = scales_.visibility * (1 / (1 + std::exp(-logit)) - wanted);
      }
    }
    return gradient;
  }

  const PoseLossInput<T>& input_;
  std::span<const AnchorLevel> levels_;
  const DetectionAssignment& assignment_;
  int64_t image_;
  const PoseLossOptions& options_;
  PointScales scales_;
  PointSums sums_ = {};
};

PoseLossOptions complete(PoseLossOptions options) {
  options.detection.assigner.with_unweighted = true;
  options.sigmas = keypoint_sigmas(options.points, options.numbers, options.sigmas, options.detection.rules);
  if (std::ssize(options.sigmas) != options.points)
    throw Error(ErrorKind::kShape,
                fmt::format("{} sigmas for {} keypoints", options.sigmas.size(), options.points));
  return options;
}

}  // namespace

PoseLoss::PoseLoss(int classes, int reg_max, const std::vector<int>& strides, const PoseLossOptions& options)
    : options_(complete(options)), detection_(classes, reg_max, strides, options_.detection) {}

template <class T>
DetectionAssignment PoseLoss::assign(const PoseLossInput<T>& input) const {
  return detection_.assign(input.detection);
}

template <class T>
PoseTerms PoseLoss::terms(const PoseLossInput<T>& input, const DetectionAssignment& assignment) const {
  const DetectionLossInput<T>& detection = input.detection;
  const std::vector<AnchorLevel> levels = detection_.levels(detection);
  const int64_t images = detection.maps[0].sides.images;
  const Shape wanted = {detection.targets.dim(0), options_.points, 3};
  if (wanted[0] > 0 && (input.keypoints.shape() != wanted || input.keypoints.dtype() != DType::kFloat32))
    throw Error(ErrorKind::kShape, fmt::format("the keypoints are {} of {}; the loss wants {} of F32",
                                               to_string(input.keypoints.shape()),
                                               dtype_name(input.keypoints.dtype()), to_string(wanted)));
  check_extra_maps<T>(input.points, input.point_gradients, levels, images,
                      int64_t{options_.points} * options_.numbers);

  const int64_t count = assignment.foreground(detection.whole);
  const double share = count == 0 ? 0
                                  : static_cast<double>(detection.whole.images(images)) /
                                        (static_cast<double>(count) * options_.points);
  const double place = options_.pose_gain * share, visibility = options_.visibility_gain * share;
  std::vector<PointSums> of_images(static_cast<size_t>(images));
  for_each_chunk(detection.pool, images, [&](int64_t image, int) {
    of_images[static_cast<size_t>(image)] =
        PointsOfImage<T>(input, levels, assignment, image, options_,
                         {place * detection.loss_scale, visibility * detection.loss_scale})
            .sums();
  });
  PointSums sums = {};
  for (const PointSums& of_image : of_images)
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += of_image[i];
  const DetectionTerms shared = detection_.terms(detection, assignment);
  return {shared[0], sums[0] * place, sums[1] * visibility, shared[1], shared[2]};
}

template DetectionAssignment PoseLoss::assign(const PoseLossInput<float>&) const;
template DetectionAssignment PoseLoss::assign(const PoseLossInput<double>&) const;
template PoseTerms PoseLoss::terms(const PoseLossInput<float>&, const DetectionAssignment&) const;
template PoseTerms PoseLoss::terms(const PoseLossInput<double>&, const DetectionAssignment&) const;

}  // namespace marrow::loss
