// The parameters of a graph that grows, held to the limits of spec.h.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "marrow/graph/graph.h"
#include "marrow/model/spec.h"

namespace marrow::model {

class ParameterCount {
 public:
  // Counts those that came since the last call. Says which limit they pass: "the model has more than N
  // parameters".
  std::optional<std::string> excess(const std::vector<Parameter>& parameters) {
    for (; counted_ < parameters.size(); ++counted_) {
      const int64_t count = element_count(parameters[counted_].shape);
      elements_ += count;
      if (parameters[counted_].role == ParameterRole::kFixed) fixed_ += count;
    }
    if (elements_ > kMaxModelParameters)
      return fmt::format("the model has more than {} parameters", kMaxModelParameters);
    if (fixed_ > kMaxFixedParameters)
      return fmt::format("the model has more than {} fixed parameters", kMaxFixedParameters);
    return {};
  }

 private:
  size_t counted_ = 0;
  int64_t elements_ = 0, fixed_ = 0;
};

}  // namespace marrow::model
