// A detector's decode as plain operators. A is the number of anchors.
#include <algorithm>
#include <numbers>
#include <span>

#include "marrow/onnx/write/export_operations.h"

namespace marrow::onnx {
namespace {

using Ints = std::vector<int64_t>;

// The cells' centres (1, 2, A) in cells, x first, and their strides in pixels: (1, 4, A), since OpenCV 4.6
// does not spread a constant over rows, or (1, 1, A) where they are computed.
struct Anchors {
  std::string centres;
  std::string strides;
};

Anchors constant_anchors(Exporting& e, const Node& node, const DetectDecode& decode) {
  std::vector<float> xs, ys, strides;
  for (size_t level = 0; level < decode.levels(); ++level) {
    const Shape& map = e.shape(node.inputs[level]);
    for (int64_t row = 0; row < map[2]; ++row)
      for (int64_t column = 0; column < map[3]; ++column) {
        xs.push_back(static_cast<float>(column) + 0.5F);
        ys.push_back(static_cast<float>(row) + 0.5F);
        strides.push_back(static_cast<float>(decode.strides[level]));
      }
  }
  const auto count = static_cast<int64_t>(xs.size());
  xs.insert(xs.end(), ys.begin(), ys.end());
  for (int doubling = 0; doubling < 2; ++doubling) {
    const std::vector<float> once = strides;
    strides.insert(strides.end(), once.begin(), once.end());
  }
  return {e.out.numbers({1, 2, count}, xs), e.out.numbers({1, 4, count}, strides)};
}

// From the shapes that the maps turn out to have.
Anchors computed_anchors(Exporting& e, const Node& node, const DetectDecode& decode) {
  GraphWriter& out = e.out;
  std::vector<std::string> centres, strides;
  for (size_t level = 0; level < decode.levels(); ++level) {
    const std::string shape = out.node("Shape", {e.name(node.inputs[level])});
    const std::string size = out.slice(shape, 0, 2, 4);  // H, W
    const auto centres_along = [&](int64_t axis) {
      const std::string length =
          out.node("Gather", {shape, out.integer(axis)}, {attribute("axis", int64_t{0})});
      const std::string cells = out.node("Range", {out.integer(0), length, out.integer(1)});
      return out.node("Add", {out.node("Cast", {cells}, {attribute("to", kFloat)}), out.number(0.5)});
    };
    const auto spread = [&](const std::string& line) {  // over the map, then in one row
      return out.node("Reshape", {out.node("Expand", {line, size}), out.integers({1, 1, -1})});
    };
    const std::string x = spread(out.node("Reshape", {centres_along(3), out.integers({1, -1})}));
    const std::string y = spread(out.node("Reshape", {centres_along(2), out.integers({-1, 1})}));
    centres.push_back(out.concat({x, y}, 1));
    strides.push_back(spread(out.numbers({1, 1}, {static_cast<float>(decode.strides[level])})));
  }
  return {out.concat(centres, 2), out.concat(strides, 2)};
}

// (N, 4 * bins, A) logits -> (N, 4, A) distances in cells. Softmax before opset 13 runs over all axes from
// its own to the last, so there the bins have to stand last.
std::string distances(Exporting& e, const std::string& boxes, const DetectDecode& decode) {
  if (decode.reg_max == 1) return boxes;
  GraphWriter& out = e.out;
  const std::string sides = out.node("Reshape", {boxes, out.integers({0, 4, decode.reg_max, -1})});
  std::string shares;  // (N, bins, 4, A)
  constexpr int kAnyAxisSoftmax = 13;
  if (e.options.opset >= kAnyAxisSoftmax) {
    const std::string bins_first = out.node("Transpose", {sides}, {attribute("perm", Ints{0, 2, 1, 3})});
    shares = out.node("Softmax", {bins_first}, {attribute("axis", int64_t{1})});
  } else {
    const std::string bins_last = out.node("Transpose", {sides}, {attribute("perm", Ints{0, 3, 1, 2})});
    shares = out.node("Transpose", {out.node("Softmax", {bins_last}, {attribute("axis", int64_t{3})})},
                      {attribute("perm", Ints{0, 3, 2, 1})});
  }
  const std::string bins = out.initializer(decode.bins, e.source.weights.at(decode.bins).to_float());
  const std::string expected = out.node("Conv", {shares, bins}, {attribute("kernel_shape", Ints{1, 1})});
  return out.node("Reshape", {expected, out.integers({0, 4, -1})});
}

// Maps (N, channels, H, W), one a level -> (N, channels, A) float32.
std::string joined_levels(Exporting& e, std::span<const Value> maps, int64_t channels) {
  GraphWriter& out = e.out;
  std::vector<std::string> levels;
  for (const Value map : maps)
    levels.push_back(out.node("Reshape", {e.name(map), out.integers({0, channels, -1})}));
  const std::string all = out.concat(levels, 2);
  return e.options.half ? out.node("Cast", {all}, {attribute("to", kFloat)}) : all;
}

// (N, 1, A) logits -> radians.
std::string angles(GraphWriter& out, const std::string& logits) {
  const std::string turn = out.node("Sub", {out.node("Sigmoid", {logits}), out.number(0.25)});
  return out.node("Mul", {turn, out.number(std::numbers::pi)});
}

// The centre, in cells, of a box whose sides (N, 4, A) are turned.
std::string turned_centre(GraphWriter& out, const std::string& sides, const std::string& angle,
                          const std::string& centres) {
  const std::string spread = out.node("Sub", {out.slice(sides, 1, 2, 4), out.slice(sides, 1, 0, 2)});
  const std::string offset = out.node("Div", {spread, out.number(2)});
  const std::string x = out.slice(offset, 1, 0, 1), y = out.slice(offset, 1, 1, 2);
  const std::string cosine = out.node("Cos", {angle}), sine = out.node("Sin", {angle});
  const auto product = [&](const std::string& a, const std::string& b) { return out.node("Mul", {a, b}); };
  const std::string turned = out.concat({out.node("Sub", {product(x, cosine), product(y, sine)}),
                                         out.node("Add", {product(x, sine), product(y, cosine)})},
                                        1);
  return out.node("Add", {turned, centres});
}

// (N, points * numbers, A) -> the same in pixels, visibilities as probabilities.
std::string points(GraphWriter& out, const std::string& raw, const DetectDecode& decode,
                   const Anchors& anchors) {
  const int numbers = numbers_of_point(decode.extra);
  const std::string cells = out.node("Sub", {anchors.centres, out.number(0.5)});
  const std::string strides = out.slice(anchors.strides, 1, 0, 1);
  const std::string split =
      out.node("Reshape", {raw, out.integers({0, decode.extra_channels / numbers, numbers, -1})});
  const std::string twice = out.node("Mul", {out.slice(split, 2, 0, 2), out.number(2)});
  const std::string places = out.node("Mul", {out.node("Add", {twice, cells}), strides});
  const std::string whole =
      numbers == 2 ? places : out.concat({places, out.node("Sigmoid", {out.slice(split, 2, 2, 3)})}, 2);
  return out.node("Reshape", {whole, out.integers({0, decode.extra_channels, -1})});
}

}  // namespace

std::string export_detect_decode(Exporting& e, const Node& node, const DetectDecode& decode) {
  GraphWriter& out = e.out;
  const int64_t box_channels = int64_t{4} * decode.reg_max;
  std::string all =
      joined_levels(e, std::span(node.inputs).first(decode.levels()), box_channels + decode.classes);
  std::string extra;
  if (decode.extra != DetectExtra::kNone)
    extra = joined_levels(e, std::span(node.inputs).subspan(decode.levels()), decode.extra_channels);
  if (e.options.half) out.set_float_type(DType::kFloat32);

  const Anchors anchors =
      e.options.dynamic ? computed_anchors(e, node, decode) : constant_anchors(e, node, decode);
  const std::string sides = distances(e, out.slice(all, 1, 0, box_channels), decode);
  std::string first, last;
  if (decode.extra != DetectExtra::kAngle) {
    first = out.node("Sub", {anchors.centres, out.slice(sides, 1, 0, 2)});  // left, top
    last = out.node("Add", {anchors.centres, out.slice(sides, 1, 2, 4)});   // right, bottom
  }
  const Graph& graph = e.source.graph;
  const bool corners = graph.outputs.front().name == kOneToOneOutput;
  if (corners) {
    const std::string boxes = out.node("Mul", {out.concat({first, last}, 1), anchors.strides});
    const std::string scores =
        out.node("Sigmoid", {out.slice(all, 1, box_channels, box_channels + decode.classes)});
    return out.concat({boxes, scores}, 1);
  }
  std::string centre;
  if (decode.extra == DetectExtra::kAngle) {
    extra = angles(out, extra);
    centre = turned_centre(out, sides, extra, anchors.centres);
  } else {
    centre = out.node("Div", {out.node("Add", {first, last}), out.number(2)});
  }
  const std::string size = decode.extra == DetectExtra::kAngle
                               ? out.node("Add", {out.slice(sides, 1, 0, 2), out.slice(sides, 1, 2, 4)})
                               : out.node("Sub", {last, first});
  const std::string boxes = out.node("Mul", {out.concat({centre, size}, 1), anchors.strides});
  const std::string scores =
      out.node("Sigmoid", {out.slice(all, 1, box_channels, box_channels + decode.classes)});
  if (numbers_of_point(decode.extra) > 1) extra = points(out, extra, decode, anchors);
  std::vector<std::string> rows = {boxes, scores};
  if (!extra.empty()) rows.push_back(extra);
  return out.concat(rows, 1);
}

}  // namespace marrow::onnx
