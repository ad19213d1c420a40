// What recorded cases hold, in our types.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "marrow/geometry/box.h"
#include "marrow/geometry/mask.h"
#include "marrow/geometry/size.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow::testing {

// A recorded description and the tensors beside it.
struct Recorded {
  explicit Recorded(const std::filesystem::path& description)
      : cases(read_json(description)),
        tensors(
            weights::read_safetensors(std::filesystem::path(description).replace_extension(".safetensors"))
                .tensors) {}

  const Tensor& at(const std::string& name) const { return tensors.at(name); }
  bool has(const std::string& name) const { return tensors.contains(name); }

  nlohmann::json cases;
  decltype(weights::SafetensorsFile::tensors) tensors;
};

// Calls test(recorded, one, its name) for every case of a description.
template <class Test>
void for_each_case(const char* description, const Test& test) {
  for_each_golden(description, [&](const std::filesystem::path& path) {
    const Recorded recorded(path);
    for (const nlohmann::json& one : recorded.cases) {
      const std::string name = one["name"];
      SCOPED_TRACE(name);
      test(recorded, one, name);
    }
  });
}

template <class Space>
std::vector<Point<Space>> points_of(std::span<const float> values) {
  std::vector<Point<Space>> points;
  for (size_t i = 0; i + 1 < values.size(); i += 2) points.push_back({values[i], values[i + 1]});
  return points;
}

inline std::vector<uint8_t> bytes_of(const Tensor& tensor) {
  const auto values = tensor.values<uint8_t>();
  return {values.begin(), values.end()};
}

// [height, width]
inline Size size_of_hw(const nlohmann::json& hw) {
  return {hw[1].get<int>(), hw[0].get<int>()};
}

}  // namespace marrow::testing
