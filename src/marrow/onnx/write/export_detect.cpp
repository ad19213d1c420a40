// A detector's decode, and the suppression behind it, as plain operators. A is the number of anchors.
#include <algorithm>
#include <numbers>
#include <span>

#include "marrow/onnx/file/proto_numbers.h"
#include "marrow/onnx/write/export_operations.h"

namespace marrow::onnx {
namespace {

using Ints = std::vector<int64_t>;

const int64_t kFloat = element_of_dtype(DType::kFloat32);

std::string slice(GraphWriter& out, const std::string& x, int64_t axis, int64_t begin, int64_t end) {
  return out.node("Slice", {x, out.integers({begin}), out.integers({end}), out.integers({axis})});
}

std::string concat(GraphWriter& out, std::vector<std::string> values, int64_t axis) {
  return out.node("Concat", std::move(values), {attribute("axis", axis)});
}

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
    const std::string size = slice(out, shape, 0, 2, 4);  // H, W
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
    centres.push_back(concat(out, {x, y}, 1));
    strides.push_back(spread(out.numbers({1, 1}, {static_cast<float>(decode.strides[level])})));
  }
  return {concat(out, centres, 2), concat(out, strides, 2)};
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
  const std::string all = concat(out, levels, 2);
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
  const std::string spread = out.node("Sub", {slice(out, sides, 1, 2, 4), slice(out, sides, 1, 0, 2)});
  const std::string offset = out.node("Div", {spread, out.number(2)});
  const std::string x = slice(out, offset, 1, 0, 1), y = slice(out, offset, 1, 1, 2);
  const std::string cosine = out.node("Cos", {angle}), sine = out.node("Sin", {angle});
  const auto product = [&](const std::string& a, const std::string& b) { return out.node("Mul", {a, b}); };
  const std::string turned = concat(out,
                                    {out.node("Sub", {product(x, cosine), product(y, sine)}),
                                     out.node("Add", {product(x, sine), product(y, cosine)})},
                                    1);
  return out.node("Add", {turned, centres});
}

// (N, points * numbers, A) -> the same in pixels, visibilities as probabilities.
std::string points(GraphWriter& out, const std::string& raw, const DetectDecode& decode,
                   const Anchors& anchors) {
  const int numbers = numbers_of_point(decode.extra);
  const std::string cells = out.node("Sub", {anchors.centres, out.number(0.5)});
  const std::string strides = slice(out, anchors.strides, 1, 0, 1);
  const std::string split =
      out.node("Reshape", {raw, out.integers({0, decode.extra_channels / numbers, numbers, -1})});
  const std::string twice = out.node("Mul", {slice(out, split, 2, 0, 2), out.number(2)});
  const std::string places = out.node("Mul", {out.node("Add", {twice, cells}), strides});
  const std::string whole =
      numbers == 2 ? places : concat(out, {places, out.node("Sigmoid", {slice(out, split, 2, 2, 3)})}, 2);
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
  const std::string sides = distances(e, slice(out, all, 1, 0, box_channels), decode);
  std::string first, last;
  if (decode.extra != DetectExtra::kAngle) {
    first = out.node("Sub", {anchors.centres, slice(out, sides, 1, 0, 2)});  // left, top
    last = out.node("Add", {anchors.centres, slice(out, sides, 1, 2, 4)});   // right, bottom
  }
  const Graph& graph = e.source.graph;
  const bool corners = graph.outputs.front().name == kOneToOneOutput;
  if (corners) {
    const std::string boxes = out.node("Mul", {concat(out, {first, last}, 1), anchors.strides});
    const std::string scores =
        out.node("Sigmoid", {slice(out, all, 1, box_channels, box_channels + decode.classes)});
    return concat(out, {boxes, scores}, 1);
  }
  std::string centre;
  if (decode.extra == DetectExtra::kAngle) {
    extra = angles(out, extra);
    centre = turned_centre(out, sides, extra, anchors.centres);
  } else {
    centre = out.node("Div", {out.node("Add", {first, last}), out.number(2)});
  }
  const std::string size = decode.extra == DetectExtra::kAngle
                               ? out.node("Add", {slice(out, sides, 1, 0, 2), slice(out, sides, 1, 2, 4)})
                               : out.node("Sub", {last, first});
  const std::string boxes = out.node("Mul", {concat(out, {centre, size}, 1), anchors.strides});
  const std::string scores =
      out.node("Sigmoid", {slice(out, all, 1, box_channels, box_channels + decode.classes)});
  if (numbers_of_point(decode.extra) > 1) extra = points(out, extra, decode, anchors);
  std::vector<std::string> rows = {boxes, scores};
  if (!extra.empty()) rows.push_back(extra);
  return concat(out, rows, 1);
}

std::string export_choice(Exporting& e, const std::string& decoded, const Shape& shape) {
  GraphWriter& out = e.out;
  out.set_scope("choose");
  out.set_float_type(DType::kFloat32);
  const int64_t images = shape[0], classes = shape[1] - 4, anchors = shape[2];
  const int64_t wanted = std::min<int64_t>(e.options.max_detections, anchors);
  const auto top = [&](const std::string& x) {  // along the last axis: values and places
    const std::string values =
        out.node("TopK", {x, out.integers({wanted})}, {attribute("axis", int64_t{-1})});
    return std::pair{values, out.second_output(values)};
  };
  const auto spread = [&](const std::string& x, const Ints& to) {
    return out.node("Expand", {x, out.integers(to)});
  };
  const auto gather = [&](const std::string& x, const std::string& places) {
    return out.node("GatherElements", {x, places}, {attribute("axis", int64_t{2})});
  };

  const std::string scores = slice(out, decoded, 1, 4, 4 + classes);  // (N, classes, A)
  // Once over the classes, then over all that is left: (N, 1, K) and (N, classes, K).
  const std::string best =
      out.node("ReduceMax", {scores}, {attribute("axes", Ints{1}), attribute("keepdims", int64_t{1})});
  const std::string chosen = top(best).second;
  const std::string left = gather(scores, spread(chosen, {images, classes, wanted}));
  const std::string anchor_major =
      out.node("Reshape", {out.node("Transpose", {left}, {attribute("perm", Ints{0, 2, 1})}),
                           out.integers({0, 1, wanted * classes})});
  const auto [confidence, place] = top(anchor_major);  // (N, 1, K)
  const std::string class_id =
      out.node("Cast", {out.node("Mod", {place, out.integer(classes)})}, {attribute("to", kFloat)});
  const std::string anchor = gather(chosen, out.node("Div", {place, out.integer(classes)}));
  const std::string boxes = gather(slice(out, decoded, 1, 0, 4), spread(anchor, {images, 4, wanted}));
  return out.node("Transpose", {concat(out, {boxes, confidence, class_id}, 1)},
                  {attribute("perm", Ints{0, 2, 1})});
}

std::string export_nms(Exporting& e, const std::string& decoded, const DetectDecode& decode,
                       const ExportNms& nms) {
  GraphWriter& out = e.out;
  const int classes = decode.classes;
  out.set_scope("nms");
  out.set_float_type(DType::kFloat32);
  const std::string centre = slice(out, decoded, 1, 0, 2);
  const std::string half_size = out.node("Div", {slice(out, decoded, 1, 2, 4), out.number(2)});
  const std::string corners = concat(
      out, {out.node("Sub", {centre, half_size}), out.node("Add", {centre, half_size})}, 1);  // (1, 4, A)

  const std::string scores = slice(out, decoded, 1, 4, 4 + classes);
  const std::string best =
      out.node("ReduceMax", {scores}, {attribute("axes", Ints{1}), attribute("keepdims", int64_t{1})});
  const std::string id =
      out.node("ArgMax", {scores}, {attribute("axis", int64_t{1}), attribute("keepdims", int64_t{1})});
  const std::string class_id = out.node("Cast", {id}, {attribute("to", kFloat)});  // (1, 1, A)

  // One class to the operator: boxes of different classes lie too far apart to meet.
  const std::string apart = out.node("Add", {corners, out.node("Mul", {class_id, out.number(nms.max_side)})});
  // The operator knows one threshold. With one a class, scores at most theirs become 0, which is none.
  std::string score = best;
  const bool by_class = !nms.class_confidence.empty();
  if (by_class) {
    const std::string least = out.node("Gather", {out.numbers({classes}, nms.class_confidence), id},
                                       {attribute("axis", int64_t{0})});
    score = out.node(
        "Mul", {best, out.node("Cast", {out.node("Greater", {best, least})}, {attribute("to", kFloat)})});
  }
  const std::string kept = out.node(  // (M, 3): image, class, anchor
      "NonMaxSuppression", {out.node("Transpose", {apart}, {attribute("perm", Ints{0, 2, 1})}), score,
                            out.integers({nms.max_detections}), out.numbers({1}, {nms.iou}),
                            out.numbers({1}, {by_class ? 0 : nms.confidence})});
  const std::string anchor = out.node("Gather", {kept, out.integer(2)}, {attribute("axis", int64_t{1})});
  std::vector<std::string> parts = {corners, best, class_id};
  if (decode.extra_channels > 0) parts.push_back(slice(out, decoded, 1, 4 + classes, decode.rows()));
  const std::string columns = concat(out, parts, 1);  // (1, 6 + extra, A)
  const int numbers = 6 + decode.extra_channels;
  const std::string found =
      out.node("Transpose", {out.node("Gather", {columns, anchor}, {attribute("axis", int64_t{2})})},
               {attribute("perm", Ints{0, 2, 1})});
  const std::string padded =
      concat(out,
             {found, out.numbers({1, nms.max_detections, numbers},
                                 std::vector<float>(static_cast<size_t>(numbers) *
                                                    static_cast<size_t>(nms.max_detections)))},
             1);
  return slice(out, padded, 1, 0, nms.max_detections);
}

}  // namespace marrow::onnx
