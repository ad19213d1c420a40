// COCO's masks, parts and keypoints, and datasets of them written anew.
#include "marrow/data/dataset_split.h"
#include "marrow/data/formats/coco_format.h"
#include "marrow/data/outline_parts.h"
#include "marrow/data/tools/convert.h"
#include "support.h"

namespace marrow::data {
namespace {

using testing::message_of;

std::string file_with(const std::string& annotations, const std::string& category = R"("name": "x")") {
  return R"({"images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 20}], "categories": [{"id": 1, )" +
         category + R"(}], "annotations": [)" + annotations + "]}";
}

std::string object_with(const std::string& more) {
  return R"({"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 4, 20, 10], )" + more + "}";
}

CocoFile parse_with(const std::string& more) {
  return parse_coco(file_with(object_with(more)), "c.json");
}

TEST(CocoMasks, ThatLieAboutThemselvesAreNone) {
  const Size picture = {40, 20};
  const auto outline_with = [&](const std::string& mask) {
    const CocoFile file = parse_with("\"segmentation\": " + mask);
    return outline_of(*file.objects.at(0).mask, picture).points.size();
  };
  EXPECT_EQ(outline_with(R"({"size": [20, 40], "counts": [100, 5, 15, 5, 675]})"), 8u);
  EXPECT_EQ(outline_with(R"({"size": [40, 20], "counts": [100, 5, 15, 5, 675]})"), 0u);  // turned
  EXPECT_EQ(outline_with(R"({"size": [20, 40], "counts": [100, 5, 15, 5, 674]})"), 0u);  // too short
  EXPECT_EQ(outline_with(R"({"size": [20, 40], "counts": [100, 5, 15, 5, 676]})"), 0u);  // too long
  EXPECT_EQ(outline_with(R"({"size": [20, 40], "counts": [100, -5, 705]})"), 0u);
  EXPECT_EQ(outline_with(R"({"size": [20, 40], "counts": [100, 4294967295, 705]})"), 0u);
  EXPECT_EQ(outline_with(R"({"size": [20, 40], "counts": [100.5, 5]})"), 0u);
  EXPECT_EQ(outline_with(R"({"size": [20, 40], "counts": "~~~~"})"), 0u);
  EXPECT_EQ(outline_with(R"({"size": [20, 40], "counts": "ooooooooooooooooooooooo"})"), 0u);
  EXPECT_EQ(outline_with(R"({"size": [20, 40], "counts": ""})"), 0u);
  EXPECT_EQ(outline_with(R"({"size": [], "counts": [800]})"), 0u);
  EXPECT_EQ(outline_with(R"({"size": [1e300, 1e300], "counts": [800]})"), 0u);
  EXPECT_EQ(outline_with(R"({"counts": {"a": [1]}})"), 0u);
  // A size that would take gigabytes is refused before anything is made.
  CocoMask huge{.height = 60000, .width = 60000, .text = "", .counts = {3600000000u}};
  EXPECT_TRUE(outline_of(huge, {60000, 60000}).points.empty());
}

TEST(CocoMasks, PartsOfPolygonsStayApart) {
  const CocoFile file = parse_with(
      R"("segmentation": [[1, 1, 5, 1, 5, 5], [1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7], [10, 10, 20, 10, 20, 15, 10, 15]])");
  const CocoOutline& outline = file.objects.at(0).outline;
  EXPECT_EQ(outline.points.size(), 14u);
  EXPECT_EQ(outline.parts, (PartStarts{3}));
}

TEST(CocoMasks, NumbersOfASegmentationOutsideItsListsAreNone) {
  const CocoFile file = parse_with(
      R"("segmentation": [7, {"a": 1}, [1, 1, 5, 1, 5, 5], {"a": 1, "b": [1, 2]}, [10, 10, 20, 10, 20, 15], {"a": 1}])");
  const CocoOutline& outline = file.objects.at(0).outline;
  EXPECT_EQ(outline.points, (std::vector<double>{1, 1, 5, 1, 5, 5, 10, 10, 20, 10, 20, 15}));
  EXPECT_EQ(outline.parts, (PartStarts{3}));
}

class CocoTasks : public testing::DataFolder {
 protected:
  Dataset dataset(const std::string& content, Task task) {
    write_picture("a.png");
    Dataset result = read_dataset(write("c.json", content));
    result.task = task;
    return result;
  }
};

TEST_F(CocoTasks, TheOutlineDefinesTheBox) {
  const std::string parts =
      object_with(R"("segmentation": [[1, 1, 5, 1, 5, 5], [10, 10, 20, 10, 20, 15, 10, 15]])");
  const LabelledImage image = load_split(dataset(file_with(parts), Task::kSegment), "train").images.at(0);
  EXPECT_EQ(image.labels[0].box, (CentredBox<Normalised, double>{.2625, .4, .475, .7}));
  EXPECT_EQ(image.parts, (std::vector<PartStarts>{{3}}));
  EXPECT_GT(joined_parts(image, 0).size(), 7u);
  // A detector keeps the stated box.
  const LabelledImage boxes = load_split(dataset(file_with(parts), Task::kDetect), "train").images.at(0);
  EXPECT_EQ(boxes.labels[0].box, (CentredBox<Normalised, double>{.35, .45, .5, .5}));
}

// For a detector, and where nothing is said of it, it is its box.
TEST_F(CocoTasks, ACrowdKeepsItsOutline) {
  const auto crowd = [&](const std::string& more, Task task) {
    const std::string object = object_with(R"("iscrowd": 1, )" + more);
    const LabelledImage image = load_split(dataset(file_with(object), task), "train").images.at(0);
    EXPECT_TRUE(image.labels.empty());
    EXPECT_EQ(image.ignored.at(0).label.box, (CentredBox<Normalised, double>{.35, .45, .5, .5}));
    return image.ignored.at(0);
  };
  const std::string mask = R"("segmentation": {"size": [20, 40], "counts": [100, 5, 15, 5, 675]})";
  const IgnoredLabel found = crowd(mask, Task::kSegment);
  EXPECT_EQ(found.polygon.size(), 4u);
  EXPECT_EQ(found.polygon.at(0), (Point<Normalised, double>{5. / 40, 0}));
  const std::string parts = R"("segmentation": [[1, 1, 5, 1, 5, 5], [10, 10, 20, 10, 20, 15, 10, 15]])";
  EXPECT_EQ(crowd(parts, Task::kSegment).parts, (PartStarts{3}));
  EXPECT_TRUE(crowd(mask, Task::kDetect).polygon.empty());
  EXPECT_TRUE(crowd(R"("segmentation": [])", Task::kSegment).polygon.empty());
  // Through the label cache, and through another file.
  const Dataset data = dataset(file_with(object_with(R"("iscrowd": 1, )" + mask)), Task::kSegment);
  for (int read = 0; read < 2; ++read)
    EXPECT_EQ(load_split(data, "train").images.at(0).ignored.at(0), found) << read;
  convert_dataset(data, folder_ / "again", {.to = DatasetFormat::kCoco, .task = Task::kSegment});
  Dataset again = read_dataset(folder_ / "again");
  again.task = Task::kSegment;
  EXPECT_EQ(load_split(again, "train").images.at(0).ignored.at(0), found);
}

TEST_F(CocoTasks, PartsAndKeypointsAreWrittenAgain) {
  const std::string parts =
      object_with(R"("segmentation": [[1, 1, 5, 1, 5, 5], [10, 10, 20, 10, 20, 15, 10, 15]])");
  const Dataset segments = dataset(file_with(parts), Task::kSegment);
  convert_dataset(segments, folder_ / "again", {.to = DatasetFormat::kCoco, .task = Task::kSegment});
  Dataset again = read_dataset(folder_ / "again");
  again.task = Task::kSegment;
  const auto load = [](const Dataset& from) {
    LabelledImage image = load_split(from, "train").images.at(0);
    image.path.clear();
    return image;
  };
  EXPECT_EQ(load(again), load(segments));

  const std::string pose = object_with(R"("keypoints": [5, 6, 2, 0, 0, 0, 7, 8, 1], "num_keypoints": 2)");
  const Dataset poses =
      dataset(file_with(pose, R"("name": "x", "keypoints": ["nose", "left_eye", "right_eye"])"), Task::kPose);
  EXPECT_EQ(poses.skeleton.flip_idx, (std::vector<int>{0, 2, 1}));
  for (const DatasetFormat to : {DatasetFormat::kCoco, DatasetFormat::kYolo}) {
    const auto out = folder_ / format_name(to);
    convert_dataset(poses, out, {.to = to, .task = Task::kPose, .skeleton = poses.skeleton});
    Dataset read = read_dataset(out);
    read.task = Task::kPose;
    EXPECT_EQ(read.skeleton.shape, poses.skeleton.shape);
    EXPECT_EQ(read.skeleton.flip_idx, poses.skeleton.flip_idx);
    EXPECT_EQ(read.skeleton.names, poses.skeleton.names);
    EXPECT_EQ(load(read).keypoints, load(poses).keypoints);
  }
}

TEST_F(CocoTasks, ObjectsWithoutLabelledKeypointsAreNoPoses) {
  const std::string category = R"("name": "x", "keypoints": ["nose"])";
  const std::string objects = object_with(R"("keypoints": [0, 0, 0])") + "," + object_with("\"area\": 1") +
                              "," + object_with(R"("keypoints": [5, 5, 2])");
  const LabelledImage people =
      load_split(dataset(file_with(objects, category), Task::kPose), "train").images.at(0);
  EXPECT_EQ(people.labels.size(), 1u);
  ASSERT_EQ(people.ignored.size(), 2u);
  EXPECT_EQ(people.ignored[0].reason, IgnoredLabel::Reason::kDifficult);
  const SplitLabels broken = load_split(
      dataset(file_with(object_with(R"("keypoints": [5, 5, 2])"), category), Task::kPose), "train");
  EXPECT_EQ(broken.images.size(), 1u);
  const std::string message = message_of([&] {
    load_split(dataset(file_with(object_with(R"("keypoints": [5, 5, 2, 4])"), category), Task::kPose),
               "train");
  });
  EXPECT_NE(message.find("no list of 3 numbers of keypoints"), std::string::npos) << message;
}

TEST_F(CocoTasks, VocHoldsBoxesAlone) {
  const Dataset segments =
      dataset(file_with(object_with(R"("segmentation": [[1, 1, 5, 1, 5, 5]])")), Task::kSegment);
  EXPECT_EQ(message_of([&] {
              convert_dataset(segments, folder_ / "voc", {.to = DatasetFormat::kVoc, .task = Task::kSegment});
            }),
            "--to voc: its files hold boxes alone; to segment, write yolo or coco");
}

}  // namespace
}  // namespace marrow::data
