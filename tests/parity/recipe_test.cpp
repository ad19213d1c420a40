// The training recipe against golden/yolov8/e2e: learning rates of every iteration, columns, settings.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/train/recipe/results_csv.h"
#include "marrow/train/recipe/schedule.h"
#include "marrow/train/recipe/train_options.h"
#include "support/golden.h"
#include "support/read_json.h"
#include "support/temporary_folder.h"

namespace marrow {
namespace {

using nlohmann::json;

train::ScheduleOptions schedule_options(const json& p, Rules rules) {
  train::ScheduleOptions o;
  o.batches_per_epoch = p.at("nb");
  o.epochs = p.at("epochs");
  o.batch = p.at("batch");
  o.nominal_batch = p.at("nbs");
  o.lr0 = p.at("lr0");
  o.lrf = p.at("lrf");
  o.cosine = p.at("cos_lr");
  o.momentum = o.own_momentum = p.at("momentum");
  o.warmup_epochs = p.at("warmup_epochs");
  o.warmup_momentum = p.at("warmup_momentum");
  o.warmup_bias_lr = p.at("warmup_bias_lr");
  o.rules = rules;
  return o;
}

TEST(parity_schedule, EveryIterationHasTheRecordedRates) {
  testing::for_each_golden("yolov8/e2e/lr_schedule.json", [](const std::filesystem::path& path) {
    const json recorded = testing::read_json(path);
    ASSERT_FALSE(recorded.at("cases").empty());
    for (const json& entry : recorded.at("cases")) {
      SCOPED_TRACE(entry.at("params").dump());
      const train::Schedule schedule(schedule_options(entry.at("params"), Rules::k83));
      const std::vector<std::string> columns = entry.at("columns");
      const auto column = [&](const char* name) {
        return static_cast<size_t>(std::ranges::find(columns, name) - columns.begin());
      };
      const int64_t batches = schedule.options().batches_per_epoch;
      int64_t last_step = -1;
      ASSERT_FALSE(entry.at("rows").empty());
      for (const json& row : entry.at("rows")) {
        const int64_t i = row.at(column("ni"));
        SCOPED_TRACE("iteration " + std::to_string(i));
        ASSERT_EQ(i, row.at(column("epoch")).get<int64_t>() * batches + row.at(column("i")).get<int64_t>());
        const train::IterationSettings found = schedule.at(i);
        EXPECT_NEAR(found.bias_lr, row.at(column("lr_bias_group0")).get<double>(), 1e-9);
        EXPECT_NEAR(found.lr, row.at(column("lr_group1_and_2")).get<double>(), 1e-9);
        EXPECT_NEAR(found.momentum, row.at(column("momentum")).get<double>(), 1e-9);
        EXPECT_EQ(found.accumulate, row.at(column("accumulate")).get<int>());
        if (i % batches == 0) {
          // What the whole epoch will do is known at its start.
          const auto last = schedule.last_step_of_epoch(static_cast<int>(i / batches), last_step);
          std::optional<int64_t> wanted;
          for (const json& other : entry.at("rows"))
            if (other.at(column("ni")).get<int64_t>() / batches == i / batches &&
                other.at(column("optimizer_step")))
              wanted = other.at(column("ni")).get<int64_t>();
          EXPECT_EQ(last, wanted);
        }
        const bool steps = schedule.steps_after(i, last_step);
        EXPECT_EQ(steps, row.at(column("optimizer_step")).get<bool>());
        if (steps) last_step = i;
      }
    }
  });
}

// Ultralytics 8.4: no shortest warm-up, groups in another order, MuSGD's with three times the rate.
TEST(parity_schedule, EveryIterationHasTheRatesOf84) {
  testing::for_each_golden("compat/train/lr_schedule.json", [](const std::filesystem::path& path) {
    const json recorded = testing::read_json(path);
    ASSERT_FALSE(recorded.at("cases").empty());
    for (const json& entry : recorded.at("cases")) {
      SCOPED_TRACE(entry.at("params").dump());
      const train::Schedule schedule(schedule_options(entry.at("params"), Rules::k84));
      EXPECT_EQ(std::max<int64_t>(schedule.warmup_iterations(), 0),
                entry.at("warmup_iterations").get<int64_t>());
      const std::vector<std::string> columns = entry.at("columns"), groups = entry.at("groups");
      const auto column = [&](const std::string& name) {
        return static_cast<size_t>(
            std::ranges::find_if(columns, [&](const std::string& each) { return each.starts_with(name); }) -
            columns.begin());
      };
      int64_t last_step = -1;
      ASSERT_FALSE(entry.at("rows").empty());
      for (const json& row : entry.at("rows")) {
        const int64_t i = row.at(column("ni"));
        SCOPED_TRACE("iteration " + std::to_string(i));
        const train::IterationSettings found = schedule.at(i);
        for (size_t g = 0; g < groups.size(); ++g) {
          const double rate = groups.size() == 8 && g % 2 == 0 ? 3 : 1;
          const double lr = (groups[g] == "bias" ? found.bias_lr : found.lr) + (rate - 1) * found.lr;
          EXPECT_NEAR(lr, row.at(column("lr_pg" + std::to_string(g))).get<double>(), 1e-9) << g;
        }
        if (const json& momentum = row.at(column("momentum")); !momentum.is_null()) {
          EXPECT_NEAR(found.momentum, momentum.get<double>(), 1e-9);
        }
        EXPECT_EQ(found.accumulate, row.at(column("accumulate")).get<int>());
        const bool steps = schedule.steps_after(i, last_step);
        EXPECT_EQ(steps, row.at(column("optimizer_step")).get<bool>());
        if (steps) last_step = i;
      }
    }
  });
}

TEST(parity_run_layout, ResultsHaveTheColumnsOfTheReference) {
  testing::for_each_golden("yolov8/e2e/run_layout.json", [](const std::filesystem::path& path) {
    const json recorded = testing::read_json(path);
    EXPECT_EQ(join(train::with_rates(train::detection_columns(), 3), ","),
              recorded.at("results_csv").at(0).get<std::string>());
  });
}

TEST(parity_run_layout, EverySettingOfTheReferenceIsKnown) {
  testing::for_each_golden("yolov8/e2e/run_layout.json", [](const std::filesystem::path& path) {
    const json recorded = testing::read_json(path);
    const testing::TemporaryFolder temporary;
    const auto file = temporary.path() / "args.yaml";
    ASSERT_FALSE(recorded.at("args_yaml_keys").empty());
    for (const std::string key : recorded.at("args_yaml_keys")) {
      write_file_atomically(file, key + ":\n");
      train::TrainOptions options;
      try {
        train::read_train_options(file, options);
      } catch (const Error& error) {
        // Empty may not do for a number; the name must be known all the same.
        EXPECT_EQ(std::string(error.what()).find("unknown setting"), std::string::npos) << error.what();
      }
    }
  });
}

// Runs of Ultralytics 8.4: their settings are taken without a word, their results have our columns.
TEST(parity_run_layout, RunsOf84AreRead) {
  testing::for_each_golden("compat/run_layout.json", [](const std::filesystem::path& path) {
    const testing::TemporaryFolder temporary;
    const auto file = temporary.path() / "args.yaml";
    int settings = 0, tables = 0;
    const json all = testing::read_json(path);
    for (const auto& [key, recorded] : all.items()) {
      SCOPED_TRACE(key);
      if (key.starts_with("args_yaml")) {
        ++settings;
        std::string text;
        for (const auto& [name, value] : recorded.items()) text += name + ": " + value.dump() + "\n";
        write_file_atomically(file, text);
        train::TrainOptions options;
        EXPECT_EQ(train::read_train_options(file, options), std::vector<std::string>());
        EXPECT_EQ(options.batch, recorded.at("batch").get<int>());
        EXPECT_EQ(options.epochs, recorded.at("epochs").get<int>());
      }
      if (!recorded.is_object() || !recorded.contains("results_csv")) continue;
      ++tables;
      const std::string csv = recorded.at("results_csv");
      const std::string header = csv.substr(0, csv.find('\n'));
      const auto rates = [&](const std::vector<std::string>& columns) {
        const std::string name = "lr/pg";
        size_t groups = 0;
        for (size_t at = 0; (at = header.find(name, at)) != std::string::npos; at += name.size()) ++groups;
        return join(train::with_rates(columns, groups), ",");
      };
      EXPECT_EQ(header, header.find("box_loss") == std::string::npos
                            ? rates(train::classification_columns())
                            : rates(train::detection_columns(
                                  {"box_loss", "cls_loss",
                                   header.find("l1_loss") == std::string::npos ? "dfl_loss" : "l1_loss"})));
    }
    EXPECT_GT(settings, 0);
    EXPECT_GT(tables, 0);
  });
}

}  // namespace
}  // namespace marrow
