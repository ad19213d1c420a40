#include "marrow/evaluate/metrics/coco.h"

#include <algorithm>
#include <bitset>
#include <cmath>
#include <limits>

namespace marrow::evaluate {
namespace {

constexpr size_t kThresholds = 10;  // IoU
constexpr size_t kRecallPoints = 101;
constexpr size_t kMaxDetections = 100;  // per image and category
constexpr size_t kMaxPoses = 20;        // the same of keypoints
constexpr size_t kNone = SIZE_MAX;
using Bits = std::bitset<kThresholds>;

enum Area { kAll, kSmall, kMedium, kLarge, kAreas };
struct AreaRange {
  double from, to;  // square pixels, both included
};
constexpr AreaRange kAreaRanges[kAreas] = {
    {0.0, 1e10}, {0.0, 32.0 * 32.0}, {32.0 * 32.0, 96.0 * 96.0}, {96.0 * 96.0, 1e10}};

bool outside(Area area, double pixels) {
  return pixels < kAreaRanges[area].from || pixels > kAreaRanges[area].to;
}

// first, first + step, ... as NumPy spaces `points` numbers.
template <size_t points>
constexpr std::array<double, points> spaced(double first, double last) {
  std::array<double, points> x = {};
  const double step = (last - first) / static_cast<double>(points - 1);
  for (size_t i = 0; i < points; ++i) x[i] = static_cast<double>(i) * step + first;
  x[points - 1] = last;
  return x;
}

constexpr std::array<double, kThresholds> kIous = spaced<kThresholds>(0.5, 0.95);
constexpr std::array<double, kRecallPoints> kRecalls = spaced<kRecallPoints>(0.0, 1.0);

// A crowd is as large as one likes: only the detection's own area counts.
double overlap(const CocoDetection& detection, const CocoAnnotation& annotation) {
  const CocoBox& a = detection.box;
  const CocoBox& b = annotation.box;
  const double width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const double height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  if (width <= 0 || height <= 0) return 0;
  const double shared = width * height;
  return shared / (annotation.crowd ? a.area() : a.area() + b.area() - shared);
}

using Measure = std::function<double(const CocoDetection&, const CocoAnnotation&)>;

bool is_ignored(const CocoAnnotation& annotation, Area area) {
  return annotation.crowd || annotation.ignored || outside(area, annotation.area);
}

// What became of a detection, per area range and threshold.
struct Outcome {
  double score = 0.0;
  size_t rank = 0;  // in its image
  std::array<Bits, kAreas> matched = {};
  std::array<Bits, kAreas> ignored = {};  // counts neither as right nor as wrong
};

struct Candidate {
  size_t annotation;
  double iou;
};

// Matches the detections of one image and category, sorted by falling score.
class ImageMatcher {
 public:
  explicit ImageMatcher(const Measure& overlap) : overlap_(overlap) {}

  void match(std::span<const CocoAnnotation* const> truth, std::span<const CocoDetection* const> detections,
             std::vector<Outcome>& outcomes) {
    truth_ = truth;
    const size_t first = outcomes.size();
    outcomes.resize(first + detections.size());
    for (int area = 0; area < kAreas; ++area) taken_[area].assign(truth.size(), {});
    for (size_t i = 0; i < detections.size(); ++i) {
      const CocoDetection& detection = *detections[i];
      Outcome& outcome = outcomes[first + i];
      outcome.score = detection.score;
      outcome.rank = i;
      candidates_.clear();
      for (size_t g = 0; g < truth.size(); ++g) {
        const double iou = overlap_(detection, *truth[g]);
        if (iou >= kIous[0]) candidates_.push_back({g, iou});
      }
      for (int area = 0; area < kAreas; ++area) match_one(detection, static_cast<Area>(area), outcome);
    }
  }

 private:
  void match_one(const CocoDetection& detection, Area area, Outcome& outcome) {
    const bool out = outside(area, detection.area());
    if (out) outcome.ignored[area].set();
    if (candidates_.empty()) return;
    for (size_t t = 0; t < kThresholds; ++t) {
      size_t best = best_free(area, t, false);
      const bool ignored = best == kNone;
      if (ignored) best = best_free(area, t, true);
      if (best == kNone) continue;
      outcome.matched[area].set(t);
      outcome.ignored[area].set(t, ignored);
      taken_[area][best].set(t);
    }
  }

  // The annotation with the highest overlap among those that are free, of equals the last.
  size_t best_free(Area area, size_t t, bool ignored) const {
    size_t best = kNone;
    double best_iou = kIous[t];
    for (const Candidate& candidate : candidates_) {
      const CocoAnnotation& annotation = *truth_[candidate.annotation];
      if (is_ignored(annotation, area) != ignored) continue;
      if (taken_[area][candidate.annotation][t] && !annotation.crowd) continue;
      if (candidate.iou < best_iou) continue;
      best_iou = candidate.iou;
      best = candidate.annotation;
    }
    return best;
  }

  const Measure& overlap_;
  std::span<const CocoAnnotation* const> truth_;
  std::vector<Candidate> candidates_;
  std::array<std::vector<Bits>, kAreas> taken_;
};

// A mean that knows whether there was anything to take it over.
struct Mean {
  double sum = 0.0;
  int64_t count = 0;

  void add(double value) {
    sum += value;
    ++count;
  }
  double or_minus_one() const { return count == 0 ? -1.0 : sum / static_cast<double>(count); }
};

// Precision at 101 recalls, averaged; outcomes are sorted by falling score. `scratch` avoids allocations.
double mean_precision(std::span<const Outcome> outcomes, Area area, size_t t, int64_t annotations,
                      std::vector<std::pair<double, double>>& scratch) {
  scratch.clear();
  int64_t hits = 0, misses = 0;
  for (const Outcome& outcome : outcomes) {
    if (outcome.ignored[area][t]) continue;
    ++(outcome.matched[area][t] ? hits : misses);
    const auto found = static_cast<double>(hits);
    scratch.emplace_back(
        found / static_cast<double>(annotations),
        found / (static_cast<double>(misses) + found + std::numeric_limits<double>::epsilon()));
  }
  for (size_t i = scratch.size(); i-- > 1;)
    scratch[i - 1].second = std::max(scratch[i - 1].second, scratch[i].second);
  double sum = 0.0;
  size_t i = 0;
  for (const double recall : kRecalls) {
    while (i < scratch.size() && scratch[i].first < recall) ++i;
    if (i == scratch.size()) break;
    sum += scratch[i].second;
  }
  return sum / kRecallPoints;
}

double final_recall(std::span<const Outcome> outcomes, Area area, size_t t, int64_t annotations,
                    size_t max_detections) {
  int64_t hits = 0;
  for (const Outcome& outcome : outcomes)
    hits += outcome.rank < max_detections && outcome.matched[area][t] && !outcome.ignored[area][t];
  return static_cast<double>(hits) / static_cast<double>(annotations);
}

struct Totals {
  std::array<Mean, kAreas> ap;
  Mean ap50, ap75;
  Mean ar1, ar10;
  std::array<Mean, kAreas> ar;  // of as many detections as count
  Mean ar50, ar75;
};

// outcomes: of one category over all images, sorted by falling score.
CocoCategoryPrecision add_category(std::span<const Outcome> outcomes,
                                   const std::array<int64_t, kAreas>& annotations, Totals& totals) {
  CocoCategoryPrecision result;
  std::vector<std::pair<double, double>> scratch;
  for (int a = 0; a < kAreas; ++a) {
    const auto area = static_cast<Area>(a);
    if (annotations[area] == 0) continue;
    Mean own;
    for (size_t t = 0; t < kThresholds; ++t) {
      const double precision = mean_precision(outcomes, area, t, annotations[area], scratch);
      own.add(precision);
      totals.ap[area].add(precision);
      const double recall = final_recall(outcomes, area, t, annotations[area], kMaxDetections);
      totals.ar[area].add(recall);
      if (area != kAll) continue;
      if (t == 0) {
        result.ap50 = precision;
        totals.ap50.add(precision);
        totals.ar50.add(recall);
      }
      if (t == 5) {
        totals.ap75.add(precision);
        totals.ar75.add(recall);
      }
      totals.ar1.add(final_recall(outcomes, area, t, annotations[area], 1));
      totals.ar10.add(final_recall(outcomes, area, t, annotations[area], 10));
    }
    if (area == kAll) result.ap50_95 = own.or_minus_one();
  }
  return result;
}

std::vector<int64_t> sorted_once(std::vector<int64_t> ids) {
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

size_t index_of(const std::vector<int64_t>& ids, int64_t id) {
  const auto place = std::ranges::lower_bound(ids, id);
  return place != ids.end() && *place == id ? static_cast<size_t>(place - ids.begin()) : kNone;
}

// Pointers to the items of each category, in rising order of their images.
template <class Item>
std::vector<std::vector<const Item*>> by_category(std::span<const Item> items,
                                                  const std::vector<int64_t>& categories,
                                                  const std::vector<int64_t>& images) {
  std::vector<std::vector<const Item*>> result(categories.size());
  for (const Item& item : items) {
    const size_t category = index_of(categories, item.category_id);
    if (category != kNone && index_of(images, item.image_id) != kNone) result[category].push_back(&item);
  }
  return result;
}

// The next run of items that share an image.
template <class Item>
std::span<const Item* const> take_image(std::span<const Item* const>& items, int64_t image_id) {
  size_t count = 0;
  while (count < items.size() && items[count]->image_id == image_id) ++count;
  const auto run = items.first(count);
  items = items.subspan(count);
  return run;
}

// Both lists are of one category; they are sorted here.
std::vector<Outcome> match_category(std::vector<const CocoAnnotation*>& annotations,
                                    std::vector<const CocoDetection*>& detections, const Measure& overlap,
                                    size_t most) {
  std::erase_if(detections, [](const CocoDetection* detection) { return std::isnan(detection->score); });
  std::ranges::stable_sort(annotations, {}, &CocoAnnotation::image_id);
  std::ranges::stable_sort(detections, [](const CocoDetection* a, const CocoDetection* b) {
    return a->image_id != b->image_id ? a->image_id < b->image_id : a->score > b->score;
  });
  std::vector<Outcome> outcomes;
  outcomes.reserve(detections.size());
  ImageMatcher matcher(overlap);
  std::span<const CocoAnnotation* const> truth_left = annotations;
  std::span<const CocoDetection* const> detections_left = detections;
  while (!detections_left.empty()) {
    const int64_t image_id = detections_left.front()->image_id;
    while (!truth_left.empty() && truth_left.front()->image_id < image_id) truth_left = truth_left.subspan(1);
    const auto truth = take_image(truth_left, image_id);
    const auto found = take_image(detections_left, image_id);
    matcher.match(truth, found.first(std::min(found.size(), most)), outcomes);
  }
  // Equal scores keep the order of their images.
  std::ranges::stable_sort(outcomes, std::greater<>(), &Outcome::score);
  return outcomes;
}

struct Evaluation {
  Totals totals;
  std::vector<CocoCategoryPrecision> categories;
};

Evaluation evaluate_all(const CocoGroundTruth& truth, std::span<const CocoDetection> detections,
                        const Measure& overlap, size_t most) {
  const std::vector<int64_t> images = sorted_once(truth.image_ids);
  const std::vector<int64_t> categories = sorted_once(truth.category_ids);
  auto annotations = by_category(std::span(truth.annotations), categories, images);
  auto found = by_category(detections, categories, images);
  Evaluation evaluation;
  for (size_t c = 0; c < categories.size(); ++c) {
    std::array<int64_t, kAreas> counts = {};
    for (const CocoAnnotation* annotation : annotations[c])
      for (int a = 0; a < kAreas; ++a) counts[a] += !is_ignored(*annotation, static_cast<Area>(a));
    const std::vector<Outcome> outcomes = match_category(annotations[c], found[c], overlap, most);
    evaluation.categories.push_back(add_category(outcomes, counts, evaluation.totals));
    evaluation.categories.back().category_id = categories[c];
  }
  return evaluation;
}

template <size_t Count>
std::array<double, Count> numbers_of(const Mean* const (&means)[Count]) {
  std::array<double, Count> numbers;
  for (size_t i = 0; i < Count; ++i) numbers[i] = means[i]->or_minus_one();
  return numbers;
}

CocoReport twelve_numbers(Evaluation evaluation) {
  const Totals& totals = evaluation.totals;
  const Mean* const means[] = {&totals.ap[kAll],   &totals.ap50,        &totals.ap75,
                               &totals.ap[kSmall], &totals.ap[kMedium], &totals.ap[kLarge],
                               &totals.ar1,        &totals.ar10,        &totals.ar[kAll],
                               &totals.ar[kSmall], &totals.ar[kMedium], &totals.ar[kLarge]};
  return {numbers_of(means), std::move(evaluation.categories)};
}

Measure by_place(const CocoGroundTruth& truth, std::span<const CocoDetection> detections,
                 const CocoOverlap& overlap) {
  return [&truth, detections, &overlap](const CocoDetection& detection, const CocoAnnotation& annotation) {
    return overlap(static_cast<size_t>(&detection - detections.data()),
                   static_cast<size_t>(&annotation - truth.annotations.data()));
  };
}

}  // namespace

const std::array<std::string_view, kCocoNumbers>& coco_number_names() {
  static constexpr std::array<std::string_view, kCocoNumbers> kNames = {
      "AP_50_95_all_100", "AP_50_all_100", "AP_75_all_100", "AP_small",
      "AP_medium",        "AP_large",      "AR_1",          "AR_10",
      "AR_100",           "AR_small",      "AR_medium",     "AR_large"};
  return kNames;
}

const std::array<std::string_view, kCocoKeypointNumbers>& coco_keypoint_number_names() {
  static constexpr std::array<std::string_view, kCocoKeypointNumbers> kNames = {
      "AP", "AP50", "AP75", "AP_medium", "AP_large", "AR_20", "AR50", "AR75", "AR_medium", "AR_large"};
  return kNames;
}

CocoReport evaluate_coco(const CocoGroundTruth& truth, std::span<const CocoDetection> detections) {
  return twelve_numbers(evaluate_all(truth, detections, overlap, kMaxDetections));
}

CocoReport evaluate_coco(const CocoGroundTruth& truth, std::span<const CocoDetection> detections,
                         const CocoOverlap& overlap) {
  return twelve_numbers(
      evaluate_all(truth, detections, by_place(truth, detections, overlap), kMaxDetections));
}

CocoKeypointReport evaluate_coco_keypoints(const CocoGroundTruth& truth,
                                           std::span<const CocoDetection> detections,
                                           const CocoOverlap& overlap) {
  Evaluation evaluation = evaluate_all(truth, detections, by_place(truth, detections, overlap), kMaxPoses);
  const Totals& totals = evaluation.totals;
  const Mean* const means[] = {&totals.ap[kAll],    &totals.ap50,      &totals.ap75, &totals.ap[kMedium],
                               &totals.ap[kLarge],  &totals.ar[kAll],  &totals.ar50, &totals.ar75,
                               &totals.ar[kMedium], &totals.ar[kLarge]};
  return {numbers_of(means), std::move(evaluation.categories)};
}

}  // namespace marrow::evaluate
