#include "marrow/onnx/read/shape_math.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "marrow/base/error.h"

namespace marrow::onnx {
namespace {

using Ints = std::vector<int64_t>;

}  // namespace

size_t checked_axis(int64_t axis, size_t rank) {
  const auto n = static_cast<int64_t>(rank);
  if (axis < -n || axis >= n) fail_format(fmt::format("axis {} of {} dimensions", axis, rank));
  return static_cast<size_t>(axis < 0 ? axis + n : axis);
}

std::vector<int64_t> integers_of(const Tensor& tensor) {
  constexpr int64_t kLongest = 10'000;  // sizes, axes, places: one for each dimension or output
  if (tensor.dtype() != DType::kInt64 || tensor.shape().size() > 1 || tensor.size() > kLongest)
    fail_format(fmt::format("a list of at most {} integers is wanted", kLongest));
  return {tensor.values<int64_t>().begin(), tensor.values<int64_t>().end()};
}

Shape broadcast(const Shape& a, const Shape& b) {
  Shape result(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < result.size(); ++i) {
    const int64_t left = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t right = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (left != right && left != 1 && right != 1)
      fail_format(fmt::format("shapes {} and {} do not go together", to_string(a), to_string(b)));
    result[result.size() - 1 - i] = left == 1 ? right : left;
  }
  return result;
}

std::optional<std::vector<SliceRange>> slice_ranges(const ShapedNode& node, const Shape& shape,
                                                    const std::vector<const Tensor*>& inputs) {
  Ints starts, ends, axes, steps;
  if (inputs.size() <= 1) {
    starts = node.integers("starts");
    ends = node.integers("ends");
    axes = node.integers("axes");
  } else {
    for (size_t i = 1; i < node.inputs.size(); ++i)
      if (node.inputs[i].id >= 0 && (i >= inputs.size() || inputs[i] == nullptr)) return std::nullopt;
    const auto list = [&](size_t i) {
      return i < inputs.size() && inputs[i] != nullptr ? integers_of(*inputs[i]) : Ints{};
    };
    starts = list(1);
    ends = list(2);
    axes = list(3);
    steps = list(4);
  }
  if (axes.empty())
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    fail_format("starts, ends, axes and steps differ in number");
  std::vector<SliceRange> ranges;
  for (const int64_t size : shape) ranges.push_back({0, size, 1});
  for (size_t i = 0; i < starts.size(); ++i) {
    const size_t axis = checked_axis(axes[i], shape.size());
    const int64_t size = shape[axis];
    const int64_t step = steps[i];
    if (step == 0 || step == std::numeric_limits<int64_t>::min())
      fail_format(fmt::format("a step of {}", step));
    const auto placed = [&](int64_t at, int64_t low, int64_t high) {
      return std::clamp(at < 0 ? at + size : at, low, high);
    };
    const int64_t begin = step > 0 ? placed(starts[i], 0, size) : placed(starts[i], 0, size - 1);
    const int64_t end = step > 0 ? placed(ends[i], 0, size) : placed(ends[i], -1, size - 1);
    const int64_t span = step > 0 ? end - begin : begin - end;
    const int64_t stride = std::abs(step);
    ranges[axis] = {begin, span <= 0 ? 0 : (span - 1) / stride + 1, step};
  }
  return ranges;
}

Shape reshaped(const Shape& shape, const std::vector<int64_t>& target, bool allow_zero) {
  Shape result = target;
  std::optional<size_t> open;
  for (size_t i = 0; i < result.size(); ++i) {
    if (result[i] == -1) {
      if (open) fail_format("two dimensions of a reshape are left open");
      open = i;
      result[i] = 1;
    } else if (result[i] == 0 && !allow_zero) {
      if (i >= shape.size()) fail_format("a reshape keeps a dimension that is not there");
      result[i] = shape[i];
    }
  }
  const int64_t count = element_count(shape), known = element_count(result);
  if (open) result[*open] = known == 0 ? 0 : count / known;
  if (element_count(result) != count)
    fail_format(fmt::format("{} cannot become {}", to_string(shape), to_string(target)));
  return result;
}

Shape squeezed(const Shape& shape, const std::vector<int64_t>& axes) {
  std::vector<bool> gone(shape.size(), false);
  for (const int64_t axis : axes) {
    const size_t checked = checked_axis(axis, shape.size());
    if (shape[checked] != 1) fail_format(fmt::format("axis {} of {} is not 1", axis, to_string(shape)));
    gone[checked] = true;
  }
  Shape result;
  for (size_t i = 0; i < shape.size(); ++i)
    if (axes.empty() ? shape[i] != 1 : !gone[i]) result.push_back(shape[i]);
  return result;
}

Shape unsqueezed(const Shape& shape, const std::vector<int64_t>& axes) {
  const size_t rank = shape.size() + axes.size();
  std::vector<bool> is_new(rank, false);
  for (const int64_t axis : axes) is_new[checked_axis(axis, rank)] = true;
  if (static_cast<size_t>(std::ranges::count(is_new, true)) != axes.size())
    fail_format("an axis is named twice");
  Shape result;
  auto next = shape.begin();
  for (size_t i = 0; i < rank; ++i) result.push_back(is_new[i] ? 1 : *next++);
  return result;
}

std::optional<std::vector<int64_t>> axes_of(const ShapedNode& node,
                                            const std::vector<const Tensor*>& inputs) {
  if (node.find("axes") != nullptr) return node.integers("axes");
  if (node.inputs.size() < 2 || node.inputs[1].id < 0) return Ints{};
  if (inputs.size() < 2 || inputs[1] == nullptr) return std::nullopt;
  return integers_of(*inputs[1]);
}

}  // namespace marrow::onnx
