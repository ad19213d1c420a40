// A whole validation beside an entry of golden/yolov8/e2e/expected.json.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "marrow/evaluate/metrics/detection_validator.h"

namespace marrow::testing {

// Metrics within 1e-3 (golden/yolov8/README.md, "e2e/expected.json"), the confusion matrix exactly.
inline void expect_recorded(const evaluate::DetectionReport& report, const nlohmann::json& entry) {
  constexpr double kTolerance = 1e-3;
  const evaluate::AveragePrecision& found = report.ultralytics;
  const nlohmann::json& results = entry.at("results_dict");
  EXPECT_NEAR(found.precision(), results.at("metrics/precision(B)").get<double>(), kTolerance);
  EXPECT_NEAR(found.recall(), results.at("metrics/recall(B)").get<double>(), kTolerance);
  EXPECT_NEAR(found.map50(), results.at("metrics/mAP50(B)").get<double>(), kTolerance);
  EXPECT_NEAR(found.map50_95(), results.at("metrics/mAP50-95(B)").get<double>(), kTolerance);
  EXPECT_NEAR(found.fitness(), results.at("fitness").get<double>(), kTolerance);
  if (entry.contains("ap")) {
    for (const char* key : {"P", "R", "ap50", "ap"})
      ASSERT_EQ(found.classes.size(), entry.at(key).size()) << key;
    for (size_t c = 0; c < found.classes.size(); ++c) {
      SCOPED_TRACE(c);
      EXPECT_NEAR(found.classes[c].precision, entry.at("P").at(c).get<double>(), kTolerance);
      EXPECT_NEAR(found.classes[c].recall, entry.at("R").at(c).get<double>(), kTolerance);
      EXPECT_NEAR(found.classes[c].map50(), entry.at("ap50").at(c).get<double>(), kTolerance);
      EXPECT_NEAR(found.classes[c].map50_95(), entry.at("ap").at(c).get<double>(), kTolerance);
    }
  }
  if (entry.contains("nt_per_class")) {
    for (size_t c = 0; c < found.classes.size(); ++c)
      EXPECT_EQ(found.classes[c].instances, entry.at("nt_per_class").at(c).get<int64_t>()) << c;
  }
  if (entry.contains("confusion_matrix")) {
    const nlohmann::json& rows = entry.at("confusion_matrix");
    ASSERT_EQ(static_cast<size_t>(report.confusion.size()), rows.size());
    for (int predicted = 0; predicted < report.confusion.size(); ++predicted)
      for (int truth = 0; truth < report.confusion.size(); ++truth)
        EXPECT_EQ(static_cast<double>(report.confusion.at(predicted, truth)),
                  rows.at(static_cast<size_t>(predicted)).at(static_cast<size_t>(truth)).get<double>())
            << "predicted " << predicted << ", true " << truth;
  }
}

}  // namespace marrow::testing
