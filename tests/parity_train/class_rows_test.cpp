// Which rows of its class outputs a fine-tuned network takes from its source, against recorded trainings.
#include "marrow/train/class_rows.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

using nlohmann::json;

TEST(parity_class_rows, EveryCaseTakesTheRecordedRows) {
  testing::for_each_golden("compat/misc/cls_remap.json", [](const std::filesystem::path& path) {
    const json recorded = testing::read_json(path);
    ASSERT_FALSE(recorded.at("cases").empty());
    for (const json& entry : recorded.at("cases")) {
      SCOPED_TRACE(entry.dump());
      const std::vector<std::string> source = entry.at("source"), target = entry.at("target");
      std::vector<int> wanted;
      for (const json& row : entry.at("source_row_for_each_target_class(null = left as initialised)"))
        wanted.push_back(row.is_null() ? -1 : row.get<int>());
      std::vector<int> found = train::rows_by_name(source, target);
      // Nothing by name: by number where there are as many, and otherwise nothing.
      if (found.empty())
        for (size_t i = 0; i < target.size(); ++i)
          found.push_back(source.size() == target.size() ? static_cast<int>(i) : -1);
      EXPECT_EQ(found, wanted);
    }
  });
}

}  // namespace
}  // namespace marrow
