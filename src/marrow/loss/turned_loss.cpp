#include "marrow/loss/turned_loss.h"

#include <cmath>

#include "marrow/loss/class_term.h"
#include "marrow/loss/extra_maps.h"
#include "marrow/loss/turned_boxes.h"

namespace marrow::loss {
namespace {

constexpr double kFloor = 0.01;    // of variances, square cells; 8.3: none
constexpr double kElongation = 9;  // where the angle's term fades
constexpr double kSmall = 1e-9;

// One image.
template <class T>
class TurnedForeground {
 public:
  TurnedForeground(const TurnedLossInput<T>& input, std::span<const AnchorLevel> levels,
                   const DetectionAssignment& assignment, int64_t image, int reg_max,
                   const DetectionLossOptions& options, const TurnedTerms& scales)
      : input_(input),
        levels_(levels),
        assignment_(assignment),
        image_(image),
        class_weights_(options.class_weights),
        rules_(options.rules),
        scales_(scales),
        sides_(reg_max),
        gradient_(sides_.bins()) {}

  TurnedTerms sums() {
    for (const LevelMaps<T>& level : input_.detection.gradients) fill_with_zeros(level.sides, image_);
    for (const MapView<T>& map : input_.angle_gradients) fill_with_zeros(map, image_);
    for (const AssignedAnchor& assigned : assignment_.images[static_cast<size_t>(image_)].foreground)
      add(assigned);
    return sums_;
  }

 private:
  void add(const AssignedAnchor& assigned) {
    const CellOfAnchor cell = cell_of(levels_, assigned.anchor);
    const auto object = static_cast<size_t>(assigned.object);
    const double weight = assigned.weight;
    const LevelMaps<const T>& maps = input_.detection.maps[cell.level];
    sides_.read(maps.sides, image_, cell.cell);
    add_class(cell, maps.classes, assignment_.objects.labels[object], weight);

    const TurnedBox& pixels = assignment_.objects.turned[object];
    const double unit = cell.stride;
    const ExactBox target = {pixels.cx / unit, pixels.cy / unit, pixels.width / unit, pixels.height / unit,
                             pixels.angle};
    const MapView<const T>& angles = input_.angles[cell.level];
    const double logit = angles.channel(image_, 0)[cell.cell * angles.lanes];
    const ExactBox box = box_of_sides(cell.x, cell.y, sides_, angle_of(logit));
    const ProbiouAndGradient overlap = probiou_gradient(box, target, rules_ == Rules::k84 ? kFloor : 0);
    sums_[0] += weight * (1 - overlap.iou);
    const double elongation = std::log((target.width + kSmall) / (target.height + kSmall));
    const double fade = std::exp(-elongation * elongation / kElongation);
    const double turn = 2 * (box.angle - target.angle);
    sums_[3] += weight * fade * std::sin(turn) * std::sin(turn);
    const double of_angle = scales_[3] * weight * fade * 4 * std::sin(turn) * std::cos(turn);
    add_distances(cell, box, target, overlap.gradient, weight, of_angle, logit);
  }

  void add_class(const CellOfAnchor& cell, const MapView<const T>& map, int64_t label, double weight) {
    const double of_class = class_weights_.empty() ? 1 : class_weights_[static_cast<size_t>(label)];
    const double logit = map.channel(image_, label)[cell.cell * map.lanes];
    sums_[1] -= weight * of_class * logit;
    if (input_.detection.gradients.empty()) return;
    const MapView<T>& gradient = input_.detection.gradients[cell.level].classes;
    gradient.channel(image_, label)[cell.cell * gradient.lanes] =
        static_cast<T>(scales_[1] * of_class * (1 / (1 + std::exp(-logit)) - weight));
  }

  // `slopes`: of the overlap, towards the box's numbers.
  void add_distances(const CellOfAnchor& cell, const ExactBox& box, const ExactBox& target,
                     const std::array<double, 5>& slopes, double weight, double of_angle, double logit) {
    const double x = target.cx - cell.x, y = target.cy - cell.y;
    // 8.3 wants the distances of the same box, not turned.
    const double turned = rules_ == Rules::k84 ? target.angle : 0;
    const double u = x * std::cos(turned) + y * std::sin(turned);
    const double v = -x * std::sin(turned) + y * std::cos(turned);
    const std::array<double, 4> wanted = {target.width / 2 - u, target.height / 2 - v, target.width / 2 + u,
                                          target.height / 2 + v};
    const double of_box = -scales_[0] * weight;
    const double cosine = std::cos(box.angle), sine = std::sin(box.angle);
    const double across = of_box * (slopes[0] * cosine + slopes[1] * sine) / 2;
    const double down = of_box * (slopes[1] * cosine - slopes[0] * sine) / 2;
    const double width = of_box * slopes[2], height = of_box * slopes[3];
    const std::array<double, 4> of_distance = {width - across, height - down, width + across, height + down};
    const bool with_gradient = !input_.detection.gradients.empty();
    for (size_t side = 0; side < 4; ++side) {
      const double input_side = (side % 2 == 0 ? width_of(levels_) : height_of(levels_)) / cell.stride;
      sums_[2] += weight / 4 * sides_.third_term(side, wanted[side], input_side, gradient_);
      for (size_t bin = 0; bin < sides_.bins() && with_gradient; ++bin) {
        const MapView<T>& map = input_.detection.gradients[cell.level].sides;
        map.channel(image_, static_cast<int64_t>(side * sides_.bins() + bin))[cell.cell * map.lanes] =
            static_cast<T>(of_distance[side] * sides_.slope(side, bin) +
                           scales_[2] * weight / 4 * gradient_[bin]);
      }
    }
    if (input_.angle_gradients.empty()) return;
    // The centre turns with the angle, around the cell's centre.
    const double turning = slopes[4] - slopes[0] * (box.cy - cell.y) + slopes[1] * (box.cx - cell.x);
    const MapView<T>& map = input_.angle_gradients[cell.level];
    map.channel(image_, 0)[cell.cell * map.lanes] =
        static_cast<T>((of_box * turning + of_angle) * angle_slope(logit));
  }

  const TurnedLossInput<T>& input_;
  std::span<const AnchorLevel> levels_;
  const DetectionAssignment& assignment_;
  int64_t image_;
  const std::vector<double>& class_weights_;
  Rules rules_;
  TurnedTerms scales_;
  TurnedTerms sums_ = {};
  Sides sides_;
  std::vector<double> gradient_;  // of one side's third term
};

// The boxes, in pixels, that are predicted at the anchors inside an object.
template <class T>
void predict_inside(const TurnedLossInput<T>& input, std::span<const AnchorLevel> levels, int64_t image,
                    const TurnedShapes& shapes, int64_t object, int reg_max, std::span<ExactBox> boxes) {
  Sides sides(reg_max);
  const auto predict = [&](int64_t anchor) -> ExactBox {
    const CellOfAnchor cell = cell_of(levels, anchor);
    const MapView<const T>& angles = input.angles[cell.level];
    sides.read(input.detection.maps[cell.level].sides, image, cell.cell);
    const double logit = angles.channel(image, 0)[cell.cell * angles.lanes];
    const ExactBox box = box_of_sides(cell.x, cell.y, sides, angle_of(logit));
    return {box.cx * cell.stride, box.cy * cell.stride, box.width * cell.stride, box.height * cell.stride,
            box.angle};
  };
  shapes.for_each_row_inside(levels, object,
                             [&](const AnchorLevel& level, int64_t y, int64_t begin, int64_t end) {
                               for (int64_t x = begin; x < end; ++x) {
                                 const int64_t anchor = level.first + y * level.width + x;
                                 ExactBox& box = boxes[static_cast<size_t>(anchor)];
                                 if (box == ExactBox()) box = predict(anchor);  // not inside one before
                               }
                             });
}

}  // namespace

TurnedLoss::TurnedLoss(int classes, int reg_max, const std::vector<int>& strides,
                       const TurnedLossOptions& options)
    : options_(options),
      classes_(classes),
      reg_max_(reg_max),
      detection_(classes, reg_max, strides, options.detection) {
  options_.detection.assigner = assigner_of(options_.detection, strides);
}

template <class T>
DetectionAssignment TurnedLoss::assign(const TurnedLossInput<T>& input) const {
  const std::vector<AnchorLevel> levels = detection_.levels(input.detection);
  const int64_t images = input.detection.maps[0].sides.images;
  check_extra_maps<T>(input.angles, input.angle_gradients, levels, images, 1);
  DetectionAssignment assignment;
  assignment.objects =
      group_turned_objects(input.detection.targets, images, classes_, width_of(levels), height_of(levels));
  assignment.images.resize(static_cast<size_t>(images));
  std::vector<MapView<const T>> logits;
  for (const LevelMaps<const T>& level : input.detection.maps) logits.push_back(level.classes);
  const Objects& objects = assignment.objects;
  for_each_chunk(input.detection.pool, images, [&](int64_t image, int) {
    const auto i = static_cast<size_t>(image);
    if (objects.first[i] == objects.first[i + 1]) return;
    std::vector<ExactBox> boxes(static_cast<size_t>(anchor_count(levels)));
    const TurnedShapes shapes(objects, image, boxes, options_.detection.assigner.smallest_side);
    for (int64_t object = objects.first[i]; object < objects.first[i + 1]; ++object)
      predict_inside(input, levels, image, shapes, object, reg_max_, boxes);
    assignment.images[i] =
        loss::assign<T>(levels, logits, image, shapes, objects, options_.detection.assigner);
  });
  return assignment;
}

template <class T>
TurnedTerms TurnedLoss::terms(const TurnedLossInput<T>& input, const DetectionAssignment& assignment) const {
  const DetectionLossInput<T>& detection = input.detection;
  const std::vector<AnchorLevel> levels = detection_.levels(detection);
  const int64_t images = detection.maps[0].sides.images;
  const double share =
      static_cast<double>(detection.whole.images(images)) / assignment.total(detection.whole);
  const DetectionLossOptions& o = options_.detection;
  const TurnedTerms gains = {o.box_gain * share, o.class_gain * share, o.dfl_gain * share,
                             o.rules == Rules::k84 ? options_.angle_gain * share : 0};
  TurnedTerms scales = gains;
  for (double& scale : scales) scale *= detection.loss_scale;

  TurnedTerms sums = {};
  sums[1] = detection_.background(detection, levels, assignment, scales[1]);
  std::vector<TurnedTerms> of_images(static_cast<size_t>(images));
  for_each_chunk(detection.pool, images, [&](int64_t image, int) {
    of_images[static_cast<size_t>(image)] =
        TurnedForeground<T>(input, levels, assignment, image, reg_max_, o, scales).sums();
  });
  for (const TurnedTerms& of_image : of_images)
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += of_image[i];
  for (size_t i = 0; i < sums.size(); ++i) sums[i] *= gains[i];
  return sums;
}

template DetectionAssignment TurnedLoss::assign(const TurnedLossInput<float>&) const;
template DetectionAssignment TurnedLoss::assign(const TurnedLossInput<double>&) const;
template TurnedTerms TurnedLoss::terms(const TurnedLossInput<float>&, const DetectionAssignment&) const;
template TurnedTerms TurnedLoss::terms(const TurnedLossInput<double>&, const DetectionAssignment&) const;

}  // namespace marrow::loss
