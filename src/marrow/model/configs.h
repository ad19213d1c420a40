// The files of configs/, compiled in, so that the program works from any folder.
#pragma once

#include <string_view>
#include <vector>

namespace marrow::model {

struct EmbeddedText {
  std::string_view name;  // below configs/: "models/yolov8.yaml"
  std::string_view text;
};

const std::vector<EmbeddedText>& embedded_configs();  // sorted by name

}  // namespace marrow::model
