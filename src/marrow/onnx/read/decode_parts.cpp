#include "marrow/onnx/read/decode_parts.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "marrow/onnx/read/shape_math.h"

namespace marrow::onnx {
namespace {

constexpr float kSame = 1e-3F;  // as float16 rounds

// The anchors' corners, (x - 0.5, y - 0.5).
bool are_cells(const Tensor& cells, const Tensor& anchors) {
  if (cells.size() != anchors.size()) return false;
  const Tensor found = cells.to_float(), wanted = anchors.to_float();
  return std::ranges::equal(found.values(), wanted.values(),
                            [](float a, float b) { return std::abs(a - (b - 0.5F)) <= kSame; });
}
// One stride an anchor, of those that may be written once or four times.
bool are_strides(const Tensor& found, const Tensor& wanted) {
  const Tensor a = found.to_float(), b = wanted.to_float();
  return a.size() > 0 && b.size() % a.size() == 0 &&
         std::ranges::equal(a.values(), b.values().first(static_cast<size_t>(a.size())));
}

// Points in pixels, (N, points * numbers, A).
std::optional<ExtraOfDecode> points(const ShapedGraph& graph, ValueId v, const Tensor& anchors,
                                    const Tensor& strides) {
  const DecodeParts parts(graph);
  const ShapedNode* flat = graph.producer(v, "Reshape");
  if (flat == nullptr || !parts.known_rank(flat->inputs.at(0), 4)) return std::nullopt;
  ValueId places = flat->inputs[0];
  const ShapedNode* visibility = nullptr;
  if (const ShapedNode* whole = graph.producer(places, "Concat"); whole != nullptr) {
    if (whole->inputs.size() != 2 || parts.axis_of(*whole) != 2) return std::nullopt;
    places = whole->inputs[0];
    visibility = graph.producer(whole->inputs[1], "Sigmoid");
    if (visibility == nullptr) return std::nullopt;
  }
  const auto scaled = parts.with_constant(graph.producer(places, "Mul"));
  const auto moved = scaled ? parts.with_constant(graph.producer(scaled->first, "Add")) : std::nullopt;
  const auto twice = moved ? parts.with_number(moved->first, "Mul", 2) : std::nullopt;
  const auto xy = twice ? parts.part(*twice, 4, 2) : std::nullopt;
  if (!xy || xy->begin != 0 || xy->count != 2 || !are_cells(*moved->second, anchors) ||
      !are_strides(*scaled->second, strides))
    return std::nullopt;
  const int64_t numbers = visibility == nullptr ? 2 : 3;
  if (visibility != nullptr) {
    const auto third = parts.part(visibility->inputs.at(0), 4, 2);
    if (!third || third->x != xy->x || third->begin != 2 || third->count != 1) return std::nullopt;
  }
  const ShapedNode* split = graph.producer(xy->x, "Reshape");
  if (split == nullptr || graph.shape(xy->x).at(2) != numbers) return std::nullopt;
  const auto maps = parts.joined(split->inputs.at(0));
  if (!maps || maps->begin != 0) return std::nullopt;
  return ExtraOfDecode{numbers == 3 ? DetectExtra::kVisiblePoints : DetectExtra::kPoints, maps->maps, v};
}

std::optional<ExtraOfDecode> angle(const ShapedGraph& graph, ValueId v) {
  const DecodeParts parts(graph);
  const auto turn = parts.with_number(v, "Mul", std::numbers::pi);
  const auto share = turn ? parts.with_number(*turn, "Sub", 0.25) : std::nullopt;
  const ShapedNode* sigmoid = share ? graph.producer(*share, "Sigmoid") : nullptr;
  const auto maps = sigmoid == nullptr ? std::nullopt : parts.joined(sigmoid->inputs.at(0));
  if (!maps || maps->begin != 0 || maps->channels != 1) return std::nullopt;
  return ExtraOfDecode{DetectExtra::kAngle, maps->maps, v};
}

}  // namespace

bool DecodeParts::known_rank(ValueId v, size_t rank) const {
  return v.id >= 0 && graph_.value(v).shape && graph_.value(v).shape->size() == rank;
}
int64_t DecodeParts::axis_of(const ShapedNode& concat) const {
  return static_cast<int64_t>(
      checked_axis(concat.integer("axis", 0), graph_.shape(concat.outputs.at(0)).size()));
}

std::optional<ChannelRange> DecodeParts::part(ValueId v, size_t rank, size_t axis) const {
  const ShapedNode* node = graph_.producer(v);
  if (node == nullptr || !known_rank(v, rank)) return std::nullopt;
  const ValueId x = node->inputs.at(0);
  if (node->is("Split")) {
    if (checked_axis(node->integer("axis", 0), rank) != axis) return std::nullopt;
    return ChannelRange{x, graph_.split_begin(*node, static_cast<int64_t>(axis), graph_.value(v).output),
                        graph_.shape(v)[axis]};
  }
  if (!node->is("Slice")) return std::nullopt;
  const Shape& shape = graph_.shape(x);
  const auto ranges = slice_ranges(*node, shape, graph_.constants(*node));
  if (!ranges || (*ranges)[axis].step != 1) return std::nullopt;
  for (size_t i = 0; i < rank; ++i)
    if (i != axis && (*ranges)[i].count != shape[i]) return std::nullopt;
  return ChannelRange{x, (*ranges)[axis].begin, (*ranges)[axis].count};
}

std::optional<std::pair<ValueId, const Tensor*>> DecodeParts::with_constant(const ShapedNode* node) const {
  if (node == nullptr || node->inputs.size() != 2) return std::nullopt;
  for (const size_t i : {0, 1})
    if (const Tensor* constant = graph_.constant(node->inputs[i]); constant != nullptr)
      return std::pair{node->inputs[1 - i], constant};
  return std::nullopt;
}

std::optional<ValueId> DecodeParts::with_number(ValueId v, std::string_view op, double number) const {
  const auto pair = with_constant(graph_.producer(v, op));
  if (!pair || pair->second->size() != 1) return std::nullopt;
  const double found = pair->second->to_float().values()[0];
  return std::abs(found - number) <= static_cast<double>(kSame) ? std::optional(pair->first) : std::nullopt;
}

std::optional<JoinedMaps> DecodeParts::joined(ValueId v) const {
  JoinedMaps result;
  result.channels = graph_.shape(v).at(1);
  if (const auto range = part(v)) {
    result.begin = range->begin;
    v = range->x;
  }
  const ShapedNode* concat = graph_.producer(v, "Concat");
  std::vector<ValueId> flat = {v};
  if (concat != nullptr) {
    if (axis_of(*concat) != 2) return std::nullopt;
    flat = concat->inputs;
  }
  for (const ValueId level : flat) {
    const ShapedNode* reshape = graph_.producer(level);
    if (reshape == nullptr || !(reshape->is("Reshape") || reshape->is("Flatten"))) return std::nullopt;
    const ValueId map = reshape->inputs.at(0);
    if (!known_rank(map, 4) || !known_rank(level, 3)) return std::nullopt;
    const Shape& s = graph_.shape(map);
    if (graph_.shape(level) != Shape{s[0], s[1], s[2] * s[3]}) return std::nullopt;
    result.maps.push_back(map);
  }
  return result;
}

std::optional<ExtraOfDecode> extra_of_decode(const ShapedGraph& graph, ValueId v, const Tensor& anchors,
                                             const Tensor& strides) {
  if (auto found = angle(graph, v)) return found;
  if (auto found = points(graph, v, anchors, strides)) return found;
  const auto maps = DecodeParts(graph).joined(v);
  if (!maps || maps->begin != 0) return std::nullopt;
  return ExtraOfDecode{DetectExtra::kCoefficients, maps->maps, v};
}

std::optional<TurnedBoxes> turned_boxes(const ShapedGraph& graph, ValueId boxes, ValueId angle) {
  const DecodeParts parts(graph);
  const auto scaled = parts.with_constant(graph.producer(boxes, "Mul"));
  const ShapedNode* joined = scaled ? graph.producer(scaled->first, "Concat") : nullptr;
  if (joined == nullptr || joined->inputs.size() != 2 || parts.axis_of(*joined) != 1) return std::nullopt;
  const auto centre = parts.with_constant(graph.producer(joined->inputs[0], "Add"));
  const ShapedNode* size = graph.producer(joined->inputs[1], "Add");
  const ShapedNode* turned = centre ? graph.producer(centre->first, "Concat") : nullptr;
  if (turned == nullptr || turned->inputs.size() != 2 || size == nullptr || parts.axis_of(*turned) != 1)
    return std::nullopt;
  const auto low = parts.part(size->inputs.at(0)), high = parts.part(size->inputs.at(1));
  const auto halves = [](const auto& first, const auto& last) {
    return first && last && first->x == last->x && first->begin == 0 && first->count == 2 &&
           last->begin == 2 && last->count == 2;
  };
  if (!halves(low, high)) return std::nullopt;
  // x cos - y sin and x sin + y cos, of half the difference of the sides.
  const auto product = [&](ValueId v, std::string_view wave, int64_t axis) -> std::optional<ValueId> {
    const ShapedNode* node = graph.producer(v, "Mul");
    if (node == nullptr) return std::nullopt;
    const auto offset = parts.part(node->inputs.at(0));
    const ShapedNode* waved = graph.producer(node->inputs.at(1), wave);
    if (!offset || offset->begin != axis || offset->count != 1 || waved == nullptr ||
        waved->inputs.at(0) != angle)
      return std::nullopt;
    return offset->x;
  };
  const ShapedNode *across = graph.producer(turned->inputs[0], "Sub"),
                   *down = graph.producer(turned->inputs[1], "Add");
  if (across == nullptr || down == nullptr) return std::nullopt;
  const auto offset = product(across->inputs.at(0), "Cos", 0);
  for (const auto& other : {product(across->inputs.at(1), "Sin", 1), product(down->inputs.at(0), "Sin", 0),
                            product(down->inputs.at(1), "Cos", 1)})
    if (!offset || other != offset) return std::nullopt;
  const auto spread = parts.with_number(*offset, "Div", 2);
  const ShapedNode* difference = spread ? graph.producer(*spread, "Sub") : nullptr;
  if (difference == nullptr ||
      !halves(parts.part(difference->inputs.at(1)), parts.part(difference->inputs.at(0))) ||
      parts.part(difference->inputs[1])->x != low->x)
    return std::nullopt;
  return TurnedBoxes{low->x, centre->second, scaled->second};
}

}  // namespace marrow::onnx
