#include <fmt/format.h>

#include "marrow/evaluate/metrics/coco.h"

namespace marrow::evaluate {

std::string coco_text(const CocoReport& report) {
  constexpr struct {
    const char *kind, *iou, *area;
    int max_detections;
  } kRows[kCocoNumbers] = {
      {"Precision  (AP)", "0.50:0.95", "all", 100},    {"Precision  (AP)", "0.50", "all", 100},
      {"Precision  (AP)", "0.75", "all", 100},         {"Precision  (AP)", "0.50:0.95", "small", 100},
      {"Precision  (AP)", "0.50:0.95", "medium", 100}, {"Precision  (AP)", "0.50:0.95", "large", 100},
      {"Recall     (AR)", "0.50:0.95", "all", 1},      {"Recall     (AR)", "0.50:0.95", "all", 10},
      {"Recall     (AR)", "0.50:0.95", "all", 100},    {"Recall     (AR)", "0.50:0.95", "small", 100},
      {"Recall     (AR)", "0.50:0.95", "medium", 100}, {"Recall     (AR)", "0.50:0.95", "large", 100}};
  std::string text;
  for (size_t i = 0; i < kCocoNumbers; ++i) {
    text += fmt::format(" Average {} @[ IoU={:<9} | area={:>6} | maxDets={:>3} ] = {:.3f}\n", kRows[i].kind,
                        kRows[i].iou, kRows[i].area, kRows[i].max_detections, report.numbers[i]);
  }
  return text;
}

}  // namespace marrow::evaluate
