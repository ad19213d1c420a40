// Values as Python prints them: the notation in which layer tables show arguments.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace marrow::model {

std::string python_text(const nlohmann::json& value);  // "[None, 2, 'nearest']", "True", "{'width': 0.5}"

}  // namespace marrow::model
