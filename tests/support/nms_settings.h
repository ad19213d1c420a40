// The settings of recorded suppressions.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "marrow/detect/nms.h"

namespace marrow::testing {

// What a case does not list has the defaults of the reference's function.
inline detect::NmsOptions nms_options(const nlohmann::json& settings) {
  detect::NmsOptions options;
  options.iou = 0.45f;
  for (const auto& [key, value] : settings.items()) {
    if (key == "conf_thres") {
      options.confidence = value.get<float>();
    } else if (key == "iou_thres") {
      options.iou = value.get<float>();
    } else if (key == "max_det") {
      options.max_detections = value.get<int>();
    } else if (key == "max_nms") {
      options.max_candidates = value.get<int>();
    } else if (key == "max_wh") {
      options.max_side = value.get<float>();
    } else if (key == "agnostic") {
      options.agnostic = value.get<bool>();
    } else if (key == "multi_label") {
      options.multi_label = value.get<bool>();
    } else if (key == "classes") {
      if (!value.is_null()) options.classes = value.get<std::vector<int>>();
    } else {
      ADD_FAILURE() << "unknown setting " << key;
    }
  }
  return options;
}

}  // namespace marrow::testing
