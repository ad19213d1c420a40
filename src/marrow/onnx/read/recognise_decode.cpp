// The detection decode, from its last concatenation back to the raw maps.
//
//   all      (N, 4 R + C, A)   the levels' maps, flattened and joined; or boxes and scores joined apart
//   sides    (N, 4, A)         sum_b b softmax(boxes)_b
//   output0 (N, 4 + C, A) ((anchor - lt) + (anchor + rb)) / 2 * stride, (rb + lt) * stride, sigmoid(scores)
//   output0 may go on with an extra (decode_parts.h); or the corners of the boxes, (anchor - lt) * stride,
//   (anchor + rb) * stride, as end-to-end heads have them
//
// The anchors and strides are constants here, computed by the file or written into it, and are compared with
// what the maps' sizes make them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "marrow/base/error.h"
#include "marrow/onnx/read/decode_parts.h"
#include "marrow/onnx/read/recognise.h"
#include "marrow/onnx/read/shape_math.h"

namespace marrow::onnx {
namespace {

using Values = std::vector<Value>;

constexpr float kTolerance = 1e-3F;  // of anchors, in cells; float16 holds centres up to 1023.5 exactly

class DecodeRecogniser {
 public:
  DecodeRecogniser(const ShapedGraph& graph, const ShapedNode& root)
      : graph_(graph), parts_(graph), root_(root) {}

  std::optional<Plan> run() {
    const std::vector<ValueId> rows = rows_of_root();
    if (rows.size() < 2) return std::nullopt;
    const ShapedNode* scores = graph_.producer(rows[1], "Sigmoid");
    if (scores == nullptr) return std::nullopt;
    auto boxes = scaled_boxes(rows[0]);
    if (!boxes && rows.size() == 3) boxes = scaled_turned_boxes(rows[0], rows[2]);
    if (!boxes) return std::nullopt;
    if (rows.size() == 3) {
      extra_ = extra_of_decode(graph_, rows[2], *anchors_, *strides_);
      if (!extra_ || (extra_->kind == DetectExtra::kAngle) != turned_) return std::nullopt;
    }
    // Without an expectation over bins the distances are numbers of the maps.
    const ValueId logits = box_logits(*boxes).value_or(*boxes);
    classes_ = graph_.shape(scores->outputs.at(0)).at(1);
    if (!find_levels(logits, scores->inputs.at(0))) return std::nullopt;
    check_anchors();
    return plan();
  }

  BoxForm form() const { return corners_ ? BoxForm::kCorners : BoxForm::kCentre; }

 private:
  // Boxes, scores and perhaps an extra, which may be joined to what those two make.
  std::vector<ValueId> rows_of_root() const {
    const auto joins_rows = [&](const ShapedNode* node) {
      return node != nullptr && node->is("Concat") && parts_.known_rank(node->outputs.at(0), 3) &&
             parts_.axis_of(*node) == 1;
    };
    if (!joins_rows(&root_) || root_.inputs.size() > 3) return {};
    const ShapedNode* inner = graph_.producer(root_.inputs[0]);
    if (root_.inputs.size() == 2 && joins_rows(inner) && inner->inputs.size() == 2)
      return {inner->inputs[0], inner->inputs[1], root_.inputs[1]};
    return root_.inputs;
  }

  std::optional<ValueId> scaled_turned_boxes(ValueId v, ValueId angle) {
    const auto boxes = turned_boxes(graph_, v, angle);
    if (!boxes) return std::nullopt;
    turned_ = true;
    anchors_ = boxes->anchors;
    strides_ = boxes->strides;
    return boxes->sides;
  }

  int64_t reg_max() const { return bins_.defined() ? bins_.size() : 1; }

  // From the scaled boxes back to the distances (N, 4, A) to their sides; keeps anchors and strides.
  std::optional<ValueId> scaled_boxes(ValueId v) {
    const ShapedNode* scale = graph_.producer(v, "Mul");
    const auto pair = scale == nullptr ? std::nullopt : parts_.with_constant(scale);
    if (!pair) return std::nullopt;
    strides_ = pair->second;
    const ShapedNode* joined = graph_.producer(pair->first, "Concat");
    if (joined == nullptr || joined->inputs.size() != 2 || parts_.axis_of(*joined) != 1) return std::nullopt;
    const ShapedNode *first = graph_.producer(joined->inputs[0], "Sub"),
                     *last = graph_.producer(joined->inputs[1], "Add");
    corners_ = first != nullptr && last != nullptr;
    if (!corners_) {
      const auto sum = halved(joined->inputs[0]);
      const ShapedNode* size = graph_.producer(joined->inputs[1], "Sub");
      if (!sum || size == nullptr) return std::nullopt;
      last = graph_.producer(size->inputs.at(0), "Add");
      first = graph_.producer(size->inputs.at(1), "Sub");
      const bool both = (sum->first == size->inputs[0] && sum->second == size->inputs[1]) ||
                        (sum->first == size->inputs[1] && sum->second == size->inputs[0]);
      if (last == nullptr || first == nullptr || !both) return std::nullopt;
    }
    anchors_ = graph_.constant(first->inputs.at(0));
    const auto plus = parts_.with_constant(last);
    const auto left_top = parts_.part(first->inputs.at(1));
    const auto right_bottom = plus ? parts_.part(plus->first) : std::nullopt;
    if (anchors_ == nullptr || !left_top || !right_bottom || !same(*anchors_, *plus->second))
      return std::nullopt;
    const bool halves = left_top->x == right_bottom->x && left_top->begin == 0 && left_top->count == 2 &&
                        right_bottom->begin == 2 && right_bottom->count == 2;
    return halves ? std::optional(left_top->x) : std::nullopt;
  }

  // v = (a + b) / 2: a and b.
  std::optional<std::pair<ValueId, ValueId>> halved(ValueId v) const {
    const ShapedNode* node = graph_.producer(v);
    if (node == nullptr || !(node->is("Div") || node->is("Mul"))) return std::nullopt;
    const auto pair = parts_.with_constant(node);
    if (!pair || pair->second->size() != 1) return std::nullopt;
    const float factor = pair->second->to_float().values()[0];
    if (factor != (node->is("Div") ? 2.0F : 0.5F)) return std::nullopt;
    const ShapedNode* sum = graph_.producer(pair->first, "Add");
    if (sum == nullptr || sum->inputs.size() != 2) return std::nullopt;
    return std::pair{sum->inputs[0], sum->inputs[1]};
  }

  static bool same(const Tensor& a, const Tensor& b) {
    return a.size() == b.size() && std::ranges::equal(a.to_float().values(), b.to_float().values());
  }

  // From the distances back to the logits (N, 4 R, A), through the expectation over the bins. Axes are
  // followed by
  // what they stand for: n (batch), s (side), b (bin), a (anchor).
  std::optional<ValueId> box_logits(ValueId distances) {
    const ShapedNode* flat = graph_.producer(distances, "Reshape");
    const ShapedNode* expected = flat == nullptr ? nullptr : graph_.producer(flat->inputs.at(0));
    if (expected == nullptr || !(expected->is("Conv") || expected->is("MatMul"))) return std::nullopt;
    const Tensor* bins = graph_.constant(expected->inputs.at(1));
    if (bins == nullptr || bins->size() < 2) return std::nullopt;
    const int64_t count = bins->size();
    if (expected->is("Conv")) {
      if (bins->shape() != Shape{1, count, 1, 1} || expected->inputs.size() > 2) return std::nullopt;
    } else if (bins->shape() != Shape{count} && bins->shape() != Shape{count, 1}) {
      return std::nullopt;
    }

    // Transposes between the reshape to (N, 4, R, A) and the expectation, last to first.
    std::vector<const ShapedNode*> steps;
    const ShapedNode* node = graph_.producer(expected->inputs[0]);
    while (node != nullptr && (node->is("Transpose") || node->is("Softmax")) && steps.size() < 4) {
      steps.push_back(node);
      node = graph_.producer(node->inputs.at(0));
    }
    if (node == nullptr || !node->is("Reshape")) return std::nullopt;
    const ValueId logits = node->inputs.at(0);
    const Shape& split = graph_.shape(node->outputs.at(0));
    if (!parts_.known_rank(logits, 3) || split.size() != 4 || split[1] != 4 || split[2] != count ||
        split[3] != graph_.shape(logits)[2])
      return std::nullopt;
    std::string axes = "nsba";
    bool shares = false;
    std::ranges::reverse(steps);
    for (const ShapedNode* step : steps) {
      if (step->is("Transpose")) {
        std::string moved;
        for (const int64_t axis : step->integers("perm")) moved += axes.at(checked_axis(axis, 4));
        if (moved.size() != 4) return std::nullopt;
        axes = moved;
      } else {
        if (shares || !softmax_over_bins(*step, axes)) return std::nullopt;
        shares = true;
      }
    }
    const bool placed = expected->is("Conv") ? axes == "nbsa" : axes == "nsab";
    if (!shares || !placed || graph_.shape(distances) != Shape{split[0], 4, split[3]}) return std::nullopt;
    bins_ = bins->to_float().reshape({1, count, 1, 1});
    bins_id_ = expected->inputs[1];
    return logits;
  }

  bool softmax_over_bins(const ShapedNode& softmax, const std::string& axes) const {
    constexpr int64_t kAnyAxis = 13;  // the opset since which Softmax is over its own axis alone
    const size_t axis = checked_axis(softmax.integer("axis", graph_.opset >= kAnyAxis ? -1 : 1), 4);
    return axes[axis] == 'b' && (graph_.opset >= kAnyAxis || axis == 3);
  }

  bool find_levels(ValueId boxes, ValueId scores) {
    const auto box = parts_.joined(boxes), score = parts_.joined(scores);
    if (!box || !score || box->maps.size() != score->maps.size()) return false;
    const int64_t box_channels = 4 * reg_max();
    for (const ValueId map : box->maps) maps_.push_back(map);
    if (box->maps == score->maps) {
      for (const ValueId map : maps_)
        if (graph_.shape(map)[1] != box_channels + classes_) return false;
      return box->begin == 0 && score->begin == box_channels;
    }
    score_maps_ = score->maps;
    for (size_t i = 0; i < maps_.size(); ++i)
      if (graph_.shape(maps_[i])[1] != box_channels || graph_.shape(score_maps_[i])[1] != classes_)
        return false;
    return box->begin == 0 && score->begin == 0;
  }

  // Throws when the anchors are not the cells' centres or the strides differ within a level.
  void check_anchors() {
    const Tensor anchors = anchors_->to_float(), strides = strides_->to_float();
    int64_t count = 0;
    for (const ValueId map : maps_) count += graph_.shape(map)[2] * graph_.shape(map)[3];
    const bool spread = strides.size() == 4 * count;
    if (anchors.size() != 2 * count || (strides.size() != count && !spread))
      throw Error(ErrorKind::kUnsupported, fmt::format("{} anchors and {} strides for {} cells",
                                                       anchors.size() / 2, strides.size(), count));
    const float *x = anchors.values().data(), *y = x + count;
    int64_t at = 0;
    for (const ValueId map : maps_) {
      const Shape& s = graph_.shape(map);
      const float stride = strides.values()[static_cast<size_t>(at)];
      for (int64_t cell = 0; cell < s[2] * s[3]; ++cell, ++at) {
        const auto column = static_cast<float>(cell % s[3]) + 0.5F,
                   row = static_cast<float>(cell / s[3]) + 0.5F;
        bool same_stride = true;
        for (int64_t side = 0; side < (spread ? 4 : 1); ++side)
          same_stride = same_stride && strides.values()[static_cast<size_t>(side * count + at)] == stride;
        if (std::abs(x[at] - column) > kTolerance || std::abs(y[at] - row) > kTolerance || !same_stride)
          throw Error(ErrorKind::kUnsupported,
                      fmt::format("anchor {} is ({}, {}), wanted the cell's centre ({}, {})", at, x[at],
                                  y[at], column, row));
      }
      level_strides_.push_back(static_cast<int>(stride));
    }
  }

  static constexpr const char* kBinsLeaf = ".dfl.conv.weight";

  // The module that the bins' weight belongs to: a stored graph finds its parameters by their node's name.
  std::string module_of_bins() const {
    const std::string name = bins_.defined() ? graph_.value(bins_id_).name : "";
    const std::string module = name.ends_with(kBinsLeaf) ? name.substr(0, name.rfind(kBinsLeaf)) : "";
    return module.empty() ? "detect" : module;
  }

  Plan plan() const {
    Plan result;
    for (const ValueId map : maps_) result.inputs.push_back({map});
    for (const ValueId map : score_maps_) result.inputs.push_back({map});
    if (extra_)
      for (const ValueId map : extra_->maps) result.inputs.push_back({map});
    result.named = true;
    result.build = [levels = maps_.size(), apart = !score_maps_.empty(), module = module_of_bins(),
                    bins = bins_, reg_max = reg_max(), classes = classes_, strides = level_strides_,
                    extra = extra_ ? extra_->kind : DetectExtra::kNone](Building& b, const Values& in) {
      Values maps(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(levels));
      for (size_t i = 0; i < levels; ++i) {
        if (apart) maps[i] = b.graph.concat({in[i], in[levels + i]});
        if (b.graph.stride(maps[i]) != strides[i])
          throw Error(ErrorKind::kUnsupported,
                      fmt::format("level {} is decoded with stride {}, but its map has stride {}", i,
                                  strides[i], b.graph.stride(maps[i])));
      }
      const auto scope = b.graph.scope(module);
      if (bins.defined()) b.weights[module + kBinsLeaf] = bins;
      const auto extras = std::span(in).subspan((apart ? 2 : 1) * levels);
      return b.graph.detect_decode(maps, kBinsLeaf + 1, static_cast<int>(classes), static_cast<int>(reg_max),
                                   extra, extras);
    };
    return result;
  }

  const ShapedGraph& graph_;
  const DecodeParts parts_;
  const ShapedNode& root_;
  std::optional<ExtraOfDecode> extra_;
  bool turned_ = false;              // the boxes
  const Tensor* anchors_ = nullptr;  // (2, A)
  const Tensor* strides_ = nullptr;
  bool corners_ = false;  // the boxes' corners, not centre and size
  Tensor bins_;
  ValueId bins_id_;
  int64_t classes_ = 0;
  std::vector<ValueId> maps_, score_maps_;
  std::vector<int> level_strides_;
};

}  // namespace

std::optional<Plan> recognise_decode(const ShapedGraph& graph, const ShapedNode& node) {
  return DecodeRecogniser(graph, node).run();
}

std::optional<BoxForm> form_of_decode(const ShapedGraph& graph, const ShapedNode& node) {
  DecodeRecogniser recogniser(graph, node);
  if (!recogniser.run()) return std::nullopt;
  return recogniser.form();
}

}  // namespace marrow::onnx
