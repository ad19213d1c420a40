// Average precision as Ultralytics defines it: precision, recall and F1 where the mean F1 is
// best, AP at ten overlaps by the trapezoid rule over 101 points, and the curves behind them. It differs from
// COCO's (evaluate/metrics/coco.h) by up to a few percent.
//
// 8.4's curve falls to 0 behind the last recall that was reached, 8.3's along a line to (1, 0).
//
// A pure function in double precision. Classes without ground truth have no part in any mean; a class with
// ground truth that nothing detected counts as 0.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "marrow/evaluate/metrics/matching.h"

namespace marrow::evaluate {

constexpr size_t kCurvePoints = 1000;

struct ClassPrecision {
  int class_id = 0;
  int64_t instances = 0;
  // At the confidence that is best for the mean over classes.
  double precision = 0.0;
  double recall = 0.0;
  double f1 = 0.0;
  std::array<double, kIouThresholds> ap = {};

  double map50() const { return ap[0]; }
  double map75() const { return ap[5]; }
  double map50_95() const;
};

// One row a class with ground truth, in the order of AveragePrecision::classes, of kCurvePoints each; at
// IoU 0.5.
struct PrecisionCurves {
  using Rows = std::vector<std::vector<double>>;
  std::vector<double> x;  // 0 ... 1: the confidence, or for precision_by_recall the recall
  Rows precision;
  Rows recall;
  Rows f1;
  Rows precision_by_recall;  // the envelope; zeros for a class without detections
};

// The mean over the rows, kCurvePoints values; zeros when there is none.
std::vector<double> mean_curve(const PrecisionCurves::Rows& rows);

struct AveragePrecision {
  std::vector<ClassPrecision> classes;  // those with ground truth, by rising class_id
  PrecisionCurves curves;
  size_t best_f1_index = 0;  // into curves.x: where the smoothed mean F1 is highest

  double best_confidence() const { return curves.x[best_f1_index]; }
  // Means over classes; 0 when there are none.
  double precision() const;
  double recall() const;
  double map50() const;
  double map75() const;
  double map50_95() const;
  double fitness() const { return map50_95(); }  // by which the best checkpoint is chosen
};

// "precision", "recall", "mAP50"; fitness() for every other name.
double metric_named(const AveragePrecision& measured, std::string_view name);

// Of each of `classes` the confidence at which its own F1, smoothed, is highest; of one without ground truth
// that of the mean.
std::vector<float> best_thresholds(const AveragePrecision& measured, size_t classes);

// detections: of all images, in any order; equal confidences keep theirs. Those whose confidence is NaN, or
// whose class has no ground truth, are left out. instances[class_id] counts ground truth boxes.
AveragePrecision average_precision(std::span<const MatchedDetection> detections,
                                   std::span<const int64_t> instances, Rules rules = kDefaultRules);

}  // namespace marrow::evaluate
