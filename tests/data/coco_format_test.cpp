#include "marrow/data/formats/coco_format.h"

#include <fmt/format.h>

#include "marrow/data/dataset_split.h"
#include "support.h"
#include "support/expect_says.h"

namespace marrow::data {
namespace {

using testing::message_of;

constexpr const char* kSmall = R"({
"info": {"deep": [[{"id": 7}]]},
"annotations": [
 {"id": 1, "image_id": 5, "category_id": 3, "bbox": [10, 5, 20, 10], "iscrowd": 0, "segmentation": [[10, 5, 30, 5, 30, 15]]},
 {"id": 2, "image_id": 5, "category_id": 1, "bbox": [0, 0, 10.5, 20], "iscrowd": 0},
 {"id": 3, "image_id": 5, "category_id": 1, "bbox": [0, 0, 40, 20], "iscrowd": 1,
  "segmentation": {"counts": [1, 2, 3], "size": [20, 40]}},
 {"id": 4, "image_id": 5, "category_id": 1, "bbox": [3, 3, 0, 5]},
 {"id": 5, "image_id": 5, "category_id": 1, "bbox": [-20, 3, 30, 5]},
 {"id": 6, "image_id": 5, "category_id": 3, "bbox": [10, 5, 20, 10]},
 {"id": 7, "image_id": 5, "category_id": 9, "bbox": [10, 5, 20, 10]}
],
"images": [{"id": 5, "file_name": "a.png", "width": 40, "height": 20}],
"categories": [{"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}, {"id": 9, "name": "eel"}]})";

TEST(CocoFormat, ReadsObjectsInAnyOrder) {
  const CocoFile coco = parse_coco(kSmall, "x.json");
  EXPECT_EQ(coco.categories, (std::vector<CocoCategory>{{1, "dog"}, {3, "cat"}, {9, "eel"}}));
  ASSERT_EQ(coco.images.size(), 1u);
  EXPECT_EQ(coco.images[0].file_name, "a.png");
  ASSERT_EQ(coco.objects.size(), 7u);
  EXPECT_EQ(coco.objects[0].outline.points.size(), 6u);
  EXPECT_TRUE(coco.objects[2].outline.points.empty());  // a mask, not corners
  EXPECT_TRUE(coco.objects[2].crowd);
  EXPECT_EQ(coco.objects[3].line, 8);
}

TEST(CocoFormat, LabelsAreNormalisedClippedAndCounted) {
  const CocoFile coco = parse_coco(kSmall, "x.json");
  const ParsedLabels labels =
      coco_labels(coco, coco.images[0], coco.objects, {{{1, 0}, {3, 1}}}, 40, 20, "x.json");
  EXPECT_TRUE(labels.usable);
  EXPECT_EQ(labels.labels,
            (std::vector<Label>{
                {1, .5, .5, .5, .5}, {0, 10.5 / 2 / 40, .5, 10.5 / 40, 1}, {0, .125, .275, .25, .25}}));
  ASSERT_EQ(labels.polygons.size(), 3u);
  EXPECT_EQ(labels.polygons[0], (Polygon{{.25, .25}, {.75, .25}, {.75, .75}}));
  EXPECT_EQ(labels.polygons[1].size(), 4u);  // without one: the box
  ASSERT_EQ(labels.ignored.size(), 1u);
  EXPECT_EQ(labels.ignored[0].reason, IgnoredLabel::Reason::kCrowd);
  std::string problems;
  for (const Problem& problem : labels.problems) problems += problem.text() + "\n";
  EXPECT_EQ(
      problems,
      "x.json:8: a.png: annotation 4: a box without area (3 3 3 8); dropped\n"
      "x.json:9: a.png: annotation 5: the box -20 3 10 8 reaches outside the image of 40 x 20; clipped\n"
      "x.json:11: a.png: annotation 7: category 9 is not a class of this dataset; left out\n"
      "x.json:10: a.png: annotation 6: the same object twice; kept once\n");
}

TEST(CocoFormat, EveryTruncationIsAnError) {
  const std::string text = kSmall;
  for (size_t length = 0; length < text.size(); ++length)
    EXPECT_THROW(parse_coco(text.substr(0, length), "x.json"), Error) << length;
}

TEST(CocoFormat, ForeignAndHostileFilesAreErrors) {
  const auto error = [](const std::string& text) { return message_of([&] { parse_coco(text, "x.json"); }); };
  EXPECT_EQ(
      error("[]"),
      "x.json:1: not COCO's: a list, where an object with images, annotations and categories is wanted");
  EXPECT_EQ(error("{}"), "x.json:1: not COCO's: the list 'images' is missing");
  EXPECT_EQ(error("{\"images\": [], \"images\": []}"), "x.json:1: 'images' is there twice");
  EXPECT_EQ(
      error("{\"images\": [], \"categories\": [],\n\"annotations\": [{\"id\": 1, \"caption\": \"x\"}]}"),
      "x.json:2: none of its 1 annotations has a bbox of four numbers");
  EXPECT_EQ(error("{\"images\": [], \"annotations\": [], \"categories\": [{\"id\": 1.5, \"name\": \"x\"}]}"),
            "x.json:1: a category without id or name");
  EXPECT_NE(error(std::string(1'000'000, '[')).find("not COCO's"), std::string::npos);
  EXPECT_NE(error("{\"a\":" + std::string(1'000'000, '[')).find("nested deeper than 32"), std::string::npos);
  EXPECT_NE(error("{\"images\": [{\"file_name\": \"\xff\"}]}").find("not valid JSON"), std::string::npos);
  EXPECT_NE(error("{\"images\": 1e999}").find("not valid JSON"), std::string::npos);
  EXPECT_NE(error(std::string("\0\0\0", 3)).find("not valid JSON"), std::string::npos);
}

// What the labels of each image are, or that it is not used.
std::string read_one_line(const std::string& text) {
  const CocoFile coco = parse_coco(text, "x.json");
  CocoClasses classes;
  for (const CocoCategory& category : coco.categories)
    classes.class_of.emplace_back(category.id, static_cast<int>(classes.class_of.size()));
  std::string result;
  for (const Problem& problem : coco.problems) result += problem.text() + "\n";
  for (const CocoImage& image : coco.images) {
    std::vector<CocoObject> objects;
    for (const CocoObject& object : coco.objects)
      if (object.image_id == image.id) objects.push_back(object);
    const ParsedLabels labels = coco_labels(coco, image, objects, classes, 40, 20, "x.json");
    result += image.file_name + (labels.usable ? ":" : " unusable");
    for (const Label& label : labels.labels) result += " " + std::to_string(label.class_id);
    result += "\n";
    for (const Problem& problem : labels.problems) result += problem.text() + "\n";
  }
  return result;
}

TEST(CocoFormat, IdsAreTextsNumbersAndWholeFloats) {
  for (const char* ids : {"\"im-a\" \"cat\"", "7.0 3", "7 3.0", "\"7\" \"3\"", "-7 0", "\"0007\" \"\""}) {
    const std::string text = ids;
    const std::string image = text.substr(0, text.find(' ')), category = text.substr(text.find(' ') + 1);
    EXPECT_EQ(read_one_line("{\"images\": [{\"id\": " + image + ", \"file_name\": \"a.png\"}, {\"id\": 99, " +
                            "\"file_name\": \"b.png\"}], \"annotations\": [{\"image_id\": " + image +
                            ", \"category_id\": " + category +
                            ", \"bbox\": [1, 1, 5, 5]}], \"categories\": [{\"id\": " + category +
                            ", \"name\": \"x\"}]}"),
              "a.png: 0\nb.png:\n")
        << ids;
  }
  // A number and a text that looks like it are the same.
  EXPECT_EQ(read_one_line(R"({"images": [{"id": 7, "file_name": "a.png"}], "annotations": [{"image_id": "7",
    "category_id": "3", "bbox": ["1", 1, 5, 5]}], "categories": [{"id": 3, "name": "x"}]})"),
            "a.png: 0\n");
}

TEST(CocoFormat, ValuesOfUnusedKeysDoNotMatter) {
  EXPECT_EQ(read_one_line(R"({"info": NaN, "licenses": [NaN, -Infinity, {"id": "x"}], "images": [{"id": 1,
    "file_name": "a.png", "width": null, "height": NaN, "flickr_url": "NaN \" Infinity", "license": {}}],
    "annotations": [{"id": {"a": [1]}, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "score": NaN,
    "area": -Infinity, "iscrowd": false, "attributes": {"bbox": [1], "occluded": null}},
    {"id": null, "image_id": 1, "category_id": 1, "bbox": [1.5e0, 1, 5, 5], "area": "x"}],
    "categories": [{"id": 1, "name": "x", "supercategory": null}]})"),
            "a.png: 0 0\n");
}

TEST(CocoFormat, ABadAnnotationSpoilsItsImageAlone) {
  const std::string all = R"({"images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"},
{"id": 4}, {"file_name": "d.png"}],
"annotations": [{"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5]},
{"image_id": 1, "category_id": 1, "bbox": [1, 1, NaN, 5]},
{"id": 6, "image_id": 2, "category_id": 1, "bbox": [1, 1, 5, 5]},
{"id": "q", "bbox": [1, 1, 5, 5]}],
"categories": [{"id": 1, "name": "x"}]})";
  EXPECT_EQ(read_one_line(all),
            "x.json:2: image 4 without file_name; left out\n"
            "x.json:2: image number 4 ('d.png') without id; left out\n"
            "x.json:6: annotation q without image_id; left out\n"
            "a.png unusable\n"
            "x.json:3: a.png: annotation 5: no bbox of four numbers\n"
            "x.json:4: a.png: annotation number 2 of the list: no bbox of four numbers\n"
            "b.png: 0\n");
}

TEST(CocoFormat, BoxesBeyondAllNumbersDoNoHarm) {
  const CocoImage image{.id = 1, .file_name = "a", .width = 40, .height = 20};
  const CocoObject objects[] = {
      {.box = {1e300, 0, 1e300, 10}}, {.box = {-1e308, -1e308, 1.7e308, 1.7e308}}, {.box = {0, 0, -5, 10}}};
  const ParsedLabels labels = coco_labels({}, image, objects, {{{0, 0}}}, 40, 20, "x.json");
  ASSERT_EQ(labels.labels.size(), 1u) << "the one that covers the image";
  EXPECT_EQ(labels.labels[0], (Label{0, {.5, .5, 1, 1}}));
}

class CocoDataset : public testing::DataFolder {};

TEST_F(CocoDataset, SeveralFilesMayDescribeOneImage) {
  write_picture("images/a.png");
  const auto json = [](const std::string& category, const std::string& box) {
    return "{\"images\": [{\"id\": 1, \"file_name\": \"a.png\", \"width\": 40, \"height\": 20}], "
           "\"annotations\": [{\"id\": 1, "
           "\"image_id\": 1, \"category_id\": 4, \"bbox\": " +
           box + "}], \"categories\": [{\"id\": 4, \"name\": \"" + category + "\"}]}";
  };
  write("ann/one.json", json("cat", "[0, 0, 20, 10]"));
  write("ann/two.json", json("dog", "[20, 10, 20, 10]"));
  write("data.yaml", "train: [ann/one.json, ann/two.json]\nval: ann/two.json\n");
  const Dataset dataset = read_dataset(folder_ / "data.yaml");
  EXPECT_EQ(dataset.format, DatasetFormat::kCoco);
  EXPECT_EQ(dataset.names, (std::vector<std::string>{"cat", "dog"}));
  const SplitLabels train = load_split(dataset, "train");
  ASSERT_EQ(train.images.size(), 1u);
  EXPECT_EQ(train.images[0].path, folder_ / "images/a.png");
  EXPECT_EQ(train.images[0].labels, (std::vector<Label>{{0, .25, .25, .5, .5}, {1, .75, .75, .5, .5}}));
  EXPECT_NE(load_split(dataset, "train").cache_note.find("read from the cache"), std::string::npos);
  write("ann/two.json", json("dog", "[20, 10, 20, 5]"));
  EXPECT_NE(load_split(dataset, "train").cache_note.find("ann/two.json has changed"), std::string::npos);
}

// Else a small file could make as many labels as it has images times objects.
TEST_F(CocoDataset, AnImageThatIsListedTwiceHasItsObjectsOnce) {
  write_picture("a.png");
  const std::string image = R"({"id": 1, "file_name": "a.png"})";
  const auto box = [](int at) {
    return fmt::format(R"({{"image_id": 1, "category_id": 1, "bbox": [{}, 1, 5, 5]}})", at);
  };
  write("a.json", fmt::format(R"({{"images": [{0},
    {0}, {0}], "annotations": [{1}, {2}], "categories": [{{"id": 1, "name": "cat"}}]}})",
                              image, box(1), box(2)));
  const SplitLabels labels = load_split(read_dataset(folder_ / "a.json"), "train");
  ASSERT_EQ(labels.images.size(), 1u);
  EXPECT_EQ(labels.images[0].labels.size(), 2u);
  std::string problems;
  for (const Problem& problem : labels.problems) problems += problem.text() + "\n";
  EXPECT_SAYS(problems, "a.json:2: a.png: the image id 1 is there twice");
}

TEST_F(CocoDataset, NumbersAreTheFilesOwn) {
  write_picture("images/a.png");
  write_picture("images/deep/a.png", 2);
  write("a.json", R"({"images": [{"id": 70, "file_name": "deep/a.png"}, {"id": 9, "file_name": "a.png"},
    {"id": 3, "file_name": "gone.png"}], "annotations": [],
    "categories": [{"id": 1, "name": "cat"}, {"id": 17, "name": "dog"}, {"id": 3, "name": "cow"}]})");
  write("data.yaml", "train: a.json\nval: a.json\nnames: [dog, bird, cat]\nimages: images\n");
  const Dataset dataset = read_dataset(folder_ / "data.yaml");
  const CocoNumbers numbers = coco_numbers(dataset, "val");
  EXPECT_EQ(numbers.categories, (std::vector<int64_t>{17, 2, 1}));  // 2: free, for the file has no bird
  EXPECT_EQ(numbers.picture(folder_ / "images/deep/a.png"), CocoImageId(70));
  EXPECT_EQ(numbers.picture(folder_ / "images/a.png"), CocoImageId(9));
  EXPECT_EQ(numbers.picture("a.png"), std::nullopt);
}

TEST_F(CocoDataset, MissingImagesAndStrayObjectsAreNamed) {
  write_picture("images/a.png");
  write("a.json", R"({"images": [{"id": 1, "file_name": "a.png"},
    {"id": 2, "file_name": "b.png"}, {"id": 3, "file_name": "x\u0000y"}],
    "annotations": [{"id": 8, "image_id": 77, "category_id": 1, "bbox": [1, 1, 5, 5]}],
    "categories": [{"id": 1, "name": "cat"}]})");
  const SplitLabels labels = load_split(read_dataset(folder_ / "a.json"), "train");
  EXPECT_EQ(labels.images.size(), 1u);
  EXPECT_EQ(labels.dropped, 2);
  std::string problems;
  for (const Problem& problem : labels.problems)
    problems += problem.text().substr(folder_.string().size() + 1) + "\n";
  EXPECT_NE(problems.find("a.json:3: annotation 8: there is no image with id 77"), std::string::npos)
      << problems;
  EXPECT_NE(problems.find("a.json:2: the image 'b.png' is not in "), std::string::npos) << problems;
  EXPECT_EQ(labels.cache_note, "labels are not cached while images are missing");
}

}  // namespace
}  // namespace marrow::data
