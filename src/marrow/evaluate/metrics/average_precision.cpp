#include "marrow/evaluate/metrics/average_precision.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace marrow::evaluate {
namespace {

constexpr double kTiny = 1e-16;  // keeps divisions by sums that may be 0 finite
constexpr size_t kApPoints = 101;

// 0 ... 1 as NumPy spaces them: i * (1 / (points - 1)), the last exactly 1.
std::vector<double> unit_points(size_t points) {
  std::vector<double> x(points);
  const double step = 1.0 / static_cast<double>(points - 1);
  for (size_t i = 0; i < points; ++i) x[i] = static_cast<double>(i) * step;
  x.back() = 1.0;
  return x;
}

// The line through (xs[i], ys[i]) at x; xs does not fall and is not empty. Left of it `left`, right of it the
// last value. Where xs repeats, the last of the equals counts.
double interpolate(double x, std::span<const double> xs, std::span<const double> ys, double left) {
  const auto right = static_cast<size_t>(std::ranges::upper_bound(xs, x) - xs.begin());
  if (right == 0) return left;
  const size_t i = right - 1;
  if (right == xs.size() || xs[i] == x) return ys[i];
  return (ys[right] - ys[i]) / (xs[right] - xs[i]) * (x - xs[i]) + ys[i];
}

// Precision against recall from the first detection to the last, closed at both ends and made monotonous.
struct Envelope {
  std::vector<double> recall, precision;

  void assign(std::span<const double> recalls, std::span<const double> precisions, Rules rules) {
    recall.assign(1, 0.0);
    recall.insert(recall.end(), recalls.begin(), recalls.end());
    if (rules == Rules::k84) recall.push_back(recall.back());
    recall.push_back(1.0);
    precision.assign(1, 1.0);
    precision.insert(precision.end(), precisions.begin(), precisions.end());
    precision.resize(recall.size(), 0.0);
    for (size_t i = precision.size() - 1; i > 0; --i)
      precision[i - 1] = std::max(precision[i - 1], precision[i]);
  }

  double at(double x) const { return interpolate(x, recall, precision, precision.front()); }
};

// The trapezoid rule over 101 points.
double area_under(const Envelope& envelope) {
  static const std::vector<double> kX = unit_points(kApPoints);
  double area = 0.0, before = envelope.at(kX[0]);
  for (size_t i = 1; i < kApPoints; ++i) {
    const double y = envelope.at(kX[i]);
    area += (kX[i] - kX[i - 1]) * (y + before) / 2.0;
    before = y;
  }
  return area;
}

// detections: of this class, by falling confidence. Fills `result.ap` and the last rows of `curves`.
void add_class(std::span<const MatchedDetection* const> detections, Rules rules, ClassPrecision& result,
               PrecisionCurves& curves) {
  std::vector<double> precision_row(kCurvePoints), recall_row(kCurvePoints), envelope_row(kCurvePoints);
  const size_t count = detections.size();
  std::vector<double> recalls(count), precisions(count), falling(count);
  for (size_t i = 0; i < count; ++i) falling[i] = -static_cast<double>(detections[i]->confidence);
  Envelope envelope;
  for (size_t t = 0; t < kIouThresholds && count > 0; ++t) {
    int64_t hits = 0;
    for (size_t i = 0; i < count; ++i) {
      hits += detections[i]->true_positive[t];
      recalls[i] = static_cast<double>(hits) / (static_cast<double>(result.instances) + kTiny);
      precisions[i] = static_cast<double>(hits) / static_cast<double>(i + 1);
    }
    envelope.assign(recalls, precisions, rules);
    result.ap[t] = area_under(envelope);
    if (t > 0) continue;
    for (size_t i = 0; i < kCurvePoints; ++i) {
      recall_row[i] = interpolate(-curves.x[i], falling, recalls, 0.0);
      precision_row[i] = interpolate(-curves.x[i], falling, precisions, 1.0);
      envelope_row[i] = envelope.at(curves.x[i]);
    }
  }
  std::vector<double> f1_row(kCurvePoints);
  for (size_t i = 0; i < kCurvePoints; ++i) {
    f1_row[i] = 2.0 * precision_row[i] * recall_row[i] / (precision_row[i] + recall_row[i] + kTiny);
  }
  curves.precision.push_back(std::move(precision_row));
  curves.recall.push_back(std::move(recall_row));
  curves.f1.push_back(std::move(f1_row));
  curves.precision_by_recall.push_back(std::move(envelope_row));
}

// Where the mean over the rows, smoothed by a box of 101 points, is highest; the first of equals. The ends
// are padded by the outermost values.
size_t smoothed_peak(const PrecisionCurves::Rows& rows) {
  constexpr int64_t kHalfBox = 50;
  constexpr auto kPoints = static_cast<int64_t>(kCurvePoints);
  const std::vector<double> mean = mean_curve(rows);
  size_t peak = 0;
  double highest = -1.0;
  for (int64_t i = 0; i < kPoints; ++i) {
    // Each sum is taken afresh, so that a plateau has equal sums everywhere and its first point wins.
    double sum = 0.0;
    for (int64_t k = i - kHalfBox; k <= i + kHalfBox; ++k) {
      sum += mean[static_cast<size_t>(std::clamp<int64_t>(k, 0, kPoints - 1))] / (2 * kHalfBox + 1);
    }
    if (sum > highest) {
      highest = sum;
      peak = static_cast<size_t>(i);
    }
  }
  return peak;
}

template <class Value>
double mean_over(const std::vector<ClassPrecision>& classes, Value value) {
  double sum = 0.0;
  for (const ClassPrecision& one : classes) sum += std::invoke(value, one);
  return classes.empty() ? 0.0 : sum / static_cast<double>(classes.size());
}

}  // namespace

std::vector<double> mean_curve(const PrecisionCurves::Rows& rows) {
  std::vector<double> mean(kCurvePoints);
  for (const std::vector<double>& row : rows) {
    for (size_t i = 0; i < kCurvePoints; ++i) mean[i] += row[i];
  }
  for (double& value : mean) value /= static_cast<double>(std::max<size_t>(rows.size(), 1));
  return mean;
}

double ClassPrecision::map50_95() const {
  return std::accumulate(ap.begin(), ap.end(), 0.0) / static_cast<double>(ap.size());
}

double AveragePrecision::precision() const {
  return mean_over(classes, &ClassPrecision::precision);
}
double AveragePrecision::recall() const {
  return mean_over(classes, &ClassPrecision::recall);
}
double AveragePrecision::map50() const {
  return mean_over(classes, &ClassPrecision::map50);
}
double AveragePrecision::map75() const {
  return mean_over(classes, &ClassPrecision::map75);
}
double AveragePrecision::map50_95() const {
  return mean_over(classes, &ClassPrecision::map50_95);
}

AveragePrecision average_precision(std::span<const MatchedDetection> detections,
                                   std::span<const int64_t> instances, Rules rules) {
  std::vector<std::vector<const MatchedDetection*>> by_class(instances.size());
  for (const MatchedDetection& detection : detections) {
    const auto class_id = static_cast<size_t>(detection.class_id);
    if (detection.class_id < 0 || class_id >= instances.size() || std::isnan(detection.confidence)) continue;
    if (instances[class_id] > 0) by_class[class_id].push_back(&detection);
  }
  AveragePrecision result;
  result.curves.x = unit_points(kCurvePoints);
  for (size_t class_id = 0; class_id < instances.size(); ++class_id) {
    if (instances[class_id] <= 0) continue;
    auto& own = by_class[class_id];
    std::ranges::stable_sort(own, std::greater<>(), &MatchedDetection::confidence);
    ClassPrecision& one = result.classes.emplace_back();
    one.class_id = static_cast<int>(class_id);
    one.instances = instances[class_id];
    add_class(own, rules, one, result.curves);
  }
  result.best_f1_index = smoothed_peak(result.curves.f1);
  for (size_t i = 0; i < result.classes.size(); ++i) {
    result.classes[i].precision = result.curves.precision[i][result.best_f1_index];
    result.classes[i].recall = result.curves.recall[i][result.best_f1_index];
    result.classes[i].f1 = result.curves.f1[i][result.best_f1_index];
  }
  return result;
}

double metric_named(const AveragePrecision& measured, std::string_view name) {
  if (name == "precision") return measured.precision();
  if (name == "recall") return measured.recall();
  if (name == "mAP50") return measured.map50();
  return measured.fitness();
}

std::vector<float> best_thresholds(const AveragePrecision& measured, size_t classes) {
  std::vector<float> thresholds(classes, static_cast<float>(measured.best_confidence()));
  for (size_t row = 0; row < measured.classes.size(); ++row) {
    const size_t peak = smoothed_peak({measured.curves.f1[row]});
    thresholds.at(static_cast<size_t>(measured.classes[row].class_id)) =
        static_cast<float>(measured.curves.x[peak]);
  }
  return thresholds;
}

}  // namespace marrow::evaluate
