// The weight store that lives beside a graph: parameter name -> tensor.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "marrow/base/tensor.h"

namespace marrow {

using Weights = std::map<std::string, Tensor, std::less<>>;

}  // namespace marrow
