#include "marrow/evaluate/metrics/dota_predictions.h"

#include <gtest/gtest.h>

namespace marrow::evaluate {
namespace {

using Files = std::map<std::string, std::string>;

TEST(DotaPredictions, AreOneFileAClass) {
  const std::vector<CocoPrediction> predictions = {
      {.file_name = "a.png",
       .category_id = 7,
       .score = .5,
       .fields = R"("poly": [1, 2, 3, 4.5, 5, 6, 7, 8])"},
      {.file_name = "b.c.png",
       .category_id = 7,
       .score = .25,
       .fields = R"("poly": [0, 0, 1, 0, 1, 1, 0, 1])"},
      {.file_name = "a.png", .category_id = 8, .score = .5, .fields = R"("poly": [1, 2, 3, 4, 5, 6, 7, 8])"}};
  EXPECT_EQ(dota_predictions(predictions, std::vector<std::string>{"small vehicle", "../ship"},
                             std::vector<int64_t>{7, 9}),
            (Files{{"Task1_small-vehicle.txt", "a 0.5 1 2 3 4.5 5 6 7 8\nb.c 0.25 0 0 1 0 1 1 0 1\n"},
                   {"Task1_..-ship.txt", ""}}));
}

// JSON has none, and null in their place.
TEST(DotaPredictions, NumbersThatAreNotFiniteAreZero) {
  const std::vector<CocoPrediction> predictions = {{.file_name = "a.png",
                                                    .category_id = 1,
                                                    .score = .5,
                                                    .fields = R"("poly": [null, 2, 3, 4, 5, 6, 7, 8])"}};
  EXPECT_EQ(dota_predictions(predictions, std::vector<std::string>{"x"}, std::vector<int64_t>{1}),
            (Files{{"Task1_x.txt", "a 0.5 0 2 3 4 5 6 7 8\n"}}));
}

}  // namespace
}  // namespace marrow::evaluate
