#include "marrow/weights/torch/pickle.h"

namespace marrow::weights {
namespace {

const PickleValue::Items kNoItems;

}  // namespace

bool PickleValue::as_bool() const {
  const bool* value = std::get_if<bool>(&data_);
  return value != nullptr && *value;
}

int64_t PickleValue::as_int() const {
  if (const int64_t* value = std::get_if<int64_t>(&data_)) return *value;
  return as_bool() ? 1 : 0;
}

double PickleValue::as_number() const {
  if (const double* value = std::get_if<double>(&data_)) return *value;
  return static_cast<double>(as_int());
}

std::string_view PickleValue::text() const {
  const std::string_view* value = std::get_if<std::string_view>(&data_);
  return value != nullptr ? *value : std::string_view();
}

const PickleValue::Items& PickleValue::items() const {
  const Items* value = std::get_if<Items>(&data_);
  return value != nullptr ? *value : kNoItems;
}

const PickleObject* PickleValue::object() const {
  const auto* value = std::get_if<std::unique_ptr<PickleObject>>(&data_);
  return value != nullptr ? value->get() : nullptr;
}

const PickleGlobal* PickleValue::global() const {
  return std::get_if<PickleGlobal>(&data_);
}

const PickleValue* PickleValue::find(std::string_view key) const {
  if (!is_dict()) return nullptr;
  const Items& pairs = items();
  for (size_t i = pairs.size(); i >= 2; i -= 2)
    if (pairs[i - 2]->is_string() && pairs[i - 2]->text() == key) return pairs[i - 1];
  return nullptr;
}

const PickleValue* PickleObject::attribute(std::string_view name) const {
  if (state == nullptr) return nullptr;
  // A class with __slots__ has the state (dict or None, dict of slots).
  if (state->is(PickleValue::Kind::kTuple)) {
    for (const PickleValue* part : state->items())
      if (const PickleValue* value = part->find(name)) return value;
    return nullptr;
  }
  return state->find(name);
}

}  // namespace marrow::weights
