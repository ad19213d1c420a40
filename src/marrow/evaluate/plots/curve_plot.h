// BoxPR_curve.png and three more: how precision, recall and F1 of a detector depend on the confidence
// that a detection must have, at an overlap (IoU) of 0.5. The data is evaluate/metrics/average_precision.h's.
#pragma once

#include <span>
#include <string>

#include "marrow/evaluate/metrics/average_precision.h"

namespace marrow::evaluate {

enum class Curve { kPrecisionByRecall, kF1, kPrecision, kRecall };

constexpr size_t kMostClassLines = 20;  // more would be a tangle: then only the mean is drawn

// A PNG: the mean over classes, with the mAP or the best value and its confidence in the legend, and a line a
// class where there are at most kMostClassLines. names[class_id]. Throws as run_gnuplot does.
std::string curve_plot(const AveragePrecision& result, std::span<const std::string> names, Curve curve);

// "BoxPR_curve.png", ...; of other things than boxes "MaskPR_curve.png".
std::string curve_file_name(Curve curve, const std::string& of = "Box");

}  // namespace marrow::evaluate
