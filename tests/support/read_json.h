// A JSON file, read whole.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace marrow::testing {

inline nlohmann::json read_json(const std::filesystem::path& path) {
  return nlohmann::json::parse(std::ifstream(path));
}

}  // namespace marrow::testing
