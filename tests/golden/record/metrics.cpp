// Metrics by their definitions, in double, on drawn boxes: matching, precision curves and average precision
// as the YOLO family has them, confusion matrices, and COCO's twelve numbers. No overlap is near a
// threshold, no two confidences are equal.
#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "plain_box.h"
#include "record.h"

namespace marrow::golden {
namespace {

constexpr int kClasses = 4;  // the last is in no image, but found
constexpr int kScenes = 16;
constexpr size_t kPoints = 1000;

struct Truth {
  Box box;
  int class_id;
  bool crowd = false;
};
struct Found {
  Box box;
  int class_id;
  double confidence;
};
struct Scene {
  std::vector<Truth> truth;
  std::vector<Found> found;  // by falling confidence
};

double threshold(size_t t) {
  return 0.5 + 0.05 * static_cast<double>(t);
}

// Usable: away from every threshold, also the confusion matrix's.
bool clear(const Box& a, const Box& b) {
  const double iou = overlap(a, b);
  for (size_t t = 0; t < 10; ++t)
    if (std::abs(iou - threshold(t)) < 1e-4) return false;
  return std::abs(iou - 0.45) > 1e-4;
}

std::vector<Scene> draw() {
  std::vector<Scene> scenes(kScenes);
  Draws draws("metrics");
  int number = 0;
  for (Scene& scene : scenes) {
    for (int i = draws.between(1, 7); i > 0; --i) {
      const int side = std::array{20, 60, 160}[draws.below(3)];
      const double x = draws.between(0, 300), y = draws.between(0, 300);
      scene.truth.push_back({{x, y, x + draws.between(side / 2, side), y + draws.between(side / 2, side)},
                             draws.between(0, kClasses - 2)});
    }
    const auto add = [&](const auto& box) {
      for (;;) {
        const Found one{box(), draws.between(0, 9) == 0 ? draws.between(0, kClasses - 1) : -1, 0};
        if (std::ranges::all_of(scene.truth, [&](const Truth& t) { return clear(t.box, one.box); }))
          return one;
      }
    };
    for (const Truth& truth : scene.truth)
      for (int i = draws.between(0, 2); i > 0; --i) {
        Found one = add([&] {
          Box box = truth.box;
          const double reach = std::max(2.0, (box[2] - box[0]) / 4);
          for (double& side : box) side += draws.between(-4, 4) * reach / 8;
          return box;
        });
        if (one.class_id < 0) one.class_id = truth.class_id;
        scene.found.push_back(one);
      }
    for (int i = draws.between(0, 2); i > 0; --i) {
      Found one = add([&] {
        const double x = draws.between(0, 300), y = draws.between(0, 300);
        return Box{x, y, x + draws.between(10, 90), y + draws.between(10, 90)};
      });
      if (one.class_id < 0) one.class_id = draws.between(0, kClasses - 1);
      scene.found.push_back(one);
    }
    // Multiples of 2^-12, every one its own.
    for (Found& one : scene.found)
      one.confidence = (draws.between(1, 31) * 128 + number++ % 128 + 0.0) / 4096;
    std::ranges::stable_sort(scene.found, std::ranges::greater{}, &Found::confidence);
  }
  return scenes;
}

// Pairs of `found` and `truth` that overlap more than `least`, the best first; then each detection keeps its
// first pair, and of those each object the one that `order` puts first.
std::vector<std::pair<size_t, size_t>> matches(const Scene& scene, const std::vector<size_t>& found,
                                               double least, bool same_class, bool best_first) {
  struct Pair {
    size_t d, t;
    double iou;
  };
  std::vector<Pair> pairs, kept;
  for (const size_t d : found)
    for (size_t t = 0; t < scene.truth.size(); ++t) {
      const double iou = overlap(scene.found[d].box, scene.truth[t].box);
      if (iou > least && (!same_class || scene.found[d].class_id == scene.truth[t].class_id))
        pairs.push_back({d, t, iou});
    }
  std::ranges::stable_sort(pairs, std::ranges::greater{}, &Pair::iou);
  for (const Pair& pair : pairs)
    if (std::ranges::none_of(kept, [&](const Pair& other) { return other.d == pair.d; }))
      kept.push_back(pair);
  if (!best_first) std::ranges::stable_sort(kept, {}, &Pair::d);
  std::vector<std::pair<size_t, size_t>> result;
  for (const Pair& pair : kept)
    if (std::ranges::none_of(result, [&](const auto& other) { return other.second == pair.t; }))
      result.push_back({pair.d, pair.t});
  return result;
}

std::vector<size_t> all_of(const Scene& scene, double above = -1) {
  std::vector<size_t> indices;
  for (size_t d = 0; d < scene.found.size(); ++d)
    if (scene.found[d].confidence > above) indices.push_back(d);
  return indices;
}

// Linear between the points, whose x do not fall; of equal x the last decides.
double interpolated(double at, const std::vector<double>& x, const std::vector<double>& y, double left) {
  if (at < x.front()) return left;
  if (at >= x.back()) return y.back();
  const auto i = static_cast<size_t>(std::ranges::upper_bound(x, at) - x.begin()) - 1;
  return y[i] + (y[i + 1] - y[i]) * (at - x[i]) / (x[i + 1] - x[i]);
}

struct Curves {
  std::vector<double> precision, recall, f1, envelope;
  std::array<double, 10> ap{};
  int instances = 0;
};

struct Hit {
  double confidence;
  int class_id;
  std::array<int, 10> right;
};

Curves curves_of(const std::vector<Hit>& hits, int class_id, int instances) {
  Curves curves;
  curves.instances = instances;
  std::vector<Hit> own;
  std::ranges::copy_if(hits, std::back_inserter(own),
                       [&](const Hit& hit) { return hit.class_id == class_id; });
  if (own.empty()) throw std::logic_error("a class without detections");
  std::ranges::stable_sort(own, std::ranges::greater{}, &Hit::confidence);
  for (size_t t = 0; t < 10; ++t) {
    std::vector<double> falling, recall, precision;
    double right = 0;
    for (size_t i = 0; i < own.size(); ++i) {
      right += own[i].right[t];
      falling.push_back(-own[i].confidence);
      recall.push_back(right / instances);
      precision.push_back(right / static_cast<double>(i + 1));
    }
    if (t == 0)
      for (size_t i = 0; i < kPoints; ++i) {
        const double at = -static_cast<double>(i) / (kPoints - 1);
        curves.recall.push_back(interpolated(at, falling, recall, 0));
        curves.precision.push_back(interpolated(at, falling, precision, 1));
        const double p = curves.precision.back(), r = curves.recall.back();
        curves.f1.push_back(2 * p * r / (p + r + 1e-16));
      }
    recall.insert(recall.begin(), 0);
    recall.push_back(1);
    precision.insert(precision.begin(), 1);
    precision.push_back(0);
    for (size_t i = precision.size() - 1; i-- > 0;) precision[i] = std::max(precision[i], precision[i + 1]);
    if (t == 0)
      for (size_t i = 0; i < kPoints; ++i)
        curves.envelope.push_back(interpolated(static_cast<double>(i) / (kPoints - 1), recall, precision, 1));
    // The area below 101 points.
    double before = 0;
    for (int i = 0; i <= 100; ++i) {
      const double now = interpolated(i / 100.0, recall, precision, 1);
      if (i > 0) curves.ap[t] += (before + now) / 2 / 100;
      before = now;
    }
  }
  return curves;
}

double mean(const std::array<double, 10>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / 10;
}

json confusion(const std::vector<Scene>& scenes, double above) {
  std::vector<std::vector<double>> matrix(kClasses + 1, std::vector<double>(kClasses + 1));
  for (const Scene& scene : scenes) {
    const auto found = all_of(scene, above);
    const auto pairs = matches(scene, found, 0.45, false, true);
    for (const auto& [d, t] : pairs)
      ++matrix[static_cast<size_t>(scene.found[d].class_id)][static_cast<size_t>(scene.truth[t].class_id)];
    for (size_t t = 0; t < scene.truth.size(); ++t)
      if (std::ranges::none_of(pairs, [&](const auto& pair) { return pair.second == t; }))
        ++matrix[kClasses][static_cast<size_t>(scene.truth[t].class_id)];
    for (const size_t d : found)
      if (std::ranges::none_of(pairs, [&](const auto& pair) { return pair.first == d; }))
        ++matrix[static_cast<size_t>(scene.found[d].class_id)][kClasses];
  }
  return matrix;
}

Tensor doubles(const Shape& shape, const std::vector<double>& values) {
  return tensor_of<double>(shape, values);
}

void record_yolo(const fs::path& folder, const std::vector<Scene>& scenes) {
  std::vector<Hit> hits;
  json rows = json::array(), truth = json::array(), found = json::array();
  std::array<int, kClasses> instances{}, images_of{};
  for (size_t i = 0; i < scenes.size(); ++i) {
    const Scene& scene = scenes[i];
    json one = {{"image", i}, {"cls", json::array()}, {"xyxy", json::array()}}, other = one;
    other["conf"] = json::array();
    std::array<bool, kClasses> has{};
    for (const Truth& object : scene.truth) {
      one["cls"].push_back(object.class_id);
      one["xyxy"].push_back(object.box);
      ++instances[static_cast<size_t>(object.class_id)];
      has[static_cast<size_t>(object.class_id)] = true;
    }
    for (size_t c = 0; c < kClasses; ++c) images_of[c] += has[c];
    std::vector<Hit> own;
    for (const Found& detection : scene.found) {
      other["cls"].push_back(detection.class_id);
      other["xyxy"].push_back(detection.box);
      other["conf"].push_back(detection.confidence);
      own.push_back({detection.confidence, detection.class_id, {}});
    }
    for (size_t t = 0; t < 10; ++t)
      for (const auto& pair : matches(scene, all_of(scene), threshold(t), true, false))
        own[pair.first].right[t] = 1;
    for (const Hit& hit : own) rows.push_back(hit.right);
    hits.insert(hits.end(), own.begin(), own.end());
    truth.push_back(one);
    found.push_back(other);
  }
  write_json(folder / "gt_yolo.json", truth);
  write_json(folder / "dt_yolo.json", found);

  std::vector<Curves> classes;
  for (int c = 0; c + 1 < kClasses; ++c)
    classes.push_back(curves_of(hits, c, instances[static_cast<size_t>(c)]));
  // Where the mean F1, smoothed over 101 points, is highest.
  const auto mean_f1 = [&](std::ptrdiff_t at) {
    double sum = 0;
    for (const Curves& one : classes)
      sum += one.f1[static_cast<size_t>(std::clamp<std::ptrdiff_t>(at, 0, kPoints - 1))];
    return sum / static_cast<double>(classes.size());
  };
  size_t best = 0;
  double highest = -1;
  for (size_t i = 0; i < kPoints; ++i) {
    double sum = 0;
    for (std::ptrdiff_t k = -50; k <= 50; ++k) sum += mean_f1(static_cast<std::ptrdiff_t>(i) + k);
    if (sum > highest + 1e-9) highest = sum, best = i;
  }

  json expected = {{"names", json::object()},
                   {"images", scenes.size()},
                   {"instances", std::accumulate(instances.begin(), instances.end(), 0)},
                   {"nt_per_class", instances},
                   {"nt_per_image", images_of}};
  for (int c = 0; c < kClasses; ++c) expected["names"][std::to_string(c)] = "class" + std::to_string(c);
  for (size_t t = 0; t < 10; ++t) expected["iou_thresholds"].push_back(static_cast<float>(threshold(t)));
  std::array<double, 5> sums{};
  std::vector<double> maps, x, precision, recall, f1, envelopes, ap;
  for (size_t c = 0; c < classes.size(); ++c) {
    const Curves& one = classes[c];
    const std::array<double, 5> numbers = {one.precision[best], one.recall[best], one.ap[0], one.ap[5],
                                           mean(one.ap)};
    for (size_t k = 0; k < 5; ++k) sums[k] += numbers[k] / static_cast<double>(classes.size());
    expected["ap_class_index"].push_back(c);
    expected["per_class"].push_back({{"class", c},
                                     {"P", numbers[0]},
                                     {"R", numbers[1]},
                                     {"F1", one.f1[best]},
                                     {"AP50", numbers[2]},
                                     {"AP50_95", numbers[4]},
                                     {"AP_per_iou", one.ap}});
    maps.push_back(numbers[4]);
    precision.insert(precision.end(), one.precision.begin(), one.precision.end());
    recall.insert(recall.end(), one.recall.begin(), one.recall.end());
    f1.insert(f1.end(), one.f1.begin(), one.f1.end());
    envelopes.insert(envelopes.end(), one.envelope.begin(), one.envelope.end());
    ap.insert(ap.end(), one.ap.begin(), one.ap.end());
  }
  maps.push_back(sums[4]);  // a class that is in no image has the mean
  for (size_t i = 0; i < kPoints; ++i) x.push_back(static_cast<double>(i) / (kPoints - 1));
  expected["mean"] = {
      {"P", sums[0]}, {"R", sums[1]}, {"mAP50", sums[2]}, {"mAP75", sums[3]}, {"mAP50_95", sums[4]}};
  expected["maps"] = maps;
  expected["results_dict"] = {{"fitness", sums[4]}};
  expected["max_f1_index"] = best;
  expected["max_f1_conf"] = x[best];
  expected["tp_per_detection"] = rows;
  expected["confusion_matrix_conf0.25_iou0.45"] = confusion(scenes, 0.25);
  expected["confusion_matrix_conf0.5_iou0.45"] = confusion(scenes, 0.5);
  write_json(folder / "expected.json", expected);
  const auto n = static_cast<int64_t>(classes.size()), points = static_cast<int64_t>(kPoints);
  write_tensors(folder / "curves.safetensors", {{"px", doubles({points}, x)},
                                                {"p_curve", doubles({n, points}, precision)},
                                                {"r_curve", doubles({n, points}, recall)},
                                                {"f1_curve", doubles({n, points}, f1)},
                                                {"prec_values", doubles({n, points}, envelopes)},
                                                {"all_ap", doubles({n, 10}, ap)}});
}

struct Range {
  double low, high;
};
constexpr std::array<Range, 4> kAreas = {{{0, 1e10}, {0, 32 * 32}, {32 * 32, 96 * 96}, {96 * 96, 1e10}}};

struct CocoNumbers {
  std::array<std::optional<double>, 10> ap, recall;  // one a threshold
};

// Lin et al. 2014 and the COCO evaluation page: detections by falling score, each takes the free object that
// it overlaps most; crowds and sizes out of range count neither way.
CocoNumbers evaluate(const std::vector<Scene>& scenes, int class_id, const Range& range, size_t most) {
  CocoNumbers numbers;
  for (size_t t = 0; t < 10; ++t) {
    std::vector<std::pair<double, bool>> counted;  // confidence, right
    int objects = 0;
    for (const Scene& scene : scenes) {
      std::vector<const Truth*> truth;
      for (const Truth& object : scene.truth)
        if (object.class_id == class_id) truth.push_back(&object);
      const auto ignored = [&](const Truth& object) {
        return object.crowd || area(object.box) < range.low || area(object.box) > range.high;
      };
      std::ranges::stable_partition(truth, [&](const Truth* object) { return !ignored(*object); });
      for (const Truth* object : truth) objects += !ignored(*object);
      std::vector<bool> taken(truth.size());
      size_t seen = 0;
      for (const Found& found : scene.found) {
        if (found.class_id != class_id) continue;
        if (seen++ == most) break;
        double best = threshold(t) - 1e-10;
        std::optional<size_t> match;
        for (size_t k = 0; k < truth.size(); ++k) {
          if (taken[k] && !truth[k]->crowd) continue;
          if (match && !ignored(*truth[*match]) && ignored(*truth[k])) break;
          const double both = common(found.box, truth[k]->box);
          const double iou = truth[k]->crowd ? both / area(found.box) : overlap(found.box, truth[k]->box);
          if (iou < best) continue;
          best = iou;
          match = k;
        }
        if (match) {
          taken[*match] = true;
          if (!ignored(*truth[*match])) counted.push_back({found.confidence, true});
        } else if (area(found.box) >= range.low && area(found.box) <= range.high) {
          counted.push_back({found.confidence, false});
        }
      }
    }
    if (objects == 0) continue;
    std::ranges::stable_sort(counted, std::ranges::greater{}, [](const auto& one) { return one.first; });
    std::vector<double> recall, precision;
    double right = 0;
    for (size_t i = 0; i < counted.size(); ++i) {
      right += counted[i].second;
      recall.push_back(right / objects);
      precision.push_back(right / static_cast<double>(i + 1));
    }
    for (size_t i = precision.size(); i-- > 1;) precision[i - 1] = std::max(precision[i - 1], precision[i]);
    double sum = 0;
    for (int i = 0; i <= 100; ++i) {  // multiples of 0.01 as the evaluation has them, not hundredths
      const auto at = static_cast<size_t>(std::ranges::lower_bound(recall, i * 0.01) - recall.begin());
      if (at < precision.size()) sum += precision[at];
    }
    numbers.ap[t] = sum / 101;
    numbers.recall[t] = recall.empty() ? 0 : recall.back();
  }
  return numbers;
}

double mean_of(const std::vector<std::optional<double>>& values) {
  double sum = 0;
  int count = 0;
  for (const auto& value : values)
    if (value) sum += *value, ++count;
  return count == 0 ? -1 : sum / count;
}

json coco_numbers(const std::vector<Scene>& scenes) {
  const auto over_classes = [&](const Range& range, size_t most, const auto& pick) {
    std::vector<std::optional<double>> values;
    for (int c = 0; c < kClasses; ++c)
      for (const auto& value : pick(evaluate(scenes, c, range, most))) values.push_back(value);
    return mean_of(values);
  };
  using Values = std::vector<std::optional<double>>;
  const auto every_ap = [](const CocoNumbers& n) { return Values(n.ap.begin(), n.ap.end()); };
  const auto every_recall = [](const CocoNumbers& n) { return Values(n.recall.begin(), n.recall.end()); };
  const auto ap_at = [](size_t t) { return [t](const CocoNumbers& n) { return Values{n.ap[t]}; }; };
  json result = {{"stats",
                  {over_classes(kAreas[0], 100, every_ap), over_classes(kAreas[0], 100, ap_at(0)),
                   over_classes(kAreas[0], 100, ap_at(5)), over_classes(kAreas[1], 100, every_ap),
                   over_classes(kAreas[2], 100, every_ap), over_classes(kAreas[3], 100, every_ap),
                   over_classes(kAreas[0], 1, every_recall), over_classes(kAreas[0], 10, every_recall),
                   over_classes(kAreas[0], 100, every_recall), over_classes(kAreas[1], 100, every_recall),
                   over_classes(kAreas[2], 100, every_recall), over_classes(kAreas[3], 100, every_recall)}}};
  for (int c = 0; c < kClasses; ++c) {
    const CocoNumbers n = evaluate(scenes, c, kAreas[0], 100);
    result["per_category_AP50_95"].push_back(n.ap[0] ? json(mean_of(every_ap(n))) : json());
    result["per_category_AP50"].push_back(n.ap[0] ? json(*n.ap[0]) : json());
  }
  return result;
}

void record_coco(const fs::path& folder, std::vector<Scene> scenes) {
  json images = json::array(), annotations = json::array(), categories = json::array(),
       detections = json::array();
  const auto xywh = [](const Box& box) { return json({box[0], box[1], box[2] - box[0], box[3] - box[1]}); };
  for (size_t i = 0; i < scenes.size(); ++i) {
    images.push_back(
        {{"id", i + 1}, {"file_name", std::to_string(i + 1) + ".jpg"}, {"width", 480}, {"height", 480}});
    for (const Truth& object : scenes[i].truth)
      annotations.push_back({{"id", annotations.size() + 1},
                             {"image_id", i + 1},
                             {"category_id", object.class_id + 1},
                             {"bbox", xywh(object.box)},
                             {"area", area(object.box)},
                             {"iscrowd", 0}});
    for (const Found& found : scenes[i].found)
      detections.push_back({{"image_id", i + 1},
                            {"category_id", found.class_id + 1},
                            {"bbox", xywh(found.box)},
                            {"score", found.confidence}});
  }
  for (int c = 0; c < kClasses; ++c)
    categories.push_back({{"id", c + 1}, {"name", "class" + std::to_string(c)}});
  write_json(folder / "gt.json",
             {{"images", images}, {"annotations", annotations}, {"categories", categories}});
  write_json(folder / "dt.json", detections);
  json expected = coco_numbers(scenes);
  expected["names"] = {"AP_50_95_all_100", "AP_50_all_100", "AP_75_all_100", "AP_small",
                       "AP_medium",        "AP_large",      "AR_1",          "AR_10",
                       "AR_100",           "AR_small",      "AR_medium",     "AR_large"};
  size_t position = 0;
  for (Scene& scene : scenes)
    for (Truth& object : scene.truth) object.crowd = position++ % 11 == 0;
  expected["crowd_variant"] = coco_numbers(scenes);
  write_json(folder / "coco_expected.json", expected);
}

}  // namespace

void record_metrics(const fs::path& root) {
  const fs::path folder = root / "yolov8" / "metrics";
  const std::vector<Scene> scenes = draw();
  record_yolo(folder, scenes);
  record_coco(folder, scenes);
}

}  // namespace marrow::golden
