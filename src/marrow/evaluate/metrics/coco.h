// COCO's twelve numbers, equal to those of pycocotools, for boxes.
//
// Pure functions in double precision.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/geometry/box.h"

namespace marrow::evaluate {

using CocoBox = SizedBox<ImagePixels, double>;

struct CocoAnnotation {
  int64_t image_id = 0;
  int64_t category_id = 0;
  CocoBox box = {};
  double area = 0.0;   // decides whether it is small, medium or large; of the object, not of the box
  bool crowd = false;  // a group: detections in it are neither right nor wrong
};

struct CocoDetection {
  int64_t image_id = 0;
  int64_t category_id = 0;
  CocoBox box = {};
  double score = 0.0;
};

struct CocoGroundTruth {
  std::vector<int64_t> image_ids;
  std::vector<int64_t> category_ids;
  std::vector<CocoAnnotation> annotations;
};

constexpr size_t kCocoNumbers = 12;

// The twelve in pycocotools' order: "AP_50_95_all_100", ...
const std::array<std::string_view, kCocoNumbers>& coco_number_names();

struct CocoCategoryPrecision {
  int64_t category_id = 0;
  std::optional<double> ap50_95;  // none without annotations that are not crowds
  std::optional<double> ap50;
};

struct CocoReport {
  std::array<double, kCocoNumbers> numbers = {};  // -1 where there is nothing to find
  std::vector<CocoCategoryPrecision> categories;  // every category, by rising id

  double ap50_95() const { return numbers[0]; }
  double ap50() const { return numbers[1]; }
  double ap75() const { return numbers[2]; }
};

// Of an image and category the 100 detections of the highest score count; equal scores keep their order.
// Detections and annotations of an image or category that the ground truth does not list are left out, as
// are scores that are NaN.
CocoReport evaluate_coco(const CocoGroundTruth& truth, std::span<const CocoDetection> detections);

// One line a number, with pycocotools' wording.
std::string coco_text(const CocoReport& report);

}  // namespace marrow::evaluate
