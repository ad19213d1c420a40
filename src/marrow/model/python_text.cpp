#include "marrow/model/python_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "marrow/base/text.h"

namespace marrow::model {

std::string python_text(const nlohmann::json& value) {
  if (value.is_null()) return "None";
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  if (value.is_string()) return fmt::format("'{}'", printable(value.get<std::string>()));
  if (!value.is_structured()) return value.dump();
  std::string text;
  for (const auto& item : value.items()) {
    if (!text.empty()) text += ", ";
    if (value.is_object()) text += fmt::format("'{}': ", printable(item.key()));
    text += python_text(item.value());
  }
  return value.is_array() ? fmt::format("[{}]", text) : fmt::format("{{{}}}", text);
}

}  // namespace marrow::model
