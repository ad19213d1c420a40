// What the parts of a detection decode are made of: values (N, channels, A) that join a head's maps.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "marrow/graph/operation.h"
#include "marrow/onnx/read/shaped_graph.h"

namespace marrow::onnx {

// Channels [begin, begin + count) of x.
struct ChannelRange {
  ValueId x;
  int64_t begin = 0;
  int64_t count = 0;
};

// The maps that are flattened and joined, whole or a part of their channels.
struct JoinedMaps {
  std::vector<ValueId> maps;
  int64_t begin = 0;
  int64_t channels = 0;  // of each map
};

class DecodeParts {
 public:
  explicit DecodeParts(const ShapedGraph& graph) : graph_(graph) {}

  bool known_rank(ValueId v, size_t rank) const;
  int64_t axis_of(const ShapedNode& concat) const;
  // The part of its input along `axis` that a Split or Slice of this many axes hands on.
  std::optional<ChannelRange> part(ValueId v, size_t rank = 3, size_t axis = 1) const;
  // The data and the constant of a node with one of each.
  std::optional<std::pair<ValueId, const Tensor*>> with_constant(const ShapedNode* node) const;
  // The data of a node of this kind whose other input is this number, or nothing.
  std::optional<ValueId> with_number(ValueId v, std::string_view op, double number) const;
  std::optional<JoinedMaps> joined(ValueId v) const;

 private:
  const ShapedGraph& graph_;
};

// What stands behind boxes and scores.
struct ExtraOfDecode {
  DetectExtra kind = DetectExtra::kNone;
  std::vector<ValueId> maps;  // one a level
  ValueId value;              // (N, channels, A), the angle of turned boxes
};
// Nothing for what Marrow does not write. `anchors` (2, A) in cells and `strides`, as the boxes have them.
std::optional<ExtraOfDecode> extra_of_decode(const ShapedGraph& graph, ValueId v, const Tensor& anchors,
                                             const Tensor& strides);

// Of turned boxes' scaled centre and size, (N, 4, A): the distances (N, 4, A) to their sides. `angle`: as
// above.
struct TurnedBoxes {
  ValueId sides;
  const Tensor* anchors = nullptr;
  const Tensor* strides = nullptr;
};
std::optional<TurnedBoxes> turned_boxes(const ShapedGraph& graph, ValueId boxes, ValueId angle);

}  // namespace marrow::onnx
