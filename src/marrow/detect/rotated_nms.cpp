#include "marrow/detect/rotated_nms.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <unordered_map>

#include "marrow/geometry/probiou.h"

namespace marrow::detect {
namespace {

// Which of the boxes before it one must be compared with: those that may overlap it by more than a threshold.
//
// The centres of two such boxes are no farther apart than the sum of their reaches. Boxes of about the same
// reach share a grid. Those to which the bound does not apply meet all others: tiny ones, whose probabilistic
// IoU its epsilons decide, and needles or giants, where rounding does.
class NearBoxes {
 public:
  NearBoxes(const std::vector<GaussianBox>& boxes, double threshold)
      : boxes_(boxes), reach_of_one_(reach_of_one(threshold)) {}

  // Adds a box and says whether exceeds(i) for any that was added before; each grid cell is looked at in the
  // order in which boxes were added.
  template <class Exceeds>
  bool add(size_t index, const Exceeds& exceeds) {
    const GaussianBox& box = boxes_[index];
    const double reach = reach_of(box);
    const bool found = reach < 0
                           ? std::ranges::any_of(all_, exceeds)
                           : std::ranges::any_of(anywhere_, exceeds) || any_in_grids(box, reach, exceeds);
    all_.push_back(index);
    if (reach < 0) {
      anywhere_.push_back(index);
    } else {
      const int exponent = std::ilogb(reach) + 1;
      Grid& grid = grids_[exponent];
      grid.most_reach = std::ldexp(1.0, exponent);
      grid.boxes.push_back(index);
      grid.cells[grid.cell(box.x, box.y)].push_back(index);
    }
    return found;
  }

 private:
  struct Cell {
    int64_t x, y;
    bool operator==(const Cell&) const = default;
  };
  struct Hash {
    size_t operator()(const Cell& cell) const {
      return std::hash<int64_t>()(static_cast<int64_t>(static_cast<uint64_t>(cell.x) * 0x9E3779B97F4A7C15u) ^
                                  cell.y);
    }
  };
  struct Grid {
    double most_reach = 0;
    std::vector<size_t> boxes;
    std::unordered_map<Cell, std::vector<size_t>, Hash> cells;

    Cell cell(double x, double y) const {
      const auto floored = [&](double at) { return static_cast<int64_t>(std::floor(at / (2 * most_reach))); };
      return {floored(x), floored(y)};
    }
  };

  // Of a box with a variance of 1: the distance d of the centres adds at least d^2 / (4 (v + w)) to the
  // Bhattacharyya distance, v and w the larger variances. Negative: any.
  static double reach_of_one(double threshold) {
    constexpr double kSlack = 1e-5;  // more than the epsilons of the IoU
    const double most = -std::log(1 - (1 - threshold) * (1 - threshold));
    return threshold > kSlack ? std::sqrt(4 * (std::max(most, 0.0) + kSlack)) : -1;
  }
  double reach_of(const GaussianBox& box) const {
    constexpr double kMostStretched = 1e10, kFarthest = 1e9;
    const double larger = (box.a + box.b) / 2 + std::hypot((box.a - box.b) / 2, box.c);
    const bool plain = box.determinant > 1 && larger * larger < kMostStretched * box.determinant &&
                       larger < kFarthest && std::abs(box.x) < kFarthest && std::abs(box.y) < kFarthest;
    return plain && reach_of_one_ >= 0 ? 1.001 * reach_of_one_ * std::sqrt(larger) : -1;
  }

  template <class Exceeds>
  bool any_in_grids(const GaussianBox& box, double reach, const Exceeds& exceeds) const {
    return std::ranges::any_of(grids_, [&](const auto& entry) {
      const Grid& grid = entry.second;
      const double far = reach + grid.most_reach;
      const Cell first = grid.cell(box.x - far, box.y - far), last = grid.cell(box.x + far, box.y + far);
      const double cells =
          static_cast<double>(last.x - first.x + 1) * static_cast<double>(last.y - first.y + 1);
      if (cells > static_cast<double>(grid.boxes.size())) return std::ranges::any_of(grid.boxes, exceeds);
      for (int64_t y = first.y; y <= last.y; ++y)
        for (int64_t x = first.x; x <= last.x; ++x)
          if (const auto found = grid.cells.find({x, y});
              found != grid.cells.end() && std::ranges::any_of(found->second, exceeds))
            return true;
      return false;
    });
  }

  const std::vector<GaussianBox>& boxes_;
  double reach_of_one_;
  std::map<int, Grid> grids_;  // by the exponent of their most reach
  std::vector<size_t> all_, anywhere_;
};

}  // namespace

std::vector<bool> rotated_survivors(const std::vector<RotatedCandidate>& candidates, double iou,
                                    bool agnostic) {
  std::vector<GaussianBox> shapes;
  shapes.reserve(candidates.size());
  for (const RotatedCandidate& candidate : candidates) shapes.emplace_back(candidate.box);
  std::map<int, NearBoxes> classes;
  std::vector<bool> stays(candidates.size());
  for (size_t j = 0; j < candidates.size(); ++j) {
    const int class_id = agnostic ? 0 : candidates[j].class_id;
    NearBoxes& near = classes.try_emplace(class_id, shapes, iou).first->second;
    stays[j] = !near.add(j, [&](size_t i) { return probiou_exceeds(shapes[i], shapes[j], iou); });
  }
  return stays;
}

std::vector<RotatedDetection> rotated_suppression(const float* prediction, int classes, int64_t anchors,
                                                  const NmsOptions& options) {
  std::vector<RotatedDetection> found;
  std::vector<RotatedCandidate> candidates;
  for (const InputDetection& one : suppression_candidates(prediction, classes, anchors, options)) {
    const auto row = [&](int64_t r) { return prediction[r * anchors + one.anchor]; };
    const RotatedBox<InputPixels> box = {row(0), row(1), row(2), row(3), row(4 + classes)};
    if (!is_finite(box)) continue;
    found.push_back({box, one.confidence, one.class_id, one.anchor});
    candidates.push_back({{box.cx, box.cy, box.width, box.height, box.angle}, one.class_id});
  }
  const std::vector<bool> stays = rotated_survivors(candidates, options.iou, options.agnostic);
  std::vector<RotatedDetection> kept;
  for (size_t i = 0; i < found.size(); ++i)
    if (stays[i] && std::ssize(kept) < options.max_detections) kept.push_back(found[i]);
  return kept;
}

std::vector<size_t> best_of_tiles(const std::vector<ScoredRotatedBox>& boxes, double iou, bool agnostic) {
  std::vector<size_t> order(boxes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return boxes[i].score; });
  std::vector<RotatedCandidate> candidates;
  for (const size_t i : order) {
    const RotatedBox<ImagePixels>& box = boxes[i].box;
    candidates.push_back({{box.cx, box.cy, box.width, box.height, box.angle}, boxes[i].class_id});
  }
  const std::vector<bool> stays = rotated_survivors(candidates, iou, agnostic);
  std::vector<size_t> best;
  for (size_t i = 0; i < order.size(); ++i)
    if (stays[i]) best.push_back(order[i]);
  return best;
}

}  // namespace marrow::detect
