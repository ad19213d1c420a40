// The parts of a tracker: the filter and the matching.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "marrow/track/best_matching.h"
#include "marrow/track/kalman.h"
#include "support/message_of.h"
#include "track/recorded_sequences.h"

namespace marrow::track {
namespace {

using nlohmann::json;

void expect_close(double found, double recorded, double scale) {
  EXPECT_LE(std::abs(found - recorded), 1e-9 * std::max(scale, std::abs(recorded)));
}

void expect_state(const BoxMotion& motion, const json& mean, const json& covariance) {
  // The records have twelve digits, of inputs too: a covariance, which may be a difference of larger numbers,
  // is measured by the deviations that it belongs to.
  std::array<double, BoxMotion::kStates> deviation;
  for (size_t i = 0; i < BoxMotion::kStates; ++i) deviation[i] = std::sqrt(covariance[i][i].get<double>());
  for (size_t i = 0; i < BoxMotion::kStates; ++i) {
    expect_close(motion.mean()[i], mean[i].get<double>(), deviation[i]);
    for (size_t j = 0; j < BoxMotion::kStates; ++j)
      expect_close(motion.covariance()[i * BoxMotion::kStates + j], covariance[i][j].get<double>(),
                   deviation[i] * deviation[j]);
  }
}

BoxMeasurement four(const json& values) {
  return {values[0].get<double>(), values[1].get<double>(), values[2].get<double>(), values[3].get<double>()};
}

TEST(BoxMotion, EqualsTheRecordedFilters) {
  const auto files = testing::golden_files("track/units", {"kalman.json"});
  MARROW_NEEDS_GOLDEN(files, "recorded filters");
  for (const auto& file : files) {
    const json recorded = testing::read_json(file);
    for (const auto& [name, states] :
         {std::pair{"xyah", BoxStates::kAspectAndHeight}, std::pair{"xywh", BoxStates::kWidthAndHeight}})
      for (const json& track : recorded.at(name)) {
        BoxMotion motion(states, four(track.at("measurement")));
        expect_state(motion, track["initiate"]["mean"], track["initiate"]["covariance"]);
        for (const json& step : track.at("steps")) {
          motion.predict();
          expect_state(motion, step["predict"]["mean"], step["predict"]["covariance"]);
          motion.correct(four(step.at("measurement")));
          expect_state(motion, step["update"]["mean"], step["update"]["covariance"]);
        }
      }
    for (const json& warp : recorded.at("warp")) {
      std::array<double, 8> mean;
      std::array<double, 64> covariance;
      for (size_t i = 0; i < 64; ++i) covariance[i] = warp["covariance"][i / 8][i % 8].get<double>();
      for (size_t i = 0; i < 8; ++i) mean[i] = warp["mean"][i].get<double>();
      BoxMotion motion(BoxStates::kWidthAndHeight, mean, covariance);
      motion.move(testing::recorded_map(warp.at("warp")));
      expect_state(motion, warp.at("warped_mean"), warp.at("warped_covariance"));
    }
  }
}

TEST(BoxMotion, StartsAnewWhereNumbersOverflow) {
  BoxMotion motion(BoxStates::kWidthAndHeight, {0, 0, 1e200, 1e200});
  motion.predict();
  motion.correct({5, 5, 2, 2});
  EXPECT_EQ(motion.box(), (Box<ImagePixels>{4, 4, 6, 6}));
}

std::vector<PossiblePair> pairs_of(const json& cost, double limit) {
  std::vector<PossiblePair> pairs;
  for (size_t i = 0; i < cost.size(); ++i)
    for (size_t j = 0; j < cost[i].size(); ++j) pairs.push_back({i, j, limit - cost[i][j].get<double>()});
  return pairs;
}

TEST(BestMatching, EqualsTheRecordedAssignments) {
  const auto files = testing::golden_files("track/units", {"assignment.json"});
  MARROW_NEEDS_GOLDEN(files, "recorded assignments");
  for (const auto& file : files)
    for (const json& recorded : testing::read_json(file)) {
      std::vector<std::pair<size_t, size_t>> wanted;
      for (const json& pair : recorded.at("pairs")) wanted.emplace_back(pair[0], pair[1]);
      std::ranges::sort(wanted);
      EXPECT_EQ(best_matching(pairs_of(recorded.at("cost"), recorded.at("limit").get<double>())), wanted);
    }
}

// The largest sum over all ways, row by row.
double best_sum(const std::vector<std::vector<double>>& gain, size_t row, unsigned taken) {
  if (row == gain.size()) return 0;
  double best = best_sum(gain, row + 1, taken);
  for (size_t j = 0; j < gain[row].size(); ++j)
    if ((taken >> j & 1u) == 0 && gain[row][j] > 0)
      best = std::max(best, gain[row][j] + best_sum(gain, row + 1, taken | 1u << j));
  return best;
}

TEST(BestMatching, IsTheBestOfAllWays) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> value(-1.0, 1.0);
  for (int round = 0; round < 300; ++round) {
    const size_t rows = random() % 6, columns = random() % 7;
    std::vector<std::vector<double>> gain(rows, std::vector<double>(columns));
    std::vector<PossiblePair> pairs;
    for (size_t i = 0; i < rows; ++i)
      for (size_t j = 0; j < columns; ++j) pairs.push_back({i, j, gain[i][j] = value(random)});
    double sum = 0;
    std::vector<bool> row_taken(rows), column_taken(columns);
    for (const auto& [i, j] : best_matching(pairs)) {
      EXPECT_FALSE(row_taken[i] || column_taken[j]);
      row_taken[i] = column_taken[j] = true;
      sum += gain[i][j];
    }
    EXPECT_NEAR(sum, best_sum(gain, 0, 0), 1e-12);
  }
}

TEST(BestMatching, RefusesWhatWouldTakeForEver) {
  std::vector<PossiblePair> chain;
  for (size_t i = 0; i < 6000; ++i) chain.insert(chain.end(), {{i, i, 1.0}, {i, i + 1, 0.5}});
  EXPECT_THROW(best_matching(chain), Error);
}

}  // namespace
}  // namespace marrow::track
