// Names that model YAMLs of YOLOv8 forks use and Marrow does not build: what each is, so that a refusal can
// say so.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

namespace marrow::nn {

// What the module is, "EfficientNetV2's block"; "" for a name that is not known either.
std::string_view refused_module(std::string_view name);

// All of them with what they are, sorted by name.
const std::vector<std::pair<std::string_view, std::string_view>>& refused_modules();

}  // namespace marrow::nn
