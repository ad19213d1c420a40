// Cross-stage partial blocks of YOLO11 and YOLO26.
#pragma once

#include <string_view>

#include "marrow/graph/builder.h"
#include "marrow/nn/blocks/csp.h"

namespace marrow::nn {

// C3 whose bottlenecks have two square kernels of 3: c = int(out * expansion).
Value c3k(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
          const Activation& activation);

// What C3k2 repeats.
enum class C3k2Unit {
  kBottleneck,  // half as wide inside
  kC3k,         // a C3k of two bottlenecks
  kAttention,   // a bottleneck "m.<j>.0", half as wide inside, then an attention block "m.<j>.1"
};

// C2f with another unit.
Value c3k2(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options, C3k2Unit unit,
           const Activation& activation);

}  // namespace marrow::nn
