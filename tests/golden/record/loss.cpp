// The detection loss by its formulas, in double, with exact gradients (dual.h). CIoU: Zheng et al. 2020;
// task-aligned assignment: Feng et al. 2021; distribution focal loss: Li et al. 2020.
#include <algorithm>
#include <array>
#include <numbers>
#include <numeric>

#include "dual.h"
#include "plain_box.h"
#include "record.h"

namespace marrow::golden {
namespace {

constexpr int kBins = 16;
constexpr double kEps = 1e-7;

template <class T>
T larger(const T& a, const T& b) {
  return a > b ? a : b;
}
template <class T>
T smaller(const T& a, const T& b) {
  return a < b ? a : b;
}

enum class Kind { kIou, kGiou, kDiou, kCiou };

template <class T>
T iou_of(const BoxOf<T>& a, const BoxOf<T>& b, Kind kind) {
  using std::atan;
  const T wa = a[2] - a[0], ha = a[3] - a[1] + T(kEps), wb = b[2] - b[0], hb = b[3] - b[1] + T(kEps);
  const T both = larger(smaller(a[2], b[2]) - larger(a[0], b[0]), T(0)) *
                 larger(smaller(a[3], b[3]) - larger(a[1], b[1]), T(0));
  const T either = wa * ha + wb * hb - both + T(kEps);
  const T iou = both / either;
  if (kind == Kind::kIou) return iou;
  const T cw = larger(a[2], b[2]) - smaller(a[0], b[0]), ch = larger(a[3], b[3]) - smaller(a[1], b[1]);
  if (kind == Kind::kGiou) {
    const T hull = cw * ch + T(kEps);
    return iou - (hull - either) / hull;
  }
  const T dx = b[0] + b[2] - a[0] - a[2], dy = b[1] + b[3] - a[1] - a[3];
  const T distance = (dx * dx + dy * dy) / T(4) / (cw * cw + ch * ch + T(kEps));
  if (kind == Kind::kDiou) return iou - distance;
  const T angle = atan(wb / hb) - atan(wa / ha);
  const T v = T(4 / (std::numbers::pi * std::numbers::pi)) * angle * angle;
  const double alpha = value_of(v) / (value_of(v) - value_of(iou) + 1 + kEps);  // a constant for the gradient
  return iou - distance - v * T(alpha);
}

// log(sum(exp)) of one side's bins.
template <class T>
T log_sum(const T* bins) {
  using std::exp, std::log;
  T sum = 0;
  for (int b = 0; b < kBins; ++b) sum += exp(bins[b]);
  return log(sum);
}

// Cross entropies of the two bins around `target`, weighted by nearness.
template <class T>
T focal(const T* bins, double target) {
  const int left = static_cast<int>(std::floor(target));
  const double right_share = target - left;
  const T total = log_sum(bins);
  return (total - bins[left]) * T(1 - right_share) + (total - bins[left + 1]) * T(right_share);
}

struct Anchor {
  double x, y, stride;  // in cells
};

// One anchor's logits: four sides of bins, then classes.
template <class T>
BoxOf<T> decoded(const std::vector<T>& logits, const Anchor& anchor) {
  using std::exp;
  std::array<T, 4> distance;
  for (size_t side = 0; side < 4; ++side) {
    const T* bins = logits.data() + side * kBins;
    const T total = log_sum(bins);
    distance[side] = T(0);
    for (int b = 0; b < kBins; ++b) distance[side] += exp(bins[b] - total) * T(b);
  }
  return {T(anchor.x) - distance[0], T(anchor.y) - distance[1], T(anchor.x) + distance[2],
          T(anchor.y) + distance[3]};
}

struct Case {
  std::string name;
  int classes, images, objects;  // objects of the first image; each later one has two less
  std::array<double, 3> gains = {7.5, 0.5, 1.5};
  int top_k = 10;
  int side = 64;  // of the image, pixels
};

struct Target {
  int object = -1;  // none
  double score = 0;
};

struct Object {
  int class_id;
  Box box;  // pixels
};

// Feng et al. 2021: alignment = score^0.5 * overlap^6; each object takes its best anchors inside, an anchor
// that several take goes to the one it overlaps most.
std::vector<Target> assigned(const std::vector<Object>& objects, const std::vector<Anchor>& anchors,
                             const std::vector<std::vector<double>>& logits, int top_k) {
  const size_t n = anchors.size();
  std::vector<std::vector<double>> alignment(objects.size(), std::vector<double>(n)), overlaps = alignment;
  std::vector<std::vector<bool>> taken(objects.size(), std::vector<bool>(n));
  for (size_t m = 0; m < objects.size(); ++m) {
    for (size_t a = 0; a < n; ++a) {
      const double x = anchors[a].x * anchors[a].stride, y = anchors[a].y * anchors[a].stride;
      const Box& box = objects[m].box;
      if (std::min({x - box[0], y - box[1], box[2] - x, box[3] - y}) <= 1e-9) continue;
      Box predicted = decoded(logits[a], anchors[a]);
      for (double& side : predicted) side *= anchors[a].stride;
      overlaps[m][a] = std::max(iou_of(box, predicted, Kind::kCiou), 0.0);
      const double logit = logits[a][static_cast<size_t>(4 * kBins + objects[m].class_id)];
      alignment[m][a] = std::sqrt(1 / (1 + std::exp(-logit))) * std::pow(overlaps[m][a], 6);
    }
    std::vector<size_t> order(n);
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, std::ranges::greater{}, [&](size_t a) { return alignment[m][a]; });
    for (int k = 0; k < top_k && k < static_cast<int>(n); ++k)
      if (alignment[m][order[static_cast<size_t>(k)]] > 0) taken[m][order[static_cast<size_t>(k)]] = true;
  }
  std::vector<Target> targets(n);
  for (size_t a = 0; a < n; ++a) {
    std::vector<size_t> takers;
    for (size_t m = 0; m < objects.size(); ++m)
      if (taken[m][a]) takers.push_back(m);
    if (takers.empty()) continue;
    size_t owner = takers[0];
    if (takers.size() > 1) {
      owner = 0;
      for (size_t m = 1; m < objects.size(); ++m)
        if (overlaps[m][a] > overlaps[owner][a]) owner = m;
    }
    targets[a].object = static_cast<int>(owner);
  }
  for (size_t m = 0; m < objects.size(); ++m) {
    double best_alignment = 0, best_overlap = 0;
    for (size_t a = 0; a < n; ++a)
      if (targets[a].object == static_cast<int>(m)) {
        best_alignment = std::max(best_alignment, alignment[m][a]);
        best_overlap = std::max(best_overlap, overlaps[m][a]);
      }
    for (size_t a = 0; a < n; ++a)
      if (targets[a].object == static_cast<int>(m))
        targets[a].score = alignment[m][a] * best_overlap / (best_alignment + 1e-9);
  }
  return targets;
}

// Box, class and distribution loss of one anchor, before gains and the sum of scores.
template <class T>
std::array<T, 3> losses(const std::vector<T>& logits, const Anchor& anchor, const Target& target,
                        const std::vector<Object>& objects, int classes) {
  using std::exp, std::log;
  std::array<T, 3> result = {T(0), T(0), T(0)};
  for (int c = 0; c < classes; ++c) {
    const T& x = logits[static_cast<size_t>(4 * kBins + c)];
    const bool own = target.object >= 0 && objects[static_cast<size_t>(target.object)].class_id == c;
    result[1] += log(T(1) + exp(x)) - x * T(own ? target.score : 0);
  }
  if (target.score <= 0) return result;
  const Object& object = objects[static_cast<size_t>(target.object)];
  BoxOf<T> wanted;
  for (size_t side = 0; side < 4; ++side) wanted[side] = T(object.box[side] / anchor.stride);
  result[0] = (T(1) - iou_of(decoded(logits, anchor), wanted, Kind::kCiou)) * T(target.score);
  for (size_t side = 0; side < 4; ++side) {
    const double at = side % 2 == 0 ? anchor.x : anchor.y;
    const double distance = (side < 2 ? 1 : -1) * (at - value_of(wanted[side]));
    result[2] += focal(logits.data() + side * kBins, std::clamp(distance, 0.0, kBins - 1 - 0.01)) *
                 T(target.score / 4);
  }
  return result;
}

json record_case(const fs::path& folder, const Case& test) {
  const int side_px = test.side;
  constexpr std::array<int, 3> kStrides = {8, 16, 32};
  Draws draws("loss/" + test.name);
  const int64_t channels = 4 * kBins + test.classes;
  Weights file;
  std::vector<Anchor> anchors;
  for (size_t level = 0; level < kStrides.size(); ++level) {
    const int cells = side_px / kStrides[level];
    file.emplace("feat" + std::to_string(level),
                 noise({test.images, channels, cells, cells}, test.name + std::to_string(level)));
    for (int y = 0; y < cells; ++y)
      for (int x = 0; x < cells; ++x)
        anchors.push_back({x + 0.5, y + 0.5, static_cast<double>(kStrides[level])});
  }
  // Where anchor `a` has its channel `c` in the maps.
  const auto place = [&](int64_t image, size_t a, int64_t c) {
    size_t level = 0, first = 0;
    for (;; ++level) {
      const auto cells = static_cast<size_t>(side_px / kStrides[level]);
      if (a < first + cells * cells)
        return std::pair{level, static_cast<size_t>(image * channels + c) * cells * cells + a - first};
      first += cells * cells;
    }
  };
  std::vector<double> images_of, classes_of, boxes_of;
  std::vector<std::vector<Object>> objects(static_cast<size_t>(test.images));
  for (int image = 0; image < test.images; ++image)
    for (int i = 0; i < test.objects - 2 * image; ++i) {
      const double w = draws.between(12, 40) / 64.0, h = draws.between(12, 40) / 64.0;
      const double x = w / 2 + (1 - w) * draws.between(0, 16) / 16,
                   y = h / 2 + (1 - h) * draws.between(0, 16) / 16;
      images_of.push_back(image);
      classes_of.push_back(draws.between(0, test.classes - 1));
      boxes_of.insert(boxes_of.end(), {x, y, w, h});
      objects[static_cast<size_t>(image)].push_back(
          {static_cast<int>(classes_of.back()),
           {(x - w / 2) * side_px, (y - h / 2) * side_px, (x + w / 2) * side_px, (y + h / 2) * side_px}});
    }
  const auto count = static_cast<int64_t>(images_of.size()), n = static_cast<int64_t>(anchors.size());

  // Logits that point near the boxes, so that anchors of many qualities meet the objects.
  std::vector<std::vector<std::vector<double>>> logits(objects.size());
  for (size_t image = 0; image < objects.size(); ++image)
    for (size_t a = 0; a < anchors.size(); ++a) {
      auto& own = logits[image].emplace_back();
      for (int64_t c = 0; c < channels; ++c) {
        const auto [level, at] = place(static_cast<int64_t>(image), a, c);
        float& value = file.at("feat" + std::to_string(level)).values()[at];
        if (c < 4 * kBins) {
          const double peak = 20.0 / anchors[a].stride;
          value = static_cast<float>(0.5 * static_cast<double>(value) +
                                     3 / (1 + std::abs(static_cast<double>(c % kBins) - peak)));
        }
        own.push_back(static_cast<double>(value));
      }
    }

  std::vector<std::vector<Target>> targets;
  double scores = 0;
  for (size_t image = 0; image < objects.size(); ++image) {
    targets.push_back(assigned(objects[image], anchors, logits[image], test.top_k));
    for (const Target& target : targets.back()) scores += target.score;
  }
  scores = std::max(scores, 1.0);
  std::array<double, 3> items = {};
  std::vector<double> target_scores(static_cast<size_t>(test.images * n * test.classes)), target_boxes;
  std::vector<int> object_of, labels;
  std::vector<bool> positive;
  for (size_t level = 0; level < kStrides.size(); ++level)
    file.emplace("grad_feat" + std::to_string(level),
                 Tensor(file.at("feat" + std::to_string(level)).shape()));
  for (size_t image = 0; image < objects.size(); ++image)
    for (size_t a = 0; a < anchors.size(); ++a) {
      const Target& target = targets[image][a];
      const auto& own = objects[image];
      const std::array<double, 3> parts = losses(logits[image][a], anchors[a], target, own, test.classes);
      for (size_t k = 0; k < 3; ++k) items[k] += parts[k] * test.gains[k] / scores;
      for (int64_t c = 0; c < channels; ++c) {
        std::vector<Dual> marked(logits[image][a].begin(), logits[image][a].end());
        marked[static_cast<size_t>(c)].slope = 1;
        const std::array<Dual, 3> slopes = losses(marked, anchors[a], target, own, test.classes);
        double sum = 0;
        for (size_t k = 0; k < 3; ++k) sum += slopes[k].slope * test.gains[k];
        const auto [level, at] = place(static_cast<int64_t>(image), a, c);
        file.at("grad_feat" + std::to_string(level)).values()[at] =
            static_cast<float>(sum * test.images / scores);
      }
      positive.push_back(target.score > 0);
      const bool has = target.object >= 0;
      object_of.push_back(has ? target.object : 0);
      labels.push_back(has ? own[static_cast<size_t>(target.object)].class_id : 0);
      const Box box = has ? own[static_cast<size_t>(target.object)].box : Box{};
      target_boxes.insert(target_boxes.end(), box.begin(), box.end());
      if (has)
        target_scores[(image * anchors.size() + a) * static_cast<size_t>(test.classes) +
                      static_cast<size_t>(labels.back())] = target.score;
    }
  std::vector<double> loss;
  for (const double item : items) loss.push_back(item * test.images);
  file.emplace("batch_idx", tensor_of<int64_t>({count}, images_of));
  file.emplace("cls", tensor_of<int64_t>({count}, classes_of));
  file.emplace("bboxes", tensor_of<float>({count, 4}, boxes_of));
  file.emplace("loss", tensor_of<float>({3}, loss));
  file.emplace("loss_items", tensor_of<float>({3}, std::vector<double>(items.begin(), items.end())));
  file.emplace("fg_positive", bools({test.images, n}, positive));
  file.emplace("target_gt_idx", tensor_of<int64_t>({test.images, n}, object_of));
  file.emplace("target_labels", tensor_of<int64_t>({test.images, n}, labels));
  file.emplace("target_bboxes", tensor_of<float>({test.images, n, 4}, target_boxes));
  file.emplace("target_scores", tensor_of<float>({test.images, n, test.classes}, target_scores));
  write_tensors(folder / (test.name + ".safetensors"), file);
  return {{"name", test.name},
          {"nc", test.classes},
          {"batch", test.images},
          {"imgsz_hw", {side_px, side_px}},
          {"strides", kStrides},
          {"tal_topk", test.top_k},
          {"hyp", {{"box", test.gains[0]}, {"cls", test.gains[1]}, {"dfl", test.gains[2]}}},
          {"n_fg_positive", std::ranges::count(positive, true)}};
}

void record_primitives(const fs::path& path) {
  constexpr int64_t kPairs = 24, kRows = 8;
  Draws draws("loss/primitives");
  Weights file = {{"box1", Tensor({kPairs, 4})},
                  {"box2", Tensor({kPairs, 4})},
                  {"dfl_logits", noise({kRows, 4, kBins}, "loss/dfl")},
                  {"dfl_target", Tensor({kRows, 4})},
                  {"dfl_loss", Tensor({kRows})},
                  {"dfl_grad", Tensor({kRows, 4, kBins})}};
  // Sides that differ, so that no gradient stands at a kink.
  for (const auto& [name, shift] : {std::pair{"box1", 0.0}, {"box2", 0.3}})
    for (size_t i = 0; i < kPairs; ++i) {
      const double x = draws.between(0, 20) + shift, y = draws.between(0, 20) + shift;
      const std::array<double, 4> box = {x, y, x + draws.between(1, 20) + 2 * shift,
                                         y + draws.between(1, 20) + 2 * shift};
      for (size_t side = 0; side < 4; ++side)
        file.at(name).values()[i * 4 + side] = static_cast<float>(box[side]);
    }
  for (const auto& [name, kind] :
       {std::pair{"iou", Kind::kIou}, {"giou", Kind::kGiou}, {"diou", Kind::kDiou}, {"ciou", Kind::kCiou}}) {
    Tensor value({kPairs}), gradient({kPairs, 4});
    for (size_t i = 0; i < kPairs; ++i)
      for (size_t marked = 0; marked < 4; ++marked) {
        BoxOf<Dual> a, b;
        for (size_t side = 0; side < 4; ++side) {
          a[side] = {static_cast<double>(file.at("box1").values()[i * 4 + side]), side == marked ? 1.0 : 0.0};
          b[side] = static_cast<double>(file.at("box2").values()[i * 4 + side]);
        }
        const Dual found = iou_of(a, b, kind);
        value.values()[i] = static_cast<float>(found.value);
        gradient.values()[i * 4 + marked] = static_cast<float>(found.slope);
      }
    file.emplace(name, value);
    file.emplace(std::string(name) + "_grad_box1", gradient);
  }
  for (float& target : file.at("dfl_target").values()) target = static_cast<float>(draws.uniform(0, 14.9));
  for (size_t row = 0; row < kRows; ++row) {
    double loss = 0;
    for (size_t side = 0; side < 4; ++side) {
      const size_t first = (row * 4 + side) * kBins;
      const auto target = static_cast<double>(file.at("dfl_target").values()[row * 4 + side]);
      for (size_t marked = 0; marked < kBins; ++marked) {
        std::array<Dual, kBins> bins;
        for (size_t b = 0; b < kBins; ++b)
          bins[b] = {static_cast<double>(file.at("dfl_logits").values()[first + b]), b == marked ? 1.0 : 0.0};
        const Dual found = focal(bins.data(), target);
        file.at("dfl_grad").values()[first + marked] = static_cast<float>(found.slope / 4);
        if (marked == 0) loss += found.value / 4;
      }
    }
    file.at("dfl_loss").values()[row] = static_cast<float>(loss);
  }
  Tensor anchor({kRows, 2}), box({kRows, 4}), distance({kRows, 4}), to_distance({kRows, 4}),
      to_box({kRows, 4});
  for (size_t i = 0; i < kRows; ++i) {
    const std::array<double, 2> at = {draws.between(0, 20) + 0.5, draws.between(0, 20) + 0.5};
    for (size_t axis = 0; axis < 2; ++axis) anchor.values()[i * 2 + axis] = static_cast<float>(at[axis]);
    for (size_t side = 0; side < 4; ++side) {
      const double sign = side < 2 ? -1 : 1, reach = draws.between(-8, 80) / 4.0,
                   known = draws.between(0, 56) / 4.0;
      box.values()[i * 4 + side] = static_cast<float>(at[side % 2] + sign * reach);
      to_distance.values()[i * 4 + side] = static_cast<float>(std::clamp(reach, 0.0, kBins - 1 - 0.01));
      distance.values()[i * 4 + side] = static_cast<float>(known);
      to_box.values()[i * 4 + side] = static_cast<float>(at[side % 2] + sign * known);
    }
  }
  file.insert({{"b2d_anchor", anchor},
               {"b2d_box", box},
               {"b2d_out", to_distance},
               {"d2b_dist", distance},
               {"d2b_xyxy", to_box}});
  write_tensors(path, file);
}

}  // namespace

void record_loss(const fs::path& root) {
  const fs::path folder = root / "yolov8" / "loss";
  json cases = json::array();
  for (const Case& test : {Case{.name = "two_images", .classes = 3, .images = 2, .objects = 5},
                           Case{.name = "one_class_other_gains",
                           .classes = 1,
                           .images = 1,
                           .objects = 3,
                           .gains = {5, 1, 2},
                           .top_k = 13,
                           .side = 32},
                           Case{.name = "no_objects", .classes = 2, .images = 1, .objects = 0, .side = 32}})
    cases.push_back(record_case(folder, test));
  write_json(folder / "cases.json", cases);
  record_primitives(folder / "primitives.safetensors");
}

}  // namespace marrow::golden
