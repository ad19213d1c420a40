#include "marrow/train/step/flat_parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::train {
namespace {

template <class Float>
std::span<Float> part(std::span<Float> floats, const FlatParameters::Entry& entry) {
  return floats.subspan(static_cast<size_t>(entry.begin), static_cast<size_t>(entry.size));
}

bool all_finite(std::span<const float> values) {
  return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

}  // namespace

FlatParameters::FlatParameters(const Graph& graph, const std::vector<std::string>& frozen,
                               std::span<const std::string> order) {
  graph_.parameters = graph.parameters;
  const auto contains = [](const Parameter& parameter, const std::string& part) {
    return parameter.name.find(part) != std::string::npos;
  };
  for (const std::string& part : frozen)
    if (std::ranges::none_of(graph.parameters, [&](const Parameter& p) { return contains(p, part); }))
      throw Error(ErrorKind::kModel, fmt::format("freeze: no parameter's name contains '{}'", part));

  int64_t end = 0;
  const auto is_trained = [&](const Parameter& parameter) {
    return parameter.trainable() &&
           std::ranges::none_of(frozen, [&](const std::string& part) { return contains(parameter, part); });
  };
  const auto place = [&](const Parameter& parameter) {
    if (!index_.emplace(parameter.name, entries_.size()).second) return;
    const int64_t size = element_count(parameter.shape);
    entries_.push_back({parameter.name, parameter.shape, parameter.role, is_trained(parameter), end, size});
    end = entries_.back().end();
  };
  for (const std::string& name : order) {
    const Parameter* parameter = graph.find_parameter(name);
    assert(parameter != nullptr && is_trained(*parameter));
    place(*parameter);
  }
  for (const Parameter& parameter : graph.parameters)
    if (is_trained(parameter)) place(parameter);
  gradients_ = Tensor({end});
  for (const Parameter& parameter : graph.parameters) {
    if (parameter.role == ParameterRole::kCounter)
      counters_.emplace(parameter.name, 0);
    else
      place(parameter);
  }
  average_counters_ = counters_;
  weights_ = Tensor({end});
  average_ = Tensor({end});
}

void FlatParameters::load(const Weights& weights, const Weights& average) {
  verify(graph_, weights);
  verify(graph_, average);
  copy_in(weights, weights_, counters_);
  copy_in(average, average_, average_counters_);
  drop_gradients();
}

void FlatParameters::copy_in(const Weights& from, Tensor& floats, Counters& counters) {
  Weights complete = from;
  initialize_missing(graph_, 0, complete);  // the optional ones
  for (const Entry& entry : entries_) {
    const Tensor source = complete.at(entry.name).to_float();
    std::ranges::copy(source.values(), floats.values().begin() + entry.begin);
  }
  for (auto& [name, count] : counters) {
    const Tensor& source = complete.at(name);
    count = source.dtype() == DType::kInt64 ? source.values<int64_t>()[0]
                                            : static_cast<int64_t>(source.to_float().values()[0]);
  }
}

Weights FlatParameters::copies(const Tensor& floats, const Counters& counters) const {
  Weights result;
  for (const Entry& entry : entries_)
    result.emplace(entry.name, Tensor::from(entry.shape, part(floats.values(), entry)));
  for (const auto& [name, count] : counters) {
    Tensor tensor(graph_.find_parameter(name)->shape, DType::kInt64);
    tensor.values<int64_t>()[0] = count;
    result.emplace(name, std::move(tensor));
  }
  return result;
}

Weights FlatParameters::weights() const {
  return copies(weights_, counters_);
}

Weights FlatParameters::average() const {
  return copies(average_, average_counters_);
}

size_t FlatParameters::index_of(std::string_view name) const {
  const auto found = index_.find(name);
  if (found != index_.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [each, index] : index_) known.push_back(each);
  const std::string nearest = nearest_name(name, known);
  throw Error(ErrorKind::kModel, fmt::format("the model has no parameter '{}'{}", name,
                                             nearest.empty() ? "" : ". Did you mean '" + nearest + "'?"));
}

std::span<float> FlatParameters::value(std::string_view name) {
  return part(weights_.values(), entries_[index_of(name)]);
}

std::span<const float> FlatParameters::average_value(std::string_view name) const {
  return part(average_.values(), entries_[index_of(name)]);
}

std::span<float> FlatParameters::gradient(std::string_view name) {
  const Entry& e = entries_[index_of(name)];
  if (!e.trained) throw Error(ErrorKind::kModel, fmt::format("parameter '{}' is not trained", name));
  return part(gradients_.values(), e);
}

std::span<const float> FlatParameters::gradient(std::string_view name) const {
  return const_cast<FlatParameters*>(this)->gradient(name);
}

void FlatParameters::set_has_gradient(std::string_view name) {
  Entry& e = entries_[index_of(name)];
  assert(e.trained);
  e.has_gradient = true;
}

int64_t& FlatParameters::counter(std::string_view name) {
  const auto found = counters_.find(name);
  if (found == counters_.end())
    throw Error(ErrorKind::kModel, fmt::format("the model has no counter '{}'", name));
  return found->second;
}

float FlatParameters::scalar(std::string_view name) const {
  const Entry& e = entries_[index_of(name)];
  return weights_.values()[static_cast<size_t>(e.begin)];
}

void FlatParameters::set_scalar(std::string_view name, double value) {
  const Entry& e = entries_[index_of(name)];
  for (Tensor* floats : {&weights_, &average_})
    std::ranges::fill(part(floats->values(), e), static_cast<float>(value));
}

void FlatParameters::drop_gradients() {
  for (Entry& entry : entries_) entry.has_gradient = false;
  gradient_scale_ = 1;
}

std::string FlatParameters::non_finite_parameter() const {
  for (const auto& [name, i] : index_)
    if (!all_finite(part(weights_.values(), entries_[i]))) return name;
  return {};
}

std::string FlatParameters::non_finite_gradient() const {
  for (const auto& [name, i] : index_)
    if (entries_[i].has_gradient && !all_finite(part(gradients_.values(), entries_[i]))) return name;
  return {};
}

}  // namespace marrow::train
