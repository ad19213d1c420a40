// Self-attention over the positions of a map, and cuts of groups of its channels, whatever reshapes and
// transposes write them.
//
//   scores = q^T k * factor;  shares = softmax(scores);  result = v shares^T, or shares v^T
#include <fmt/format.h>

#include <cmath>

#include "marrow/base/error.h"
#include "marrow/onnx/read/data_moves.h"
#include "marrow/onnx/read/recognise.h"
#include "marrow/onnx/read/shape_math.h"

namespace marrow::onnx {
namespace {

using Values = std::vector<Value>;

constexpr double kFactorTolerance = 1e-3;  // a float16 holds a factor to 5e-4

// Rows and columns of the last two axes; all axes before them count as one.
struct Matrices {
  int64_t count = 0, rows = 0, columns = 0;
};
std::optional<Matrices> matrices(const Shape& shape) {
  if (shape.size() < 2) return std::nullopt;
  const int64_t rows = shape[shape.size() - 2], columns = shape.back();
  return Matrices{element_count(shape) / (rows * columns), rows, columns};
}

class AttentionRecogniser {
 public:
  // `whole`: the moves that end in `result`.
  AttentionRecogniser(const ShapedGraph& graph, ValueId result, const MovedData& whole)
      : graph_(graph), result_(result), whole_(whole) {}

  std::optional<Plan> run() {
    const ShapedNode* last = graph_.producer(whole_.source, "MatMul");
    if (last == nullptr) return std::nullopt;
    // The shares may stand on either side of the last product.
    for (const bool shares_first : {false, true}) {
      const auto shares = follow_moves(graph_, last->input(shares_first ? 0 : 1));
      const ShapedNode* softmax = shares ? graph_.producer(shares->source, "Softmax") : nullptr;
      if (softmax == nullptr || shares->factor != 1) continue;
      if (!take_scores(*softmax) || !takes_shares(*shares, shares_first) ||
          !take_values(*last, shares_first) || !puts_results(*last, shares_first))
        return std::nullopt;
      check_factor();
      return Plan{{{x_}}, [attention = attention_](Building& b, const Values& in) {
                    return b.graph.attention(in[0], attention);
                  }};
    }
    return std::nullopt;
  }

 private:
  // A matrix of the products: a head in an area of an image.
  struct Part {
    int64_t image = 0, head = 0, area = 0;
  };

  int64_t positions() const { return map_[2] * map_[3]; }
  // Of the map's number, its image, channel and position.
  int64_t image(int64_t at) const { return at / (map_[1] * positions()); }
  int64_t channel(int64_t at) const { return at / positions() % map_[1]; }
  int64_t position(int64_t at) const { return at % positions(); }
  int64_t number(int64_t image, int64_t channel, int64_t position) const {
    return (image * map_[1] + channel) * positions() + position;
  }

  // The scores behind the softmax: their product's operands are queries and keys.
  bool take_scores(const ShapedNode& softmax) {
    const Shape& shape = graph_.shape(softmax.outputs.at(0));
    constexpr int64_t kAnyAxis = 13;
    const int64_t axis = softmax.integer("axis", graph_.opset >= kAnyAxis ? -1 : 1);
    if (shape.size() < 2 || checked_axis(axis, shape.size()) + 1 != shape.size()) return false;
    const auto scores = follow_moves(graph_, softmax.input(0));
    const ShapedNode* product = scores ? graph_.producer(scores->source, "MatMul") : nullptr;
    if (product == nullptr || graph_.shape(scores->source) != shape) return false;
    for (size_t i = 0; i < scores->origin.size(); ++i)
      if (scores->origin[i] != static_cast<int64_t>(i)) return false;
    const auto queries = follow_moves(graph_, product->input(0)),
               keys = follow_moves(graph_, product->input(1));
    if (!queries || !keys || queries->source != keys->source || !graph_.value(queries->source).shape)
      return false;
    x_ = queries->source;
    map_ = graph_.shape(x_);
    const auto sides = matrices(graph_.shape(product->input(0)));
    const auto size = matrices(shape);
    if (map_.size() != 4 || !sides || size->rows != size->columns || positions() % size->rows != 0)
      return false;
    run_ = size->rows;
    factor_ = scores->factor * queries->factor * keys->factor;
    attention_.key_channels = static_cast<int>(sides->columns);
    attention_.areas = static_cast<int>(positions() / run_);
    const int64_t parts = map_[0] * attention_.areas;
    if (size->count % parts != 0) return false;
    attention_.heads = static_cast<int>(size->count / parts);
    const int64_t head_channels = map_[1] / attention_.heads;
    attention_.value_channels = static_cast<int>(head_channels - 2 * sides->columns);
    if (map_[1] % attention_.heads != 0 || attention_.value_channels < 1) return false;
    const auto numbers = static_cast<size_t>(size->count * run_ * sides->columns);
    if (queries->origin.size() != numbers || keys->origin.size() != numbers) return false;
    for (int64_t part = 0; part < size->count; ++part) {
      const int64_t first = queries->origin[static_cast<size_t>(part * run_ * sides->columns)];
      parts_.push_back({image(first), channel(first) / head_channels, position(first) / run_});
      if (!is_operand(*queries, part, 0, sides->columns, false) ||
          !is_operand(*keys, part, sides->columns, sides->columns, true))
        return false;
    }
    return true;
  }

  // Whether matrix `part` of an operand holds `count` channels of its head from `first` on: (positions,
  // channels), or (channels, positions).
  bool is_operand(const MovedData& data, int64_t part, int64_t first, int64_t count,
                  bool channels_first) const {
    const Part& p = parts_[static_cast<size_t>(part)];
    const int64_t start = p.head * attention_.head_channels() + first;
    for (int64_t c = 0; c < count; ++c)
      for (int64_t i = 0; i < run_; ++i) {
        const int64_t at = part * run_ * count + (channels_first ? c * run_ + i : i * count + c);
        if (data.origin[static_cast<size_t>(at)] != number(p.image, start + c, p.area * run_ + i))
          return false;
      }
    return true;
  }

  // The shares as they are, or with rows and columns exchanged behind the values.
  bool takes_shares(const MovedData& shares, bool first) const {
    if (shares.origin.size() != parts_.size() * static_cast<size_t>(run_ * run_)) return false;
    for (size_t at = 0; at < shares.origin.size(); ++at) {
      const auto i = static_cast<int64_t>(at), row = i / run_ % run_, column = i % run_;
      const int64_t wanted = first ? i : i / (run_ * run_) * run_ * run_ + column * run_ + row;
      if (shares.origin[at] != wanted) return false;
    }
    return true;
  }

  bool take_values(const ShapedNode& product, bool shares_first) const {
    const auto values = follow_moves(graph_, product.input(shares_first ? 1 : 0));
    const auto parts = static_cast<int64_t>(parts_.size());
    if (!values || values->source != x_ || values->factor != 1 ||
        static_cast<int64_t>(values->origin.size()) != parts * run_ * attention_.value_channels)
      return false;
    for (int64_t part = 0; part < parts; ++part)
      if (!is_operand(*values, part, 2 * attention_.key_channels, attention_.value_channels, !shares_first))
        return false;
    return true;
  }

  // Whether the result is the map (N, heads * values, H, W), heads and positions in order.
  bool puts_results(const ShapedNode& product, bool shares_first) const {
    const int64_t values = attention_.value_channels, channels = attention_.heads * values;
    if (graph_.shape(result_) != Shape{map_[0], channels, map_[2], map_[3]} ||
        element_count(graph_.shape(product.outputs.at(0))) != map_[0] * channels * positions())
      return false;
    std::vector<int64_t> part_of(parts_.size());
    for (size_t part = 0; part < parts_.size(); ++part) {
      const Part& p = parts_[part];
      const int64_t place = (p.image * attention_.heads + p.head) * attention_.areas + p.area;
      if (place < 0 || place >= static_cast<int64_t>(part_of.size())) return false;
      part_of[static_cast<size_t>(place)] = static_cast<int64_t>(part);
    }
    for (size_t at = 0; at < whole_.origin.size(); ++at) {
      const auto i = static_cast<int64_t>(at), n = i / (channels * positions()),
                 c = i / positions() % channels, place = i % positions();
      const int64_t part =
          part_of[static_cast<size_t>((n * attention_.heads + c / values) * attention_.areas + place / run_)];
      const int64_t value = c % values, query = place % run_;
      const int64_t wanted =
          part * run_ * values + (shares_first ? query * values + value : value * run_ + query);
      if (whole_.origin[at] != wanted) return false;
    }
    return true;
  }

  void check_factor() const {
    const double wanted = 1 / std::sqrt(static_cast<double>(attention_.key_channels));
    if (std::abs(factor_ / wanted - 1) > kFactorTolerance)
      fail_unsupported(
          fmt::format("an attention whose scores are multiplied by {}; one over the root of the {} key "
                      "channels is read",
                      factor_, attention_.key_channels));
  }

  const ShapedGraph& graph_;
  ValueId result_;
  const MovedData& whole_;
  ValueId x_;
  Shape map_;        // of x
  int64_t run_ = 0;  // positions of an area
  double factor_ = 1;
  Attention attention_;
  std::vector<Part> parts_;
};

// `value` as the same channels of each of several groups of a map's channels.
std::optional<Plan> group_slice(const ShapedGraph& graph, ValueId value, const MovedData& data) {
  if (data.source == value) return std::nullopt;
  const Shape &from = graph.shape(data.source), &to = graph.shape(value);
  if (from.size() != 4 || from[0] != to[0] || from[2] != to[2] || from[3] != to[3]) return std::nullopt;
  const int64_t plane = from[2] * from[3];
  std::vector<int64_t> channels;
  for (int64_t c = 0; c < to[1]; ++c) channels.push_back(data.origin[static_cast<size_t>(c * plane)] / plane);
  for (size_t at = 0; at < data.origin.size(); ++at) {
    const auto i = static_cast<int64_t>(at);
    const int64_t n = i / (to[1] * plane), c = i / plane % to[1];
    if (data.origin[at] != (n * from[1] + channels[static_cast<size_t>(c)]) * plane + i % plane)
      return std::nullopt;
  }
  // The first run of neighbours is a group's part; the next begins a group further.
  int64_t taken = 1;
  while (taken < to[1] && channels[static_cast<size_t>(taken)] == channels[0] + taken) ++taken;
  const int64_t groups = to[1] / taken;
  const int64_t group = from[1] / groups, begin = channels[0];
  if (to[1] % taken != 0 || from[1] % groups != 0 || begin + taken > group) return std::nullopt;
  for (int64_t c = 0; c < to[1]; ++c)
    if (channels[static_cast<size_t>(c)] != c / taken * group + begin + c % taken) return std::nullopt;
  return Plan{{{data.source}}, [=](Building& b, const Values& in) {
                return b.graph.slice(in[0], static_cast<int>(begin), static_cast<int>(begin + taken),
                                     static_cast<int>(groups));
              }};
}

}  // namespace

std::optional<Plan> recognise_attention(const ShapedGraph& graph, const ShapedNode& node) {
  if (!(node.is("Reshape") || node.is("Transpose")) || graph.shape(node.outputs.at(0)).size() != 4)
    return std::nullopt;
  const auto moved = follow_moves(graph, node.outputs[0]);
  if (!moved || moved->factor != 1) return std::nullopt;
  if (auto plan = AttentionRecogniser(graph, node.outputs[0], *moved).run()) return plan;
  return group_slice(graph, node.outputs[0], *moved);
}

}  // namespace marrow::onnx
