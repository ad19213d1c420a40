#include "marrow/loss/foreground_terms.h"

#include <array>
#include <cmath>
#include <vector>

#include "marrow/loss/box_iou.h"
#include "marrow/loss/sides.h"

namespace marrow::loss {
namespace {

// One image.
template <class T>
class Foreground {
 public:
  Foreground(const DetectionLossInput<T>& input, std::span<const AnchorLevel> levels, int64_t image,
             const ForegroundOptions& options)
      : input_(input),
        levels_(levels),
        image_(image),
        options_(options),
        sides_(options.reg_max),
        gradient_(sides_.bins()) {}

  void add(const AssignedAnchor& assigned, int64_t label, const BoxXyxy& object) {
    cell_ = cell_of(levels_, assigned.anchor);
    weight_ = static_cast<double>(assigned.weight);
    sides_.read(input_.maps[cell_.level].sides, image_, cell_.cell);
    add_class(label);
    add_sides(object);
  }

  const DetectionTerms& sums() const { return sums_; }

 private:
  void add_class(int64_t label) {
    const double class_weight =
        options_.class_weights.empty() ? 1 : options_.class_weights[static_cast<size_t>(label)];
    const MapView<const T>& map = input_.maps[cell_.level].classes;
    const double logit = map.channel(image_, label)[cell_.cell * map.lanes];
    sums_[1] -= weight_ * class_weight * logit;
    if (input_.gradients.empty()) return;
    write(input_.gradients[cell_.level].classes, label,
          options_.scales[1] * class_weight * (1 / (1 + std::exp(-logit)) - weight_));
  }

  void add_sides(const BoxXyxy& object) {
    const double x = cell_.x, y = cell_.y;
    const auto target = [&](size_t i) { return static_cast<double>(object[i]) / cell_.stride; };
    const std::array<double, 4> wanted = {x - target(0), y - target(1), target(2) - x, target(3) - y};
    const IouAndGradient overlap =
        complete_iou_gradient(MeasuredBox(x - sides_.distance(0), y - sides_.distance(1),
                                          x + sides_.distance(2), y + sides_.distance(3)),
                              MeasuredBox(target(0), target(1), target(2), target(3)));
    sums_[0] += weight_ * (1 - overlap.iou);
    for (size_t side = 0; side < 4; ++side) {
      const double input_side = (side % 2 == 0 ? width_of(levels_) : height_of(levels_)) / cell_.stride;
      sums_[2] += weight_ / 4 * sides_.third_term(side, wanted[side], input_side, gradient_);
      if (input_.gradients.empty()) continue;
      const double of_distance =
          options_.scales[0] * weight_ * (side < 2 ? overlap.gradient[side] : -overlap.gradient[side]);
      for (size_t bin = 0; bin < sides_.bins(); ++bin)
        write(input_.gradients[cell_.level].sides, static_cast<int64_t>(side * sides_.bins() + bin),
              of_distance * sides_.slope(side, bin) + options_.scales[2] * weight_ / 4 * gradient_[bin]);
    }
  }

  void write(const MapView<T>& map, int64_t channel, double value) const {
    map.channel(image_, channel)[cell_.cell * map.lanes] = static_cast<T>(value);
  }

  const DetectionLossInput<T>& input_;
  std::span<const AnchorLevel> levels_;
  int64_t image_;
  const ForegroundOptions& options_;
  DetectionTerms sums_ = {};
  // Of the latest anchor.
  CellOfAnchor cell_;
  double weight_ = 0;
  Sides sides_;
  std::vector<double> gradient_;  // of one side's third term
};

}  // namespace

template <class T>
DetectionTerms foreground_terms(const DetectionLossInput<T>& input, std::span<const AnchorLevel> levels,
                                int64_t image, const ImageAssignment& assignment, const Objects& objects,
                                const ForegroundOptions& options) {
  for (const LevelMaps<T>& gradient : input.gradients) fill_with_zeros(gradient.sides, image);
  Foreground<T> foreground(input, levels, image, options);
  for (const AssignedAnchor& assigned : assignment.foreground) {
    const auto object = static_cast<size_t>(assigned.object);
    foreground.add(assigned, objects.labels[object], objects.boxes[object]);
  }
  return foreground.sums();
}

template DetectionTerms foreground_terms<float>(const DetectionLossInput<float>&,
                                                std::span<const AnchorLevel>, int64_t, const ImageAssignment&,
                                                const Objects&, const ForegroundOptions&);
template DetectionTerms foreground_terms<double>(const DetectionLossInput<double>&,
                                                 std::span<const AnchorLevel>, int64_t,
                                                 const ImageAssignment&, const Objects&,
                                                 const ForegroundOptions&);

}  // namespace marrow::loss
