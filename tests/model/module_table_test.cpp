#include "marrow/nn/blocks/module_table.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/model/model.h"
#include "marrow/model/spec.h"
#include "marrow/nn/blocks/module.h"
#include "marrow/nn/blocks/refused_modules.h"
#include "support/message_of.h"

namespace marrow::model {
namespace {

TEST(ModuleTable, IsThatOfTheDocs) {
  const std::string page =
      read_file(std::filesystem::path(MARROW_SOURCE_DIR) / "docs" / "modules.md", 1 << 20);
  EXPECT_NE(page.find(nn::module_table()), std::string::npos)
      << "the tables of docs/modules.md are those of 'marrow models --modules'";
}

TEST(ModuleTable, ARefusalSaysWhatTheModuleIs) {
  for (const auto& [name, what] : nn::refused_modules()) {
    EXPECT_EQ(nn::find_module(name), nullptr) << name << " is built";
    const auto build = [&, module = std::string(name)] {
      build_model(parse_model_spec(
          "nc: 2\nbackbone: [[-1, 1, " + module + ", [8]]]\nhead: [[-1, 1, Classify, [nc]]]\n", "m.yaml"));
    };
    EXPECT_NE(testing::message_of(build, ErrorKind::kUnsupported)
                  .find(std::string(name) + " is " + std::string(what)),
              std::string::npos)
        << name;
  }
}

}  // namespace
}  // namespace marrow::model
