// predictions_txt/: turned boxes as DOTA's evaluation server reads them, one file a class.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "marrow/evaluate/metrics/coco_predictions.h"

namespace marrow::evaluate {

// By file name, "Task1_small-vehicle.txt": lines "image score x1 y1 x2 y2 x3 y3 x4 y4", the image's name
// without its extension. One for each of `names`; `categories`: their numbers in the predictions, whose
// fields have "poly". A number that is not finite, null in JSON, becomes 0.
std::map<std::string, std::string> dota_predictions(std::span<const CocoPrediction> predictions,
                                                    std::span<const std::string> names,
                                                    std::span<const int64_t> categories);

}  // namespace marrow::evaluate
