#include "marrow/train/class_rows.h"

#include <algorithm>
#include <map>

#include "marrow/base/text.h"
#include "marrow/train/step/parameter_groups.h"

namespace marrow::train {
namespace {

std::string compared_name(const std::string& name) {
  return to_lower(trimmed(name));
}

bool are_numbers(const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i)
    if (compared_name(names[i]) != std::to_string(i)) return false;
  return true;
}

bool is_class_output(std::string_view name) {
  const std::string_view tail = tail_of_branch(name, "cv3");
  return tail == "2.weight" || tail == "2.bias";
}

}  // namespace

std::vector<int> rows_by_name(const std::vector<std::string>& source,
                              const std::vector<std::string>& wanted) {
  if (are_numbers(source) || are_numbers(wanted)) return {};
  std::map<std::string, int> places;
  for (size_t i = 0; i < source.size(); ++i) places[compared_name(source[i])] = static_cast<int>(i);
  std::vector<int> rows;
  bool any = false, same = source.size() == wanted.size();
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto found = places.find(compared_name(wanted[i]));
    rows.push_back(found == places.end() ? -1 : found->second);
    any |= rows.back() >= 0;
    same &= rows.back() == static_cast<int>(i);
  }
  return any && !same ? rows : std::vector<int>();
}

void take_class_rows(const Graph& graph, const std::vector<int>& rows, const Weights& fresh, Weights& found) {
  for (const Parameter& parameter : graph.parameters) {
    const auto source = found.find(parameter.name);
    if (!is_class_output(parameter.name) || source == found.end()) continue;
    const Shape& from = source->second.shape();
    if (parameter.shape.empty() || from.size() != parameter.shape.size() ||
        parameter.shape[0] != static_cast<int64_t>(rows.size()) ||
        !std::equal(from.begin() + 1, from.end(), parameter.shape.begin() + 1) || from[0] == 0)
      continue;
    Tensor taken = fresh.at(parameter.name).clone();
    const Tensor values = source->second.to_float();
    const size_t row = static_cast<size_t>(element_count(parameter.shape) / parameter.shape[0]);
    for (size_t i = 0; i < rows.size(); ++i)
      if (rows[i] >= 0 && rows[i] < from[0])
        std::copy_n(values.values().begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(rows[i]) * row),
                    row, taken.values().begin() + static_cast<std::ptrdiff_t>(i * row));
    source->second = std::move(taken);
  }
}

int class_branch_of(const Graph& graph, const Graph& source) {
  int64_t width = 0;
  for (const Parameter& parameter : graph.parameters) {
    const std::string& name = parameter.name;
    const Parameter* other = source.find_parameter(name);
    // The first convolution of the box branch tells the head's inputs, the last of the class branch its
    // width.
    if (tail_of_branch(name, "cv2") == "0.conv.weight" &&
        (other == nullptr || other->shape.size() != 4 || other->shape[1] != parameter.shape[1]))
      return 0;
    if (tail_of_branch(name, "cv3") == "2.weight" && other != nullptr && other->shape.size() == 4 &&
        other->shape[1] != parameter.shape[1])
      width = other->shape[1];
  }
  return static_cast<int>(width);
}

}  // namespace marrow::train
