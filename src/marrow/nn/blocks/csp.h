// Cross-stage partial blocks: part of the channels passes through a chain of bottlenecks, the rest around it.
// Source: CSPNet, Wang et al. 2020; C2f as in YOLOv8.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "marrow/graph/builder.h"

namespace marrow::nn {

struct CspOptions {
  int out = 0;
  int repeats = 1;
  bool shortcut = false;
  int groups = 1;
  double expansion = 0.5;  // hidden channels c = int(out * expansion)
};

// What a block repeats: adds unit "m.<j>" behind x, which has `channels`, and keeps their number.
using CspUnit = std::function<Value(Value x, const std::string& name, int channels)>;

// c2f and c3, below, with any unit in the place of the bottleneck.
Value c2f_of(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
             const Activation& activation, const CspUnit& unit);
Value c3_of(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
            const Activation& activation, const CspUnit& unit);

// cv1 to 2c channels, split into halves; `repeats` bottlenecks (c to c, 3x3 and 3x3) "m.<j>", each on the
// previous one's output; cv2 on the concatenation of both halves and every bottleneck's output.
Value c2f(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
          const Activation& activation);

// The same split; the bottlenecks are a plain chain on the first half, cv2 reads its end and the second half.
Value c2(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
         const Activation& activation);

// cv1 and cv2 both read x, to c channels each; bottlenecks (1x1 and 3x3) on cv1's output; cv3 on the
// concatenation of their end and cv2's output.
Value c3(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
         const Activation& activation);

// c3 with ghost bottlenecks; `shortcut` and `groups` are unused.
Value c3_ghost(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
               const Activation& activation);

}  // namespace marrow::nn
