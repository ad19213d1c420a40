// Networks as Ultralytics 8.4 leaves them, from their own files against recorded values:
// golden-2/compat/README.md, `forward`. What a file says of its network decides, not what its YAML would
// give.
#include <gtest/gtest.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "marrow/model/import.h"
#include "marrow/nn/blocks/module.h"
#include "marrow/weights/safetensors.h"
#include "support/executors.h"
#include "support/golden.h"
#include "support/largest_difference.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Of maps and scores, and of boxes in pixels.
constexpr double kCompatTolerance = 1e-4;
constexpr double kCompatBoxTolerance = 2e-2;

// A module of the description that Marrow does not have; "" when it has all.
std::string missing_module(const json& yaml) {
  for (const char* part : {"backbone", "head"})
    for (const json& line : yaml.at(part)) {
      const std::string module = line.at(2);
      if (nn::find_module(module) == nullptr) return module;
    }
  return {};
}

void compare_with_file(const fs::path& folder, const json& info) {
  const model::TrainedModel trained = model::load_trained(folder / "model.pt");
  EXPECT_EQ(json(trained.model.strides), info.at("stride"));
  EXPECT_EQ(trained.model.names.size(), info.at("names").size());
  const Weights io = weights::read_safetensors(folder / "io.safetensors").tensors;
  const Tensor& bytes = io.at("images_u8");
  Tensor images(bytes.shape());
  std::ranges::transform(bytes.values<uint8_t>(), images.values().begin(),
                         [](uint8_t byte) { return static_cast<float>(byte) / 255; });
  std::vector<std::string> names;
  for (const auto& [name, tensor] : io)
    if (name.starts_with("feat") || name == "output0") names.push_back(name);
  ASSERT_GE(names.size(), 2u);
  for (const auto& run : testing::run_in_every_form(trained.model.graph, trained.weights, images, names))
    for (size_t i = 0; i < names.size(); ++i) {
      SCOPED_TRACE(run.executor + ", " + names[i]);
      const Tensor &found = run.values[i], &wanted = io.at(names[i]);
      ASSERT_EQ(found.shape(), wanted.shape());
      const auto rows = static_cast<size_t>(names[i] == "output0" ? found.dim(1) : 1);
      const size_t per_row = found.values().size() / rows;
      for (size_t row = 0; row < rows; ++row)
        EXPECT_LE(testing::largest_difference(found.values().subspan(row * per_row, per_row),
                                              wanted.values().subspan(row * per_row, per_row)),
                  rows > 1 && row < 4 ? kCompatBoxTolerance : kCompatTolerance)
            << "row " << row;
    }
}

TEST(parity_compat_forward, EveryFileGivesItsOwnNetwork) {
  const auto cases = testing::golden_files("compat/forward", {"model.pt"});
  MARROW_NEEDS_GOLDEN(cases, "compat/forward");
  int compared = 0;
  for (const fs::path& file : cases) {
    SCOPED_TRACE(file.string());
    const json info = testing::read_json(file.parent_path() / "info.json");
    if (const std::string missing = missing_module(info.at("yaml")); !missing.empty()) {
      std::cout << file.parent_path().filename().string() << ": not compared, there is no module " << missing
                << " yet\n";
      continue;
    }
    compare_with_file(file.parent_path(), info);
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

}  // namespace
}  // namespace marrow
