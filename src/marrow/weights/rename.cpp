#include "marrow/weights/rename.h"

#include <fmt/format.h>

#include <cassert>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::weights {
namespace {

bool match_from(std::string_view pattern, std::string_view name, std::vector<std::string>& captures) {
  while (!pattern.empty() && pattern.front() != '*') {
    if (name.empty() || name.front() != pattern.front()) return false;
    pattern.remove_prefix(1);
    name.remove_prefix(1);
  }
  if (pattern.empty()) return name.empty();

  const bool any = pattern.starts_with("**");
  const std::string_view rest = pattern.substr(any ? 2 : 1);
  for (size_t size = 1; size <= name.size(); ++size) {
    if (!any && name[size - 1] == '.') return false;
    captures.emplace_back(name.substr(0, size));
    if (match_from(rest, name.substr(size), captures)) return true;
    captures.pop_back();
  }
  return false;
}

// Replaces {1}, {2}, ... by the captures.
std::string fill(std::string_view to, const std::vector<std::string>& captures) {
  std::string result;
  for (size_t i = 0; i < to.size(); ++i) {
    const bool reference = to[i] == '{' && i + 2 < to.size() && to[i + 2] == '}';
    if (!reference) {
      result += to[i];
      continue;
    }
    const auto number = static_cast<size_t>(to[i + 1] - '0');
    assert(number >= 1 && number <= captures.size());
    result += captures.at(number - 1);
    i += 2;
  }
  return result;
}

Tensor transpose(const Tensor& tensor, const std::string& name) {
  if (tensor.shape().size() != 2)
    throw Error(ErrorKind::kShape, fmt::format("tensor '{}' is {}; expected two dimensions to transpose",
                                               printable(name), marrow::to_string(tensor.shape())));
  const Tensor source = tensor.to_float();
  const auto rows = static_cast<size_t>(source.dim(0));
  const auto columns = static_cast<size_t>(source.dim(1));
  Tensor result(Shape{source.dim(1), source.dim(0)});
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c) result.values()[c * rows + r] = source.values()[r * columns + c];
  return result;
}

Tensor scaled(const Tensor& tensor, float factor) {
  Tensor result = tensor.dtype() == DType::kFloat32 ? tensor.clone() : tensor.to_float();
  for (float& value : result.values()) value *= factor;
  return result;
}

Tensor transformed(const Tensor& tensor, const RenameRule& rule, const std::string& name) {
  switch (rule.transform) {
    case RenameTransform::kNone:
      return tensor;
    case RenameTransform::kTranspose2d:
      return transpose(tensor, name);
    case RenameTransform::kScale:
      return scaled(tensor, rule.factor);
  }
  return tensor;
}

}  // namespace

bool match_name(std::string_view pattern, std::string_view name, std::vector<std::string>& captures) {
  captures.clear();
  return match_from(pattern, name, captures);
}

Weights rename(const Weights& weights, std::span<const RenameRule> rules,
               std::vector<std::string>* unmatched) {
  Weights renamed;
  std::vector<std::string> captures;
  for (const auto& [name, tensor] : weights) {
    const RenameRule* matching = nullptr;
    for (const RenameRule& rule : rules) {
      if (!match_name(rule.from, name, captures)) continue;
      matching = &rule;
      break;
    }
    if (matching == nullptr) {
      if (unmatched != nullptr) unmatched->push_back(name);
      continue;
    }
    if (matching->to.empty()) continue;
    const std::string new_name = fill(matching->to, captures);
    if (!renamed.emplace(new_name, transformed(tensor, *matching, name)).second)
      throw Error(ErrorKind::kFormat, fmt::format("two tensors would be named '{}'; one of them is '{}'",
                                                  printable(new_name), printable(name)));
  }
  return renamed;
}

}  // namespace marrow::weights
