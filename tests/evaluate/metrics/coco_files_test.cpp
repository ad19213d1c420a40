#include "marrow/evaluate/metrics/coco_files.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "marrow/base/error.h"

namespace marrow::evaluate {
namespace {

class CocoFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::path(::testing::TempDir()) /
            (std::string("marrow_coco_") + test->name() + "_" + std::to_string(::getpid()) + ".json");
  }
  void TearDown() override { std::filesystem::remove(path_); }

  CocoGroundTruth truth(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    return read_coco_ground_truth(path_);
  }
  std::vector<CocoDetection> detections(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    return read_coco_detections(path_, {{{7, "seven.jpg"}}, {{1, "thing"}}, {}});
  }
  // What reading it complains about.
  template <class Read>
  std::string complaint(Read read) {
    try {
      read();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(path_.string()), std::string::npos);
      return error.what();
    }
    return "";
  }

  std::filesystem::path path_;
};

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text << "\nlacks: " << part;
}

const std::string kImages = R"("images": [{"id": 7, "file_name": "seven.jpg", "width": 5}], )";
const std::string kCategories = R"("categories": [{"id": 1, "name": "thing", "keypoints": ["id", 3]}], )";

std::string with_annotation(const std::string& annotation) {
  return "{" + kImages + kCategories + R"("annotations": [)" + annotation + "]}";
}

TEST_F(CocoFiles, ReadsWhatItNeedsAndSkipsTheRest) {
  const CocoGroundTruth read =
      truth(R"({"info": {"id": "x", "bbox": [1, 2]}, "licenses": [{"id": 1, "name": "free"}], )" + kImages +
            kCategories + R"("annotations": [
        {"segmentation": [[1.5, 2, 3, 4], [5, 6]], "bbox": [1, 2.5, 3, 4], "image_id": 7, "category_id": 1, "id": 3},
        {"segmentation": {"counts": [1, 2], "size": [3, 4], "area": 9}, "area": 10.5, "iscrowd": 1, "image_id": 7,
         "bbox": [0, 0, 1, 1], "category_id": 1.0, "extra": null}]})");
  ASSERT_EQ(read.images.size(), 1u);
  EXPECT_EQ(read.images[0].id, 7);
  EXPECT_EQ(read.images[0].file_name, "seven.jpg");
  ASSERT_EQ(read.categories.size(), 1u);
  EXPECT_EQ(read.categories[0].name, "thing");
  ASSERT_EQ(read.annotations.size(), 2u);
  EXPECT_EQ(read.annotations[0].box, (BoxXywh{1, 2.5, 3, 4}));
  EXPECT_EQ(read.annotations[0].area, 12.0);
  EXPECT_FALSE(read.annotations[0].crowd);
  EXPECT_EQ(read.annotations[1].area, 10.5);
  EXPECT_TRUE(read.annotations[1].crowd);
}

TEST_F(CocoFiles, AnEmptyFolderHasNoAnnotations) {
  const CocoGroundTruth read = truth("{}");
  EXPECT_TRUE(read.images.empty() && read.categories.empty() && read.annotations.empty());
  EXPECT_TRUE(detections("[]").empty());
}

TEST_F(CocoFiles, NamesTheEntryThatIsWrong) {
  const std::pair<const char*, const char*> kCases[] = {
      {R"({"image_id": 7, "category_id": 1})", "annotations[0]: bbox is missing"},
      {R"({"image_id": 7, "category_id": 1, "bbox": null})", "bbox is missing"},
      {R"({"image_id": 7, "category_id": 1, "bbox": [1, 2, 3]})",
       "annotations[0]: bbox should be four numbers"},
      {R"({"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4, 5]})", "four numbers"},
      {R"({"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, "4"]})", "four numbers"},
      {R"({"image_id": 7, "category_id": 1, "bbox": [[1, 2, 3, 4]]})", "four numbers"},
      {R"({"image_id": 7, "category_id": 1, "bbox": [{"a": 1}, 2, 3, 4]})", "four numbers"},
      {R"({"image_id": 7, "category_id": 1, "bbox": [1, 2, -3, 4]})", "negative side (-3 x 4)"},
      {R"({"image_id": 7, "category_id": "1", "bbox": [1, 2, 3, 4]})",
       "category_id is missing or of the wrong"},
      {R"({"image_id": 7.5, "category_id": 1, "bbox": [1, 2, 3, 4]})", "image_id is missing or of the wrong"},
      {R"({"image_id": 8, "category_id": 1, "bbox": [1, 2, 3, 4]})", "annotations[0]: image 8 is not listed"},
      {R"({"image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4]})", "category 2 is not listed"},
      {R"({"image_id": 7, "category_id": 1, "bbox": [1e999, 2, 3, 4]})", "it is not JSON"},
  };
  for (const auto& [annotation, wanted] : kCases) {
    expect_contains(complaint([&] { truth(with_annotation(annotation)); }), wanted);
  }
  expect_contains(complaint([&] { truth(R"({"images": [{"id": 1}, {"id": 1}]})"); }),
                  "two images have the id 1");
  expect_contains(complaint([&] { truth(R"({"categories": [{"id": 2}, {"id": 2}]})"); }), "two categories");
  expect_contains(complaint([&] { truth(R"({"images": [{"id": 5}, {"name": 1}]})"); }),
                  "images[1]: id is missing");
}

TEST_F(CocoFiles, RefusesWhatIsNotSuchAFile) {
  for (const char* text :
       {"", "[", "{", "5", "null", "\"text\"", "[1, 2]x", "{\"images\": [{\"id\": 1}", "\xff\xfe"}) {
    EXPECT_NE(complaint([&] { truth(text); }), "") << text;
    if (std::string(text) != "{") {
      EXPECT_NE(complaint([&] { detections(text); }), "") << text;
    }
  }
  expect_contains(complaint([&] { truth("[]"); }), "not an object with images and annotations");
  expect_contains(complaint([&] { detections("{}"); }), "not a list of detections");
  expect_contains(complaint([&] { truth(std::string(1 << 20, '[')); }), "not an object");
  expect_contains(complaint([&] { detections(std::string(1 << 20, '[')); }), "nests too deep");
  expect_contains(complaint([&] { truth(R"({"a": )" + std::string(1 << 20, '[')); }), "nests too deep");
  EXPECT_THROW(read_coco_ground_truth(path_.string() + ".missing"), Error);
}

// A list of lists, an object of objects: nothing of it is a row, and nothing crashes.
TEST_F(CocoFiles, OddShapesHaveNoRows) {
  EXPECT_TRUE(
      truth(R"({"images": [[{"id": 1}]], "categories": {"a": {"id": 2}}, "annotations": 5})").images.empty());
  EXPECT_TRUE(detections(R"([[{"image_id": 7}], 5, null, "x"])").empty());
}

TEST_F(CocoFiles, EveryTruncationIsRefused) {
  const std::string whole = with_annotation(R"({"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]})");
  EXPECT_EQ(truth(whole).annotations.size(), 1u);
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_NE(complaint([&] { truth(whole.substr(0, length)); }), "") << length;
  }
}

TEST_F(CocoFiles, ReadsDetectionsByNumberAndByName) {
  const auto read = detections(R"([{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
                                   {"image_id": "seven", "category_id": 9, "bbox": [0, 0, 0, 0], "score": 1}])");
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].box, (BoxXywh{1, 2, 3, 4}));
  EXPECT_EQ(read[0].score, 0.5);
  EXPECT_EQ(read[1].image_id, 7);
  EXPECT_EQ(read[1].category_id, 9);
  const auto without = [&](const char* text) { return complaint([&] { detections(text); }); };
  expect_contains(without(R"([{"image_id": 8, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}])"),
                  "there is no image 8");
  expect_contains(without(R"([{"image_id": "8", "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}])"),
                  "there is no image '8'");
  expect_contains(without(R"([{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]}])"),
                  "score is missing");
}

TEST_F(CocoFiles, WritesPredictionsThatReadBack) {
  const std::vector<CocoPrediction> predictions = {{"seven.jpg", 1, {1.23456, 2, 3.0004, 4}, 0.123456},
                                                   {"0000000007.png", 90, {0, 0, 1, 1}, 1.0}};
  const std::string text = coco_predictions_json(predictions);
  EXPECT_EQ(
      text,
      "[\n"
      R"({"image_id": "seven", "file_name": "seven.jpg", "category_id": 1, "bbox": [1.235, 2, 3, 4], )"
      R"("score": 0.12346},)"
      "\n"
      R"({"image_id": 7, "file_name": "0000000007.png", "category_id": 90, "bbox": [0, 0, 1, 1], "score": 1})"
      "\n]\n");
  const auto read = detections(text);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].image_id, 7);
  EXPECT_EQ(read[0].box[0], 1.235);
  EXPECT_EQ(coco_predictions_json({}), "[\n]\n");
  EXPECT_EQ(coco_predictions_json({{{"0000000007.png", 1, {0, 0, 1, 1}, 1.0, 42}}}).substr(2, 15),
            "{\"image_id\": 42");
}

TEST_F(CocoFiles, WritesJsonWhateverItIsGiven) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<CocoPrediction> predictions = {
      {"a\"b\xff.jpg", 1, {inf, -inf, std::numeric_limits<double>::quiet_NaN(), 1e307}, inf},
      {"99999999999999999999999.jpg", 1, {0, 0, 1, 1}, 0.5}};
  const std::string text = coco_predictions_json(predictions);
  std::ofstream(path_) << text;
  const CocoGroundTruth names = {
      {{1, "a\"b\xef\xbf\xbd.jpg"}, {2, "99999999999999999999999.jpg"}}, {{1, ""}}, {}};
  const auto read = read_coco_detections(path_, names);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].image_id, 1);
  EXPECT_EQ(read[0].box[0], 0.0);
  EXPECT_EQ(read[1].image_id, 2);
}

TEST_F(CocoFiles, Coco91SkipsTheUnusedNumbers) {
  const std::vector<int64_t> ids = coco_category_ids(80, true);
  EXPECT_EQ(ids.front(), 1);
  EXPECT_EQ(ids[10], 11);
  EXPECT_EQ(ids[11], 13);
  EXPECT_EQ(ids.back(), 90);
  EXPECT_EQ(coco_category_ids(3, false), (std::vector<int64_t>{1, 2, 3}));
}

}  // namespace
}  // namespace marrow::evaluate
