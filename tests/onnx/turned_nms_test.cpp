// The operators behind a prediction of turned boxes, run here one by one, find what Marrow's own suppression
// finds.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <tuple>

#include "marrow/base/random.h"
#include "marrow/detect/rotated_nms.h"
#include "marrow/model/zoo.h"
#include "onnx/support.h"

namespace marrow::onnx {
namespace {

using Sides = std::array<int64_t, 3>;

// Numbers of any type, at most three axes.
struct Numbers {
  Numbers() = default;
  Numbers(Shape axes, std::vector<float> numbers) : shape(std::move(axes)), values(std::move(numbers)) {
    std::ranges::copy(shape, sides.begin() + (3 - std::ssize(shape)));
  }
  float at(int64_t i, int64_t j, int64_t k) const {
    const auto [a, b, c] = sides;
    return values[static_cast<size_t>(((a == 1 ? 0 : i) * b + (b == 1 ? 0 : j)) * c + (c == 1 ? 0 : k))];
  }

  Shape shape;
  std::vector<float> values;
  Sides sides = {1, 1, 1};  // shorter shapes behind ones
};

// A Numbers of these three axes.
template <class Function>
Numbers made(Sides sides, const Function& function) {
  Numbers result({sides[0], sides[1], sides[2]}, {});
  result.values.reserve(static_cast<size_t>(sides[0] * sides[1] * sides[2]));
  for (int64_t i = 0; i < sides[0]; ++i)
    for (int64_t j = 0; j < sides[1]; ++j)
      for (int64_t k = 0; k < sides[2]; ++k) result.values.push_back(function(i, j, k));
  return result;
}

class Operators {
 public:
  explicit Operators(const GraphProto& graph) : graph_(graph) {
    for (const TensorProto& tensor : graph.initializers) {
      if (tensor.value.shape().size() > std::tuple_size_v<Sides>) continue;  // the network's weights
      const auto values = tensor.value.to_float();
      values_[tensor.name] = {tensor.value.shape(), {values.values().begin(), values.values().end()}};
    }
  }

  // Of the nodes in scope "nms", whose first input that is no constant is the prediction.
  Numbers run(const Numbers& prediction) {
    for (const NodeProto& node : graph_.nodes) {
      if (!node.name.starts_with("nms")) continue;
      for (const std::string& input : node.inputs) values_.try_emplace(input, prediction);
      run(node);
    }
    return values_.at(graph_.outputs.front().name);
  }

 private:
  static int64_t integer(const NodeProto& node, const std::string& name) {
    const auto found = std::ranges::find(node.attributes, name, &Attribute::name);
    return found->integers.empty() ? found->integer : found->integers.front();
  }

  void run(const NodeProto& node) {
    const auto in = [&](size_t i) -> const Numbers& { return values_.at(node.inputs.at(i)); };
    const auto scalar = [&](size_t i) { return static_cast<int64_t>(in(i).values.at(0)); };
    const Numbers& x = in(0);
    Numbers& y = values_[node.outputs.at(0)];
    const auto each = [&](const auto& function) {
      y = made(x.sides, [&](auto... at) { return function(x.at(at...)); });
    };
    const auto both = [&](const auto& function) {
      Sides sides = x.sides;
      const auto others = in(1).sides;
      for (size_t k = 0; k < 3; ++k) sides[k] = std::max(sides[k], others[k]);
      y = made(sides, [&](auto... at) { return static_cast<float>(function(x.at(at...), in(1).at(at...))); });
    };
    const std::string& op = node.op_type;
    if (op == "Add") return both(std::plus<>());
    if (op == "Sub") return both(std::minus<>());
    if (op == "Mul") return both(std::multiplies<>());
    if (op == "Div") return both(std::divides<>());
    if (op == "Max") return both([](float a, float b) { return std::max(a, b); });
    if (op == "And") return both(std::logical_and<>());
    if (op == "Less") return both(std::less<>());
    if (op == "Greater") return both(std::greater<>());
    if (op == "Equal") return both(std::equal_to<>());
    if (op == "Sqrt") return each([](float value) { return std::sqrt(value); });
    if (op == "Log") return each([](float value) { return std::log(value); });
    if (op == "Cos") return each([](float value) { return std::cos(value); });
    if (op == "Sin") return each([](float value) { return std::sin(value); });
    if (op == "Cast") return each(std::identity());
    auto sides = x.sides;
    if (op == "Transpose") {
      y = made({sides[0], sides[2], sides[1]}, [&](auto i, auto j, auto k) { return x.at(i, k, j); });
    } else if (op == "Reshape") {
      y = {{std::ssize(x.values)}, x.values};
    } else if (op == "Slice") {
      const auto axis = static_cast<size_t>(scalar(3));
      std::array<int64_t, 3> begin = {};
      begin[axis] = scalar(1);
      sides[axis] = std::min(scalar(2), sides[axis]) - begin[axis];
      y = made(sides, [&](auto i, auto j, auto k) { return x.at(i + begin[0], j + begin[1], k + begin[2]); });
    } else if (op == "Concat") {
      concat(node, static_cast<size_t>(integer(node, "axis")), y);
    } else if (op == "Gather") {
      // Along the last axis; thresholds of classes have no other.
      const Numbers& places = in(1);
      if (x.shape.size() == 1)
        y = made(places.sides,
                 [&](auto... at) { return x.values.at(static_cast<size_t>(places.at(at...))); });
      else
        y = made({sides[0], sides[1], std::ssize(places.values)}, [&](auto i, auto j, auto k) {
          return x.at(i, j, static_cast<int64_t>(places.values[static_cast<size_t>(k)]));
        });
    } else if (op == "ReduceMax" || op == "ArgMax") {
      y = made({sides[0], 1, sides[2]}, [&](auto i, auto, auto k) {
        int64_t best = 0;
        for (int64_t j = 1; j < sides[1]; ++j)
          if (x.at(i, j, k) > x.at(i, best, k)) best = j;
        return op == "ArgMax" ? static_cast<float>(best) : x.at(i, best, k);
      });
    } else if (op == "TopK") {
      std::vector<size_t> order(x.values.size());
      std::iota(order.begin(), order.end(), size_t{0});
      std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return x.values[i]; });
      order.resize(static_cast<size_t>(scalar(1)));
      const Shape shape = {1, 1, scalar(1)};
      Numbers values{shape, {}}, places{shape, {}};
      for (const size_t i : order) {
        values.values.push_back(x.values[i]);
        places.values.push_back(static_cast<float>(i));
      }
      y = std::move(values);
      values_[node.outputs.at(1)] = std::move(places);
    } else {
      FAIL() << op;
    }
  }

  void concat(const NodeProto& node, size_t axis, Numbers& y) {
    Sides sides = values_.at(node.inputs.front()).sides;
    sides[axis] = 0;
    for (const std::string& input : node.inputs) sides[axis] += values_.at(input).sides[axis];
    y = made(sides, [&](int64_t i, int64_t j, int64_t k) {
      std::array<int64_t, 3> at = {i, j, k};
      for (const std::string& input : node.inputs) {
        const Numbers& part = values_.at(input);
        if (at[axis] < part.sides[axis]) return part.at(at[0], at[1], at[2]);
        at[axis] -= part.sides[axis];
      }
      return NAN;
    });
  }

  const GraphProto& graph_;
  std::map<std::string, Numbers> values_;
};

constexpr int kClasses = 3;

// Crowded: many of the boxes overlap, some are thin.
Numbers random_prediction(int64_t anchors, uint64_t seed) {
  Random random(seed, "turned boxes");
  Numbers prediction{{1, 4 + kClasses + 1, anchors}, {}};
  const std::array<std::array<double, 2>, 8> ranges = {
      {{0, 200}, {0, 150}, {4, 80}, {1, 30}, {0, 1}, {0, 1}, {0, 1}, {-0.78, 2.35}}};
  for (const auto& [low, high] : ranges)
    for (int64_t i = 0; i < anchors; ++i)
      prediction.values.push_back(static_cast<float>(random.uniform(low, high)));
  return prediction;
}

void expect_same(const ExportNms& nms, bool dynamic, int64_t anchors) {
  const passes::GraphWithWeights network =
      passes::deploy(random_network(model::make_model("yolov8n-obb", {}, {.classes = kClasses}).graph));
  const ModelProto model = export_model(network, {.height = 64, .width = 96, .dynamic = dynamic, .nms = nms});
  const Numbers prediction = random_prediction(anchors, 5);
  const auto expected = detect::rotated_suppression(prediction.values.data(), kClasses, anchors,
                                                    {.confidence = nms.confidence,
                                                     .class_confidence = nms.class_confidence,
                                                     .iou = nms.iou,
                                                     .max_detections = nms.max_detections});
  const Numbers found = Operators(model.graph).run(prediction);
  ASSERT_EQ(found.sides, (Sides{1, nms.max_detections, 7}));
  ASSERT_FALSE(expected.empty());
  for (int64_t i = 0; i < nms.max_detections; ++i) {
    if (i >= std::ssize(expected)) {
      for (int64_t k = 0; k < 7; ++k) ASSERT_EQ(found.at(0, i, k), 0) << i;
      continue;
    }
    const auto& [box, confidence, class_id, anchor] = expected[static_cast<size_t>(i)];
    const std::array<float, 7> row = {
        box.cx, box.cy, box.width, box.height, confidence, static_cast<float>(class_id), box.angle};
    for (int64_t k = 0; k < 7; ++k)
      ASSERT_EQ(found.at(0, i, k), row[static_cast<size_t>(k)]) << i << ' ' << k;
  }
}

TEST(TurnedNmsInOnnx, FindsWhatMarrowsOwnFinds) {
  constexpr int64_t kAnchors = 126;  // of 64 x 96 pixels
  expect_same({.confidence = 0.3f, .iou = 0.4f, .max_detections = 200}, false, kAnchors);
  expect_same({.confidence = 0.3f, .iou = 0.7f, .max_detections = 10}, false, kAnchors);
  expect_same({.class_confidence = {0.9f, 0.2f, 0.7f}, .iou = 0.1f, .max_detections = 50}, false, kAnchors);
  expect_same({.confidence = 0.7f, .iou = 0.5f, .max_detections = 60, .most_compared = 150}, true, 160);
  expect_same({.confidence = 0.5f, .iou = 0, .max_detections = 300}, false, 126);
}

TEST(TurnedNmsInOnnx, SuppressesNothingWhereOnlyMoreThanEqualBoxesWould) {
  expect_same({.confidence = 0.3f, .iou = 1, .max_detections = 200}, false, 126);
}

}  // namespace
}  // namespace marrow::onnx
